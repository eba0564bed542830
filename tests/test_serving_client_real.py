"""The client against our server and a real export: equal to the library."""

import functools
import json

import numpy as np
import pytest
import serving_running
from programs import run_program

from histogan_tf import rescale
from histogan_tf.data import images
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings


@pytest.fixture(scope="module")
def address(random_export):
    """Of a server of `random_export`, which allows 60,000 pixels at once."""
    with serving_running.running(
        model_name="tissue",
        model_base_path=str(random_export.parent),
        max_decoded_pixels=60_000,
        log_requests=False,
    ) as server:
        yield f"127.0.0.1:{server.settings.port}"


@pytest.fixture
def client(address, capsys, monkeypatch):
    return functools.partial(
        run_program,
        "serving.client",
        capsys,
        monkeypatch,
        server=address,
        model="tissue",
    )


def noise(seed, shape, high):
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, shape, np.uint8)


def check_mask(folder, networks, picture):
    """Equal but where two classes are equally likely to 1e-5."""
    mask = images.read_mask_raw(folder / "out" / "masks" / "a.png")
    expected = networks.reader(picture).argmax(-1)
    assert (mask != expected).mean() < 1e-4


def test_segment_equals_the_library(client, random_networks, tmp_path):
    """Above the server's limit, 220 x 290, it goes in windows."""
    picture = noise(1, (220, 290, 3), 256)
    images.write_png(tmp_path / "a.png", picture)
    code, _, err = client(
        command="segment",
        input=tmp_path / "a.png",
        output=tmp_path / "out",
        mpp=5,
    )
    assert code == 0, err
    check_mask(tmp_path, random_networks, picture)
    record = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert record["classes"] == ["stroma", "epithelium", "lumen"]
    assert record["images"][0]["version"] == 7


def test_messages_that_are_too_large_go_in_windows(
    client, random_export, random_networks, tmp_path
):
    """The image's PNG of noise has 190 kB, the server takes 100 kB."""
    picture = noise(2, (220, 290, 3), 256)
    images.write_png(tmp_path / "a.png", picture)
    with serving_running.running(
        model_name="tissue",
        model_base_path=str(random_export.parent),
        max_request_bytes=100_000,
    ) as server:
        code, _, err = client(
            server=f"127.0.0.1:{server.settings.port}",
            command="segment",
            input=tmp_path / "a.png",
            output=tmp_path / "out",
            mpp=5,
        )
    assert code == 0, err
    check_mask(tmp_path, random_networks, picture)


def test_generate_equals_the_library(client, random_canvas, tmp_path):
    mask = noise(2, (60, 75), 3)
    images.write_png(tmp_path / "m.png", mask)
    code, _, err = client(
        command="generate",
        input=tmp_path / "m.png",
        output=tmp_path / "out",
        seed=3,
    )
    assert code == 0, err
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    style = np.array(record["images"][0]["style"], np.float32)
    painted = images.read_image(tmp_path / "out" / "m_3.png")
    expected = random_canvas.synthesise(mask, style, 3)[-1]
    assert np.abs(painted.astype(int) - expected).max() <= 1


def test_windows_of_two_sizes_fit(client, random_canvas, tmp_path):
    """And equal the library but within the halo of the mask's border."""
    mask = noise(4, (330, 300), 3)
    tile = noise(5, (40, 40, 3), 256)
    images.write_png(tmp_path / "m.png", mask)
    images.write_png(tmp_path / "s.png", tile)
    painted = []
    for pixels in (2**16, 200**2):
        out = tmp_path / f"{pixels}"
        code, _, err = client(
            command="generate",
            input=tmp_path / "m.png",
            output=out,
            style_from=tmp_path / "s.png",
            style_mpp=5,
            tile_pixels=pixels,
        )
        assert code == 0, err
        painted.append(images.read_image(out / "m_0.png").astype(int))
    one, other = painted
    assert np.abs(one - other).max() <= 1
    style = rescale.style_of(tile, 5.0, 10.0)
    whole = random_canvas.synthesise(mask, style, 0)[-1]
    inner = (slice(80, -80), slice(80, -80))
    assert np.abs(one - whole)[inner].max() <= 1


def test_card_status_and_wait(client, address):
    code, out, _ = client(command="wait", timeout=5)
    assert code == 0 and "tissue is available" in out
    _, out, _ = client(command="status")
    assert json.loads(out)[0]["version"] == 7
    _, out, _ = client(command="metadata")
    found = json.loads(out)
    assert found["model_card"]["licence"]["data"] == "none, random weights"
    assert "mask_bytes" in found["signatures"]["segment"]["outputs"]
    code, _, err = client(command="status", model="tisue")
    assert code == 2 and "Could not find any versions of model tisue" in err
    with ServingClient(ChannelSettings(address), "tissue", version=7) as one:
        assert one.is_ready()

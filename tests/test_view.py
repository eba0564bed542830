"""trainer.view: the page and its tiles, driven in headless Chromium."""

import functools
import json

import chromium
import numpy as np
import pytest
import slide_files
import tifffile
import view_checks
from programs import run_program
from view_checks import HEIGHT, MPP, WIDTH

from histogan_tf.data import images, phantom, png


@pytest.fixture
def view(capsys, monkeypatch):
    return functools.partial(run_program, "trainer.view", capsys, monkeypatch)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A slide, its annotations, and what trainer.segment writes of it."""
    folder = tmp_path_factory.mktemp("files")
    image = slide_files.painted(HEIGHT, WIDTH)
    slide_files.write_pages(folder / "case.tif", [image], MPP)
    ring = [[100, 100], [700, 100], [700, 500], [100, 500], [100, 100]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "epithelium"}},
    }
    (folder / "case.geojson").write_text(json.dumps([feature]))
    ids = np.full((HEIGHT // 2, WIDTH // 2), 255, np.uint8)
    ids[:100, :200], ids[100:200] = 1, 2
    (folder / "found" / "masks").mkdir(parents=True)
    metadata = {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0}
    target = folder / "found" / "masks" / "case.ome.tif"
    tifffile.imwrite(target, ids, tile=(64, 64), metadata=metadata)
    (folder / "found" / "areas.csv").write_text("image,mm2\n")
    return folder


@pytest.fixture(scope="module")
def made(files, tmp_path_factory):
    """The viewer's folder."""
    out = tmp_path_factory.mktemp("view") / "out"
    with pytest.MonkeyPatch.context() as patch:
        code, text, err = run_program(
            "trainer.view",
            None,
            patch,
            image=files / "case.tif",
            mask=files / "case.geojson",
            segmentation=files / "found",
            classes=phantom.CLASSES_FILE,
            downloads=files / "case.geojson",
            output=out,
        )
    assert code == 0, err
    assert text == f"{out / 'index.html'}\n"
    return out


def test_what_is_in_the_folder(made):
    tile = png.decode((made / "mask_files" / "11" / "0_0.png").read_bytes())
    color = [110, 60, 150, 255]  # of epithelium
    assert tile[100, 100].tolist() == color and tile[99, 100, 3] == 0
    tile = png.decode(
        (made / "segmentation_files" / "10" / "0_0.png").read_bytes()
    )
    assert tile[0, 0].tolist() == color and tile[250, 0, 3] == 0
    image = images.read_image(made / "tissue_files" / "11" / "1_1.jpg")
    whole = slide_files.painted(HEIGHT, WIDTH)[512:, 512:1024]
    assert np.abs(image.astype(int) - whole).mean() < 8
    page = (made / "index.html").read_text()
    for part in ("0.02", "epithelium", "files/areas.csv", "files/case.geojson"):
        assert part in page
    # 600 x 400 px of 0.25 um2; 200 x 100 px of 1 um2.
    assert "<td>0.06</td><td>0.02</td>" in page
    assert (made / "openseadragon.LICENSE.txt").exists()


def test_a_browser_shows_it_from_disk(made, tmp_path):
    with chromium.running(tmp_path) as page:
        page.open((made / "index.html").as_uri())
        page.wait(view_checks.LOADED)
        view_checks.check_layers(page)
        view_checks.check_moves(page)
        view_checks.check_sliders(page)
        view_checks.check_pixels(page, tmp_path)
        view_checks.check_small_window(page)
        page.wait(view_checks.LOADED)
        assert page.faults() == []
        assert page.run("document.getElementById('trouble').hidden")
        addresses = page.requested()
        base = made.as_uri()
        outside = [
            one
            for one in addresses
            if not one.startswith((f"{base}/", "data:,"))
        ]
        assert outside == []
        for kind in ("tissue", "mask", "segmentation"):
            assert any(f"/{kind}_files/" in one for one in addresses)


def test_names_are_no_html(files, tmp_path, view):
    image = tmp_path / "<b>&.png"
    images.write_png(image, np.zeros((20, 30, 3), np.uint8))
    out = tmp_path / "out"
    code, _, err = view(image=image, mpp=1, output=out)
    assert code == 0, err
    page = (out / "index.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;&amp;" in page
    assert "Overlays" not in page and "Classes" not in page


def test_a_coarser_view_and_clear_classes(files, tmp_path, view):
    out = tmp_path / "out"
    code, _, err = view(
        image=files / "case.tif",
        segmentation=files / "found",
        classes=phantom.CLASSES_FILE,
        clear_classes="epithelium",
        view_mpp=2,
        output=out,
    )
    assert code == 0, err
    image = images.read_image(out / "tissue_files" / "9" / "0_0.jpg")
    assert image.shape == (225, 325, 3)
    tile = png.decode(
        (out / "segmentation_files" / "10" / "0_0.png").read_bytes()
    )
    assert tile[0, 0, 3] == 0 and tile[150, 0, 3] == 255


BAD = [
    ({"segmentation": "{files}/found"}, "need --run_dir or --classes"),
    ({"mask": "{files}/no.png", **{"classes": "{table}"}}, "no.png"),
    (
        {"segmentation": "{files}", "classes": "{table}"},
        "case.ome.tif nor case.png is there",
    ),
    ({"classes": "{table}", "clear_classes": "nerve"}, "allowed are stroma"),
    ({"clear_classes": "nerve"}, "none without a class table"),
    ({"classes": "{table}", "run_dir": "x"}, "state one of them"),
    ({"downloads": "no.csv"}, "--downloads no.csv: no such file"),
    ({"downloads": "{files}/case.tif,{files}/case.tif"}, "two files of this"),
    ({"image": "{files}/case.geojson"}, "case.geojson"),
    ({"image": "{files}/plain.png"}, "no um/px in the file"),
    ({"mask": "{files}/plain.png", "classes": "{table}"}, "same area"),
    ({"output": "{files}"}, "exists already"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_bad_input(values, message, files, tmp_path, view):
    images.write_png(files / "plain.png", np.zeros((50, 60), np.uint8))
    given = {"image": "{files}/case.tif", "output": str(tmp_path / "out")}
    filled = {
        key: value.format(files=files, table=phantom.CLASSES_FILE)
        for key, value in (given | values).items()
    }
    code, _, err = view(**filled)
    assert code == 2 and err.startswith("error: ") and message in err, err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_values_of_no_class_and_a_full_disk_leave_nothing(
    files, tmp_path, view, monkeypatch
):
    bad = np.zeros((HEIGHT, WIDTH), np.uint8)
    bad[-1, -1] = 77
    images.write_png(tmp_path / "bad.png", bad)
    given = {"image": files / "case.tif", "classes": phantom.CLASSES_FILE}
    out = tmp_path / "folder" / "out"
    code, _, err = view(**given, mask=tmp_path / "bad.png", output=out)
    assert code == 2 and "mask value 77 in 1 pixel" in err
    assert not list(out.parent.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device", "tile")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    code, _, err = view(**given, output=out)
    assert code == 2 and "tile: No space left on device" in err
    assert not list(out.parent.iterdir())


def test_without_chromium_ci_fails_and_others_skip(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no Chromium"):
        chromium.find()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="set CHROMIUM"):
        chromium.find()

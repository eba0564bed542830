"""trainer.segment on slides: label files, areas, objects, resumed work."""

import csv
import functools
import json

import numpy as np
import pytest
import slide_files
import tifffile
from programs import run_line, run_program
from shapely import geometry

from histogan_tf import run_dir, sources
from histogan_tf.data import images, tiff_blocks
from histogan_tf.data.blocks import BlockImage
from histogan_tf.regions import Box
from trainer import segment_all, segment_levels, segment_networks
from trainer.segment_slide import SlideItem, SlideRequest


@pytest.fixture
def segment(random_run, capsys, monkeypatch):
    return functools.partial(
        run_program,
        "trainer.segment",
        capsys,
        monkeypatch,
        run_dir=random_run,
    )


@pytest.fixture(scope="module")
def slide(tmp_path_factory, phantom_files):
    """Two phantoms side by side on glass: 300 x 400 px at 2.5 um/px."""
    image = np.full((300, 400, 3), 245, np.uint8)
    for place, seed in ((40, 0), (200, 1)):
        tile = images.read_image(phantom_files / "images" / f"tile_{seed}.png")
        image[100:180, place : place + 96] = tile
    path = tmp_path_factory.mktemp("slide") / "case.tif"
    return slide_files.write_tiled(path, image, 128)


def test_everything_that_can_be_asked_for(segment, slide, tmp_path):
    out = tmp_path / "out"
    code, text, err = segment(
        images=slide, output=out, canvas=True, geojson=True, probabilities=True
    )
    assert code == 0, err
    assert f"{out}: 1 slides" in text
    mask = tifffile.imread(out / "masks" / "case.ome.tif")
    # 2.5 um/px become the run's 5.
    assert mask.shape == (150, 200) and set(np.unique(mask)) <= {0, 1, 2, 255}
    glass = mask == 255
    assert glass[:40].all() and glass[:, 160:].all()
    assert (~glass[55:85, 24:64]).mean() > 0.7
    check_record(out, mask)
    check_outlines(out, mask)
    shares = [
        tifffile.imread(out / "probabilities" / name / "case.ome.tif")
        for name in ("0_stroma", "1_epithelium", "2_lumen")
    ]
    total = np.sum(shares, axis=0, dtype=int)
    assert (np.abs(total[~glass] - 255) <= 2).all() and not total[glass].any()
    picked = np.take_along_axis(np.array(shares), mask[None] % 3, 0)[0]
    # The mask's class is the most probable but for rounding to 1 / 255.
    assert (np.max(shares, 0).astype(int) - picked)[~glass].max() <= 1
    shown = images.read_image(out / "overlays" / "case.png")
    assert shown.shape == (150, 200, 3)
    assert (np.abs(shown[glass].astype(int) - 245) <= 2).mean() > 0.8


def test_the_printed_command_shows_the_result(
    segment, slide, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    code, text, err = segment(
        images=slide, output=out, canvas=True, geojson=True
    )
    assert code == 0, err
    (line,) = [one for one in text.splitlines() if "trainer.view" in one]
    code, text, err = run_line(line, capsys, monkeypatch)
    assert code == 0, err
    folder = tmp_path / "out_view" / "case"
    assert text == f"{folder / 'index.html'}\n"
    page = (folder / "index.html").read_text()
    assert "files/case.geojson" in page and "files/areas.csv" in page
    areas = csv.DictReader((out / "areas.csv").open())
    assert all(f"<td>{float(row['mm2']):.4g}</td>" in page for row in areas)


def test_another_scale_than_the_slides_is_said_once(slide, capsys):
    def say(mpp):
        request = SlideRequest(
            output="out",
            mpp=mpp,
            window=64,
            tissue=True,
            geojson=False,
            probabilities=False,
            skip_bad=False,
            outlined=(1,),
            min_object_um2=0.0,
        )
        segment_all._checked({slide: "case"}, SlideItem, request, 2.45)
        return capsys.readouterr().err

    quiet = say(None) + say(2.46)
    assert "states" not in quiet and "coarser" not in quiet
    line = f"{slide}: states 2.5 um/px, --mpp 2.4 is used"
    assert say(2.4).count(line) == 1
    line = f"{slide}: 2.6 um/px is coarser than the 2.45 um/px that the"
    assert say(2.6).count(line) == 1


def check_record(out, mask):
    (entry,) = json.loads((out / "segmentation.json").read_text())["images"]
    assert entry["mpp"] == 5.0 and entry["slide_mpp"] == 2.5
    assert entry["objects_mpp"] == 5.0
    rows = list(csv.DictReader((out / "areas.csv").open()))
    for identity, row in enumerate(rows):
        pixels = int((mask == identity).sum())
        assert int(row["pixels"]) == pixels
        assert float(row["mm2"]) == pytest.approx(pixels * 25e-6)


def check_outlines(out, mask):
    text = (out / "outlines" / "case.geojson").read_text()
    areas = {"epithelium": 0.0, "lumen": 0.0}
    for feature in json.loads(text)["features"]:
        name = feature["properties"]["classification"]["name"]
        areas[name] += geometry.shape(feature["geometry"]).area
    for identity, name in ((1, "epithelium"), (2, "lumen")):
        # In px of the slide, of which the mask's have four.
        pixels = 4 * int((mask == identity).sum())
        assert abs(areas[name] - pixels) <= 0.15 * pixels + 20


def test_the_pyramid_reads_too_and_glass_if_asked(segment, slide, tmp_path):
    out = tmp_path / "out"
    code, _, err = segment(
        images=slide, output=out, canvas=True, tissue=False, network="pyramid"
    )
    assert code == 0, err
    mask = tifffile.imread(out / "masks" / "case.ome.tif")
    assert mask.max() < 3
    assert not (out / "outlines").exists()
    assert not (out / "instances").exists()  # no boundary class


def test_a_slide_is_read_all_ways_round(segment, slide, random_run, tmp_path):
    run = run_dir.open_run(random_run)
    network = segment_networks.by_window(run, "segmenter", 8)
    assert network.identity["views"] == 8
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    source, box = sources.from_array(image), Box(10, 45, 30, 77)
    reader = network.make()
    seen = reader.surroundings(source, box)
    _, found = reader.labels_and_probabilities(source, box, seen)
    whole = segment_networks.by_image(run, "segmenter", 8).make()(image)
    np.testing.assert_allclose(found, whole[10:45, 30:77], atol=1e-4)
    found = []
    for views in (1, 8):
        out = tmp_path / str(views)
        given = {"images": slide, "output": out, "canvas": True}
        code, _, err = segment(**given, views=views, probabilities=True)
        assert code == 0, err
        file = out / "probabilities" / "1_epithelium" / "case.ome.tif"
        found.append(tifffile.imread(file).astype(int))
    one, many = found
    glass = tifffile.imread(out / "masks" / "case.ome.tif") == 255
    assert (one != many).any() and not many[glass].any()


def test_a_slide_that_turns_out_to_be_damaged(segment, slide, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / "good.tif").write_bytes(slide.read_bytes())
    rng = np.random.default_rng(0)
    bad = folder / "bad.tif"
    tifffile.imwrite(
        bad,
        rng.integers(0, 200, (300, 400, 3), np.uint8),
        photometric="rgb",
        tile=(128, 128),
        compression="zlib",
        resolution=(4000, 4000),
        resolutionunit="CENTIMETER",
    )
    with tifffile.TiffFile(bad) as tif:
        start = tif.pages[0].dataoffsets[-1]
    data = bytearray(bad.read_bytes())
    data[start : start + 60] = bytes(60)
    bad.write_bytes(data)
    given = {"images": folder, "output": tmp_path / "out", "canvas": True}
    code, _, err = segment(**given, tissue=False)
    assert code == 2 and "bad.tif" in err and "(--skip_bad goes on)" in err
    # The same work goes on, without the slide.
    code, text, err = segment(**given, tissue=False, skip_bad=True)
    assert code == 0, err
    assert f"skipped {bad}" in text and "out: 1 slides" in text
    record = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert [entry["name"] for entry in record["images"]] == ["good"]
    assert record["skipped"][0]["file"] == str(bad)
    names = [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert not [name for name in names if "bad" in name]


def test_bare_glass_is_told(segment, tmp_path):
    glass = tmp_path / "glass.tif"
    tifffile.imwrite(
        glass,
        np.full((200, 200, 3), 245, np.uint8),
        photometric="rgb",
        tile=(64, 64),
        resolution=(4000, 4000),
        resolutionunit="CENTIMETER",
    )
    code, text, _ = segment(images=glass, output=tmp_path / "o", canvas=True)
    assert code == 0
    assert f"{glass}: no tissue found; --notissue reads all" in text


def test_slides_are_told_by_their_format_and_size(
    segment, slide, real_data, tmp_path, monkeypatch
):
    from trainer import large_images

    seen = []
    monkeypatch.setattr(
        segment_all,
        "segment_all",
        lambda names, *_: seen.extend(path.name for path in names),
    )
    svs = real_data / "slides" / "CMU-1-Small-Region.svs"
    assert segment(images=svs, output=tmp_path / "a")[0] == 0
    monkeypatch.setattr(large_images, "LARGE", 300 * 400 - 1)
    assert segment(images=slide, output=tmp_path / "b")[0] == 0
    assert seen == ["CMU-1-Small-Region.svs", "case.tif"]


def test_broken_slides(segment, real_data, tmp_path):
    folder = real_data / "slides"
    code, _, err = segment(images=folder, output=tmp_path / "out")
    assert code == 2 and "broken.svs" in err and "--skip_bad" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 700}, "--window 700: a multiple of 512"),
        ({"network": "judge"}, "network"),
        ({"object_classes": "nerve"}, "'nerve': allowed are stroma"),
    ],
)
def test_bad_flags(segment, slide, tmp_path, values, message):
    given = {"images": slide, "output": tmp_path / "out", "canvas": True}
    code, _, err = segment(**(given | values))
    assert code == 2 and message in err and err.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_levels_and_counts(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (70, 90), np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(ids, subifds=1, tile=(16, 16))
        tif.write(ids[::2, ::2], subfiletype=1, tile=(16, 16))
    labels = BlockImage(tiff_blocks.open_stored(path, False))
    found, scale = segment_levels.whole_level(labels, 70 * 90)
    np.testing.assert_array_equal(found, ids)
    assert scale == 1
    found, scale = segment_levels.whole_level(labels, 70 * 90 - 1)
    np.testing.assert_array_equal(found, ids[::2, ::2])
    assert scale == 2
    found, scale = segment_levels.object_mask(labels, 70 * 90 - 1, None)
    np.testing.assert_array_equal(found, ids[::2, ::2])
    counts = segment_levels.class_pixels(labels, 3)
    assert counts.tolist() == np.bincount(ids.ravel()).tolist()


@pytest.mark.parametrize("window", [16, 4096])
def test_a_thin_boundary_parts_objects_at_coarse_levels(
    tmp_path, monkeypatch, window
):
    monkeypatch.setattr(segment_levels, "_COUNTED", window)
    ids = np.ones((41, 60), np.uint8)
    ids[:, 27] = 2
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(ids, subifds=2, tile=(16, 16))
        for step in (2, 4):
            # As the writer reduces: the commonest class, so no boundary.
            small = np.ones(ids[::step, ::step].shape, np.uint8)
            tif.write(small, subfiletype=1, tile=(16, 16))
    labels = BlockImage(tiff_blocks.open_stored(path, False))
    found, scale = segment_levels.object_mask(labels, 11 * 15, 2)
    assert scale == 4 and found.shape == (11, 15)
    wanted = np.ones((11, 15), np.uint8)
    wanted[:, 27 // 4] = 2
    np.testing.assert_array_equal(found, wanted)

"""Annotations as masks of canvases: windows, frames, repairs, bad input."""

import functools
import json
import shutil

import numpy as np
import pytest
import slide_files
import tifffile
from programs import run_line, run_program

from histogan_tf import canvas, window_paint
from histogan_tf.data import classes, images, phantom, png
from histogan_tf.errors import InputError
from trainer import drawn_masks
from trainer.canvas_masks import MaskReader
from trainer.drawn_masks import DrawnMasks

TABLE = classes.load(phantom.CLASSES_FILE)
SIZE, MPP = (150, 190), 2.5  # at the run's 5 um/px: 75 x 95
TIE = [[20, 20], [90, 90], [90, 20], [20, 90], [20, 20]]
RING = [[60, 30], [170, 50], [150, 140], [50, 120], [60, 30]]
HOLE = [[90, 60], [130, 70], [110, 100], [90, 60]]
ASAP = """<ASAP_Annotations><Annotations>
<Annotation Name="a" PartOfGroup="epithelium" Type="Polygon"><Coordinates>
{}</Coordinates></Annotation></Annotations><AnnotationGroups>
<Group Name="epithelium" PartOfGroup="None" Color="#00ff00"/>
</AnnotationGroups></ASAP_Annotations>"""


def geojson(path, *drawn):
    """Writes (class, rings) as QuPath does."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings},
            "properties": {"classification": {"name": name}},
        }
        for name, rings in drawn
    ]
    value = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(value))
    return path


def asap(path, ring):
    points = "".join(
        f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>'
        for n, (x, y) in enumerate(ring[:-1])
    )
    path.write_text(ASAP.format(points))
    return path


def reader(reference=None, size=SIZE, mpp=MPP, finest=5.0):
    drawn = DrawnMasks(TABLE, reference, size, mpp)
    return MaskReader(TABLE.map_mask, False, mpp or finest, finest, drawn)


@pytest.fixture
def drawn(tmp_path):
    return geojson(
        tmp_path / "case.geojson",
        ("epithelium", [RING, HOLE]),
        ("lumen", [TIE]),
    )


@pytest.fixture
def synthesize(random_run, random_canvas, random_painter, capsys, monkeypatch):
    monkeypatch.setattr(canvas, "Canvas", lambda pyramid: random_canvas)
    monkeypatch.setattr(
        window_paint, "WindowPainter", lambda pyramid: random_painter
    )
    return functools.partial(
        run_program,
        "trainer.synthesize",
        capsys,
        monkeypatch,
        run_dir=random_run,
    )


@pytest.mark.parametrize("finest", [2.5, 3.7, 5.0, 0.8])
def test_windows_are_those_of_the_whole(finest, drawn):
    made = reader(finest=finest)
    source, whole = made.open(drawn), made.whole(drawn)
    assert whole.shape == (source.height, source.width)
    assert source.height == round(SIZE[0] * MPP / finest)
    assert set(np.unique(whole)) == {1, 2, 255}
    rng = np.random.default_rng(0)
    for _ in range(40):
        top, left = (int(rng.integers(n)) for n in whole.shape)
        tall = int(rng.integers(1, source.height - top + 1))
        wide = int(rng.integers(1, source.width - left + 1))
        np.testing.assert_array_equal(
            source.read(top, left, tall, wide),
            whole[top : top + tall, left : left + wide],
        )


def test_a_canvas_of_annotations_is_that_of_their_mask(
    synthesize, drawn, tmp_path, capsys, monkeypatch
):
    """Through the whole program; windows and pyramid as for any mask."""
    ids = reader().whole(drawn)
    ids[ids == 255] = 0  # what is not annotated
    (tmp_path / "plain").mkdir()
    tifffile.imwrite(tmp_path / "plain" / "case.tif", ids)
    given = {"seed": 3, "canvas": True}
    code, text, err = synthesize(
        masks=drawn,
        mpp=MPP,
        canvas_size="150x190",
        output=f"{tmp_path / 'a'}/",
        **given,
    )
    assert code == 0, err
    assert "1 polygons that cross themselves, repaired" in text
    assert f"--mask {drawn} --mask_mpp 2.5" in text
    check_view(text, tmp_path / "a_view" / "case_3", capsys, monkeypatch)
    code, _, err = synthesize(
        masks=tmp_path / "plain", class_ids=True, output=tmp_path / "b", **given
    )
    assert code == 0, err
    a, b = (
        tifffile.imread(tmp_path / name / "case_3.ome.tif") for name in "ab"
    )
    assert a.shape == (75, 95, 3)
    np.testing.assert_array_equal(a, b)
    (entry,) = json.loads((tmp_path / "a" / "synthesis.json").read_text())[
        "images"
    ]
    assert entry["drawn_on"] == {
        "height": 150,
        "width": 190,
        "mpp": 2.5,
        "origin": [0, 0],
    }


def check_view(text, folder, capsys, monkeypatch):
    """The printed command lays the annotations where they were painted."""
    (line,) = [one for one in text.splitlines() if "trainer.view" in one]
    code, _, err = run_line(line, capsys, monkeypatch)
    assert code == 0, err
    path = folder / "mask_files" / "7" / "0_0.png"
    shown = png.decode_indices(path.read_bytes())
    ids = reader().whole(folder.parents[1] / "case.geojson")
    np.testing.assert_array_equal(shown, np.minimum(ids, 3))


def test_small_ones_become_png_and_a_slide_gives_the_frame(
    synthesize, drawn, tmp_path
):
    slides = tmp_path / "slides"
    slides.mkdir()
    image = slide_files.painted(*SIZE)
    slide_files.write_pages(slides / "case.tif", [image], MPP)
    code, text, err = synthesize(
        masks=drawn, reference=slides, output=tmp_path / "a"
    )
    assert code == 0, err
    assert "1 images of 1 masks" in text and "repaired" in text
    again = {"masks": drawn, "reference": slides, "mpp": 3.0}
    code, text, err = synthesize(**again, output=tmp_path / "coarser")
    assert code == 0, err
    assert "case.tif: states 2.5 um/px, --mpp 3 is used" in text
    code, _, err = synthesize(
        masks=drawn, mpp=MPP, canvas_size="150x190", output=tmp_path / "b"
    )
    assert code == 0, err
    a, b = (images.read_image(tmp_path / n / "case_0.png") for n in "ab")
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        reader(str(slides / "case.tif"), None, None).whole(drawn),
        reader().whole(drawn),
    )


def test_asap_and_geojson_say_the_same(tmp_path):
    one = geojson(tmp_path / "a.geojson", ("epithelium", [RING]))
    other = asap(tmp_path / "b.xml", RING)
    np.testing.assert_array_equal(reader().whole(one), reader().whole(other))


def test_large_ones_are_told_by_their_frame(drawn):
    assert not reader().large(drawn)
    assert reader(size=(10**5, 10**5)).large(drawn)


def test_other_frames_are_not_continued(
    synthesize, drawn, tmp_path, monkeypatch
):
    from histogan_tf import paint_canvas

    def broken(*_):
        raise KeyboardInterrupt

    given = {"masks": drawn, "mpp": MPP, "canvas": True}
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(paint_canvas, "paint_canvas", broken)
        assert synthesize(canvas_size="150x190", output=out, **given)[0] == 130
    code, _, err = synthesize(canvas_size="150x200", output=out, **given)
    assert (
        code == 2
        and "case_0.ome.tif: unfinished work of another drawn_on" in err
    )
    assert synthesize(canvas_size="150x190", output=out, **given)[0] == 0


FAR = [[900, 900], [950, 900], [950, 950], [900, 900]]
BAD = [
    ({}, "annotations need --reference SLIDE, or --canvas_size and --mpp"),
    ({"canvas_size": "150x190"}, "need --reference SLIDE"),
    ({"canvas_size": "150", "mpp": 1}, "'150': HEIGHTxWIDTH in px is allowed"),
    ({"canvas_size": "0x5", "mpp": 1}, "each 1 to 1000000"),
    ({"canvas_size": "5x5", "reference": "x.svs"}, "state one of them"),
    ({"reference": "nowhere"}, "nowhere: no file there ends in"),
    ({"canvas_size": "9x9", "mpp": 1}, "lie outside the slide of 9 x 9 px"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_bad_flags(values, message, synthesize, drawn, tmp_path):
    code, _, err = synthesize(masks=drawn, output=tmp_path / "o", **values)
    assert code == 2 and err.startswith("error: ") and message in err, err
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["case.geojson"]


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ([("nerve", [RING])], "'nerve' (1); allowed: stroma, epithelium"),
        ([("epithelium", [FAR])], "all 1 annotations lie outside"),
        ([], "no annotation to use among 0"),
    ],
)
def test_bad_annotations(drawn, message, synthesize, tmp_path):
    path = geojson(tmp_path / "bad.geojson", *drawn)
    code, _, err = synthesize(
        masks=path,
        mpp=MPP,
        canvas_size="150x190",
        canvas=True,
        output=tmp_path / "o",
    )
    assert code == 2 and "bad.geojson" in err and message in err, err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.geojson"]


def test_broken_files_and_slides(synthesize, drawn, real_data, tmp_path):
    (tmp_path / "cut.geojson").write_text('{"type": "Feat')
    for masks, reference, message in (
        (tmp_path / "cut.geojson", None, "cut.geojson"),
        (drawn, real_data / "slides" / "broken.svs", "broken.svs"),
    ):
        values = {"reference": reference} if reference else {"mpp": 1}
        values |= {} if reference else {"canvas_size": "9x9"}
        code, _, err = synthesize(masks=masks, output=tmp_path / "o", **values)
        assert code == 2 and message in err and err.count("\n") == 1


def test_json_is_an_annotation_where_it_is_asked_for():
    for source in ("folder", "folder/*", "a/*.geojson"):
        assert drawn_masks.endings(source) == (".geojson", ".xml")
    for source in ("areas/*.json", "areas/a.JSON"):
        assert ".json" in drawn_masks.endings(source)


def test_the_slide_of_another_name(drawn, tmp_path):
    slide_files.write_pages(
        tmp_path / "other.tif", [slide_files.painted(20, 20)], 1.0
    )
    with pytest.raises(InputError, match="no slide named case there"):
        reader(str(tmp_path), None, None).whole(drawn)
    slide_files.write_pages(
        tmp_path / "case.ome.tif", [slide_files.painted(300, 300)], 1.0
    )
    assert reader(str(tmp_path), None, None).whole(drawn).any()
    shutil.copyfile(tmp_path / "case.ome.tif", tmp_path / "case.tiff")
    with pytest.raises(
        InputError, match=r"case\.ome\.tif and .*case\.tiff may"
    ):
        reader(str(tmp_path), None, None).whole(drawn)


def test_a_slide_whose_ending_the_annotations_bear(drawn, tmp_path):
    slide_files.write_pages(
        tmp_path / "case.tif", [slide_files.painted(300, 300)], 1.0
    )
    path = tmp_path / "case.tif.geojson"
    path.write_bytes(drawn.read_bytes())
    shutil.copyfile(tmp_path / "case.tif", tmp_path / "case.ome.tif")
    assert reader(str(tmp_path), None, None).whole(path).any()

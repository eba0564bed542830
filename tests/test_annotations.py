"""Annotations held against slide and classes: mended, noted or refused."""

import json

import numpy as np
import pytest
import shapely

from histogan_tf.data import annotations, classes, geojson, images, slides
from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.drawn import Drawn
from histogan_tf.data.rasterise import Shapes, rasterise
from histogan_tf.errors import InputError, UnreadableError

TABLE = ClassTable(
    tuple(
        ClassInfo(n, name, (n, n, n))
        for n, name in enumerate(("stroma", "gland", "lumen"))
    )
)


def named(shape, *names, certain=True):
    return Drawn(names, certain, shape)


def shapes(*drawn, height=50, width=80):
    return annotations.to_shapes(list(drawn), "a.json", TABLE, height, width)


def refuse(message, *drawn):
    with pytest.raises(InputError, match=message) as caught:
        shapes(*drawn)
    assert "\n" not in str(caught.value)


BOX = shapely.box(10, 10, 20, 30)


def test_good_ones_pass_without_a_note():
    found, notes = shapes(named(BOX, "gland"), named(BOX, "stroma"))
    assert found == [(BOX, 1), (BOX, 0)] and notes == ()


def test_a_bow_tie_keeps_both_wings():
    tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    found, notes = shapes(named(tie, "gland"), named(BOX, "gland"))
    assert found[0][0].is_valid
    assert found[0][0].area == pytest.approx(50)
    assert notes == ("a.json: 1 polygons that cross themselves, repaired",)


def test_a_loop_drawn_over_itself_stays_filled():
    twice = [(0, 0), (10, 0), (10, 10), (4, 10), (4, 4), (14, 4), (14, 14)]
    loop = shapely.Polygon([*twice, (0, 14)])
    found, _ = shapes(named(loop, "gland"))
    # Winding number 2 where the loop covers itself, as on QuPath's screen.
    assert shapely.contains_xy(found[0][0], 7, 7)
    assert shapely.contains_xy(found[0][0], 2, 2)


def test_beyond_the_border_is_cut():
    found, notes = shapes(named(shapely.box(70, 40, 90, 60), "lumen"))
    assert found[0][0].bounds == (70, 40, 80, 50)
    assert notes == ("a.json: 1 cut at the slide's border",)


def test_outside_is_left_out():
    far = shapely.box(100, 100, 110, 110)
    found, notes = shapes(named(far, "gland"), named(BOX, "gland"))
    assert found == [(BOX, 1)]
    assert notes == ("a.json: 1 outside the slide left out",)


def test_touching_from_outside_is_outside():
    beside = shapely.box(80, 0, 90, 50)
    found, notes = shapes(named(beside, "gland"), named(BOX, "gland"))
    assert found == [(BOX, 1)] and "outside" in notes[0]


def test_all_outside_is_refused():
    refuse(
        r"a\.json: all 1 annotations lie outside the slide of 80 x 50 px:"
        r" x 100 to 110, y 200 to 210",
        named(shapely.box(100, 200, 110, 210), "gland"),
    )


def test_without_area_or_class_is_left_out():
    found, notes = shapes(
        named(shapely.Polygon(), "gland"),
        named(BOX, certain=False),
        named(BOX, "ROI 1", certain=False),
        named(BOX, "lumen", certain=False),
    )
    assert found == [(BOX, 2)]
    assert notes == (
        "a.json: 1 without area (points, lines, dots) left out",
        "a.json: 2 without a class left out",
    )


def test_nothing_to_use_is_refused():
    refuse(r"a\.json: no annotation to use among 0; .* by --unlabelled$")
    refuse("among 1; 1 without area", named(shapely.Polygon(), "gland"))
    # Somebody meant to label it: no advice to do without.
    refuse("among 1; 1 without a class left out$", named(BOX, certain=False))


def test_unknown_classes_are_listed():
    refuse(
        r"a\.json: .*'Tumor' \(2\), 'x' \(1\); allowed: stroma, gland, lumen",
        named(BOX, "Tumor"),
        named(BOX, "Tumor"),
        named(BOX, "x"),
        named(BOX, "gland"),
    )


def test_names_that_differ_in_case_only():
    refuse(
        r"'GLAND' \(2; did you mean 'gland'\?\), 'x' \(1\); allowed",
        named(BOX, "GLAND"),
        named(BOX, "x"),
        named(BOX, "GLAND"),
    )


def test_derived_classes_and_ignored_ones():
    found, _ = shapes(
        named(BOX, "gland: Positive", "gland"), named(BOX, "Ignore*")
    )
    assert [identity for _, identity in found] == [1, 255]


def test_further_names_of_a_class_and_blanks_around_them():
    infos = (ClassInfo(0, "gland", (0, 0, 0), annotations=("_0", "Tumor")),)
    found, _ = annotations.to_shapes(
        [named(BOX, name) for name in (" gland", "_0 ", "Tumor")],
        "a.json",
        ClassTable(infos),
        50,
        80,
    )
    assert found == [(BOX, 0)] * 3


def test_class_names_from_a_mac_are_the_same():
    entry = {"id": 0, "name": "Dru\u0308se", "color": [0, 0, 0]}
    table = classes.from_json({"classes": [entry]}, "c.json")
    assert table.names == ("Dr\u00fcse",)
    for name in ("Dru\u0308se", "Dr\u00fcse"):
        assert annotations.class_of(named(BOX, name), table) == 0


def test_regions_lie_beneath_all_and_annotate_nothing():
    small = shapely.box(12, 12, 14, 14)
    found, notes = shapes(
        named(BOX, "gland"), named(small, "Region*"), named(small, "Other*")
    )
    assert found == [(BOX, 1)] and notes == ()
    # A frame alone is no mistake: the slide is unlabelled.
    found, _ = shapes(named(BOX, "Region*"))
    assert found == []
    assert (rasterise(Shapes(found, 1.0), 0, 0, 30, 30, 1.0) == 255).all()


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "slide.png"
    images.write_png(path, np.zeros((50, 80, 3), np.uint8))
    with slides.open_slide(path, 0.5) as opened:
        yield opened


def feature(ring, name):
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": name, "color": [0, 0, 0]}},
    }


def test_qupath_counts_from_where_the_scan_begins(tmp_path, slide):
    path = tmp_path / "a.json"
    ring = [[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]]
    path.write_text(json.dumps([feature(ring, "gland")]))
    slide.origin = (6, 40)
    labels = annotations.open_labels(path, TABLE, slide)
    wanted = np.full((50, 80), 255)
    wanted[6:16, 40:60] = 1
    np.testing.assert_array_equal(labels.read(0, 0, 50, 80, 0.5), wanted)


def test_cells_are_no_labels(tmp_path, slide):
    path = tmp_path / "a.geojson"
    area = feature([[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]], "stroma")
    cells = [
        feature([[x, 2], [x + 4, 2], [x + 4, 6], [x, 6], [x, 2]], "gland")
        for x in (2, 10)
    ]
    area["properties"]["objectType"] = "annotation"
    for cell in cells:
        cell["properties"]["objectType"] = "cell"
    path.write_text(json.dumps([area, *cells]))
    labels = annotations.open_labels(path, TABLE, slide)
    wanted = np.full((50, 80), 255)
    wanted[:10, :20] = 0
    np.testing.assert_array_equal(labels.read(0, 0, 50, 80, 0.5), wanted)
    note = "2 cells, detections or the like left out: annotations label tissue"
    assert labels.notes == (f"{path}: {note}",)
    path.write_text(json.dumps(cells))
    with pytest.raises(InputError, match=f"no annotation .* among 2; {note}"):
        annotations.open_labels(path, TABLE, slide)


def test_files_are_told_by_their_content(tmp_path, slide):
    ring = [[10, 10], [20, 10], [20, 30], [10, 30], [10, 10]]
    wanted = np.full((25, 40), 255)
    wanted[5:15, 5:10] = 1
    points = "".join(
        f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>'
        for n, (x, y) in enumerate(ring)
    )
    texts = (
        "\ufeff \n" + json.dumps([feature(ring, "gland")]),
        '<ASAP_Annotations><Annotations><Annotation Name="" Type="Polygon"'
        f' PartOfGroup="gland"><Coordinates>{points}</Coordinates>'
        "</Annotation></Annotations></ASAP_Annotations>",
    )
    for text in texts:
        (tmp_path / "any.txt").write_text(text)
        labels = annotations.open_labels(tmp_path / "any.txt", TABLE, slide)
        np.testing.assert_array_equal(labels.read(0, 0, 25, 40, 1.0), wanted)
        assert labels.notes == ()
    table = ClassTable(TABLE.classes, ignore=(255,))
    mask = np.full((50, 80), 255, np.uint8)
    mask[10:30, 10:20] = 1
    images.write_png(tmp_path / "mask.png", mask)
    labels = annotations.open_labels(tmp_path / "mask.png", table, slide)
    np.testing.assert_array_equal(labels.read(0, 0, 25, 40, 1.0), wanted)


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b"", "empty file"),
        (b"\xef\xbb\xbf \n", "empty file"),
        ("[]".encode("utf-16"), "UTF-16 text"),
        (b"\xfe\xff\0[\0]", "UTF-16 text"),
        (b"PK\3\4", "begins with b'PK"),
    ],
)
@pytest.mark.parametrize("name", ["a.geojson", "a.JSON", "a.xml"])
def test_files_of_no_text_name_their_trouble(
    tmp_path, slide, name, data, trouble
):
    (tmp_path / name).write_bytes(data)
    # --skip_bad goes on after an UnreadableError.
    with pytest.raises(UnreadableError, match=f"{name}: {trouble}.*UTF-8"):
        annotations.open_labels(tmp_path / name, TABLE, slide)


def test_no_such_file(tmp_path, slide):
    with pytest.raises(InputError, match=r"none\.xml: No such file"):
        annotations.open_labels(tmp_path / "none.xml", TABLE, slide)


def test_real_asap_annotations_lie_outside_the_small_region(real_data):
    table = ClassTable(
        (
            ClassInfo(0, "benign", (0, 0, 0)),
            ClassInfo(1, "malignant", (9, 9, 9)),
        )
    )
    path = real_data / "annotations/asap_cmu1.xml"
    with (
        slides.open_slide(
            real_data / "slides/CMU-1-Small-Region.svs"
        ) as region,
        pytest.raises(InputError, match=r"all 4 .* outside .* 2220 x 2967 px"),
    ):
        annotations.open_labels(path, table, region)


def test_real_areas_paint_what_shapely_says(real_data):
    folder = real_data / "annotations/cervix_areas"
    path = folder / "x-41000_y-83000_areas.json"
    names = ("areasquam", "areagland", "areastroma", "area_cin")
    table = ClassTable(
        tuple(ClassInfo(n, name, (n, n, n)) for n, name in enumerate(names))
    )
    found, _ = annotations.to_shapes(
        geojson.read(path), path, table, 100_000, 60_000
    )
    mask = rasterise(Shapes(found, 0.25), 41500, 20500, 500, 500, 0.5)
    assert len(found) == 5
    rows, columns = np.mgrid[41500:42000, 20500:21000]
    for identity in range(4):
        inside = np.zeros(mask.shape, bool)
        for shape, other in found:
            if other == identity:
                shapely.prepare(shape)
                # Centres on an edge count for either side.
                inside |= shapely.intersects_xy(
                    shape, columns * 2 + 1, rows * 2 + 1
                )
        # Where areas overlap the smaller has the pixel.
        assert ((mask == identity) <= inside).all()
    assert ((mask == 255) | (mask < 4)).all() and (mask < 4).any()

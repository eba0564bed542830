"""Class tables against hand-made masks; the boundary against 7x7 arrays."""

import json

import numpy as np
import pytest

from histogan_tf.data import classes, images
from histogan_tf.errors import InputError

TABLES = classes.__file__.replace("classes.py", "class_tables/")


def entry(place, **more):
    return {"id": place, "name": f"c{place}", "color": [place] * 3} | more


def table(*entries, **more):
    return classes.from_json({"classes": list(entries)} | more, "c.json")


def test_values_ranges_and_ignore():
    made = table(
        entry(1, values=["2-4", 9]), entry(0, values=[0]), ignore=[255]
    )
    raw = np.array([[0, 2, 3], [4, 9, 255]], np.uint8)
    out = made.map_mask(raw, "m.png")
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, [[0, 1, 1], [1, 1, 255]])
    assert made.names == ("c0", "c1") and made.count == 2
    np.testing.assert_array_equal(made.palette(), [[0] * 3, [1] * 3])


def test_without_values_the_id_is_the_value():
    raw = np.array([[0, 1]], np.uint16)
    np.testing.assert_array_equal(
        table(entry(0), entry(1)).map_mask(raw, "m"), raw
    )


def test_equal_channels_are_grey_values():
    raw = np.array([[[1, 1, 1], [0, 0, 0]]], np.uint8)
    out = table(entry(0), entry(1)).map_mask(raw, "m")
    np.testing.assert_array_equal(out, [[1, 0]])


def test_colors():
    made = table(
        entry(0, colors=[[0, 0, 0], [1, 2, 3]]),
        entry(1, colors=[[255, 0, 0]]),
        ignore_colors=[[9, 9, 9]],
    )
    raw = [[0, 0, 0], [1, 2, 3], [255, 0, 0], [9, 9, 9]]
    out = made.map_mask(np.array([raw], np.uint8), "m")
    np.testing.assert_array_equal(out, [[0, 0, 1, 255]])
    grey = made.map_mask(np.array([[0, 9]], np.uint8), "m")
    np.testing.assert_array_equal(grey, [[0, 255]])


def test_unmapped_value_names_file_value_and_count():
    raw = np.array([[0, 7, 7], [1, 7, 9]], np.uint8)
    with pytest.raises(
        InputError, match=r"a/m.png.*value 7 in 3 pixels.*1 oth"
    ):
        table(entry(0), entry(1)).map_mask(raw, "a/m.png")


def test_unmapped_color_names_file_color_and_count():
    made = table(entry(0, colors=[[0, 0, 0]]))
    raw = np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8)
    with pytest.raises(InputError, match=r"m.*\[1, 2, 3\] in 1 pixels"):
        made.map_mask(raw, "m")


def test_kind_of_mask_must_fit_the_table():
    colour = np.array([[[1, 2, 3]]], np.uint8)
    with pytest.raises(InputError, match="maps values; state `colors` in"):
        table(entry(0)).map_mask(colour, "m")
    with pytest.raises(InputError, match="maps 8-bit colours"):
        table(entry(0, colors=[[0, 0, 0]])).map_mask(
            np.zeros((2, 2), np.uint16), "m"
        )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "an object is needed"),
        ({"classes": [entry(0)], "clases": 1}, "unknown key 'clases'"),
        ({"classes": [entry(0, valuse=[1])]}, "unknown key 'valuse'"),
        ({"classes": [{"id": 0, "color": [0, 0, 0]}]}, "'name' is missing"),
        ({"ignore": []}, "'classes' is missing"),
        ({"classes": []}, "ids are"),
        ({"classes": [entry(0), entry(0)]}, r"ids are \[0, 0\]"),
        ({"classes": [entry(0), entry(2)]}, r"ids are \[0, 2\]"),
        ({"classes": [entry(True)]}, "id is True"),
        ({"classes": [entry(255)]}, "0..254"),
        ({"classes": [entry(0, color=[0, 256, 0])]}, "color is 256"),
        ({"classes": [entry(0, color=[0, 1])]}, r"\[r, g, b\]"),
        ({"classes": [entry(0, name="")]}, "name is ''"),
        ({"classes": [entry(0, boundary=1)]}, "boundary is 1"),
        ({"classes": [entry(0, values=["5-2"])]}, "'5-2'"),
        ({"classes": [entry(0, values=["x"])]}, "'x'"),
        ({"classes": [entry(0, values=3)]}, "a list is needed"),
        ({"classes": [entry(0, values=[-1])]}, "-1"),
        (
            {"classes": [entry(0), entry(1, values=[0])]},
            "value 0 stands in two",
        ),
        ({"classes": [entry(0)], "ignore": [0]}, "value 0 stands in two"),
        ({"classes": [entry(0), entry(1, colors=[[1, 1, 1]])]}, "throughout"),
        (
            {"classes": [entry(0)], "ignore_colors": [[0, 0, 0]]},
            "needs classes",
        ),
        ({"classes": [entry(0), entry(1, name="c0")]}, "repeat"),
        ({"classes": [entry(0, annotations="a")]}, "'a'; a list is needed"),
        ({"classes": [entry(0, annotations=[" "])]}, "annotations is ' '"),
        (
            {"classes": [entry(0, annotations=["c1"]), entry(1)]},
            "'c1' repeats: ids 1 and 0",
        ),
        (
            {"classes": [entry(n, annotations=["x"]) for n in (0, 1)]},
            "'x' repeats: ids 0 and 1",
        ),
        (
            {"classes": [entry(0, boundary=True), entry(1, boundary=True)]},
            "more than one",
        ),
    ],
)
def test_bad_tables(data, message):
    with pytest.raises(InputError, match=message) as caught:
        classes.from_json(data, "c.json")
    assert "c.json" in str(caught.value) and "\n" not in str(caught.value)


def test_names_that_annotations_may_have():
    made = table(
        entry(0, name=" c0 "), entry(1, annotations=["tumour ", "_0", "c1"])
    )
    assert made.names == ("c0", "c1")
    assert made.ids_by_name == {"c0": 0, "c1": 1, "tumour": 1, "_0": 1}
    again = json.loads(json.dumps(made.to_json()))
    assert classes.from_json(again, "c") == made
    assert made.of_ids().ids_by_name == made.ids_by_name


def test_load_names_the_file(tmp_path):
    path = tmp_path / "c.json"
    with pytest.raises(InputError, match=r"c\.json: No such file"):
        classes.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match=r"c\.json: not JSON"):
        classes.load(path)


def test_a_byte_order_mark(tmp_path):
    # As Windows' editors write it.
    path = tmp_path / "c.json"
    entry = {"id": 0, "name": "gland", "color": [1, 2, 3]}
    path.write_text(json.dumps({"classes": [entry]}), encoding="utf-8-sig")
    assert classes.load(path).names == ("gland",)


@pytest.mark.parametrize("name", ["glas", "glas_boundary", "gleason"])
def test_packaged_tables_survive_json(name):
    made = classes.load(f"{TABLES}{name}.json")
    again = json.loads(json.dumps(made.to_json()))
    assert classes.from_json(again, "c") == made


def test_boundary_of_touching_instances_and_background():
    # Instances 1 and 5 touch between columns 3 and 4; the image's edge cuts
    # both, and only row 6 is background.
    instances = np.array([[1, 1, 1, 1, 5, 5, 5]] * 6 + [[0] * 7])
    rim = np.array(
        [[0, 0, 0, 1, 1, 0, 0]] * 5 + [[1, 1, 1, 1, 1, 1, 1], [0] * 7], bool
    )
    np.testing.assert_array_equal(
        classes.boundary_from_instances(instances, 1.0), rim
    )
    wider = np.array(
        [[0, 0, 1, 1, 1, 1, 0]] * 4 + [[1] * 7, [1] * 7, [0] * 7], bool
    )
    np.testing.assert_array_equal(
        classes.boundary_from_instances(instances, 2.0), wider
    )


def test_boundary_width_is_euclidean():
    # Background at the corner only: centres within 1.5 px are the two
    # neighbours (distance 1) and the diagonal one (1.41).
    instances = np.ones((7, 7), np.uint16)
    instances[0, 0] = 0
    rim = np.zeros((7, 7), bool)
    rim[0, 1] = rim[1, 0] = rim[1, 1] = True
    np.testing.assert_array_equal(
        classes.boundary_from_instances(instances, 1.5), rim
    )
    rim[1, 1] = False
    for width in (1.0, 0.2):  # Less than one pixel counts as one.
        np.testing.assert_array_equal(
            classes.boundary_from_instances(instances, width), rim
        )


def test_boundary_of_nothing_and_of_everything():
    for value in (0, 3):
        whole = np.full((7, 7), value)
        assert not classes.boundary_from_instances(whole, 2.0).any()


def test_boundary_separates_touching_glands(real_data):
    path = real_data / "glas/labels/train_1_anno.png"
    ids = images.read_mask_raw(path)
    rim = classes.boundary_from_instances(ids, 3 / 0.62)
    inside = (ids > 0) & ~rim
    # Right neighbours in different glands: both are rim.
    left, right = ids[:, :-1], ids[:, 1:]
    touching = (left != right) & (left > 0) & (right > 0)
    assert not (touching & (inside[:, :-1] | inside[:, 1:])).any()
    assert 0.02 < rim.mean() < 0.2

"""Pairing by stem and grouping by patient."""

import pytest

from histogan_tf.data import pairs
from histogan_tf.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("i/a.png", "i/b.jpg", "m/a_x.png", "m/b_x.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def pair(folder, **more):
    arguments = {"suffix": "_x", "group_of": pairs.no_groups} | more
    return pairs.pair(str(folder / "i"), str(folder / "m"), **arguments)


def test_pairs_by_stem_and_suffix(folder):
    first, second = pair(folder)
    assert (first.name, first.image.name, first.mask.name) == (
        "a",
        "a.png",
        "a_x.png",
    )
    assert (second.image.name, second.mask.name) == ("b.jpg", "b_x.tif")
    assert first.instances is None and first.group == ""


def test_names_from_a_mac_pair_with_composed_ones(tmp_path):
    # Decomposed: "a" and U+0308; both look the same.
    two, one = "Pra\u0308parat", "Pr\u00e4parat"
    for name in (f"i/{two}.png", f"m/{one}_x.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    table = tmp_path / "groups.csv"
    table.write_text(f"image,Scha\u0308del\n{two}.png,seven\n")
    (found,) = pair(
        tmp_path, group_of=pairs.group_by_table(table, "Sch\u00e4del")
    )
    assert found.name == one and found.group == "seven"
    assert found.image.name == f"{two}.png"  # the file itself stays
    assert found.mask.name == f"{one}_x.png"
    assert pairs.group_by_pattern("^(Pra\u0308)")(found.image) == "Pr\u00e4"


def test_ome_is_a_part_of_the_ending(tmp_path):
    for name in ("i/case.ome.tif", "m/case.geojson", "i/b.svs", "m/b.ome.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = pairs.pair(
        str(tmp_path / "i"),
        str(tmp_path / "m"),
        pairs.no_groups,
        kinds=((".svs", ".tif"), (".geojson", ".tif")),
    )
    assert [(s.name, s.mask.name) for s in found] == [
        ("b", "b.ome.tif"),
        ("case", "case.geojson"),
    ]


def test_a_masks_name_may_hold_the_slides_ending(tmp_path):
    names = "i/a.svs", "i/b.ome.tif", "i/c.svs.tif", "i/d.svs"
    labels = "m/a_x.svs.geojson", "m/b.ome.tif_x.json", "m/d_x.geojson"
    for name in (*names, *labels, "m/c.svs.geojson"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kinds = ((".svs", ".tif"), (".geojson", ".json"))
    found = pair(tmp_path, kinds=kinds)
    assert [(s.image.name, s.mask.name) for s in found] == [
        ("a.svs", "a_x.svs.geojson"),
        ("b.ome.tif", "b.ome.tif_x.json"),
        # Its own name goes first.
        ("c.svs.tif", "c.svs.geojson"),
        ("d.svs", "d_x.geojson"),
    ]
    (tmp_path / "m/a_x.json").touch()
    with pytest.raises(InputError, match="a second mask named 'a' beside"):
        pair(tmp_path, kinds=kinds)


def test_images_and_masks_in_one_folder(tmp_path, monkeypatch):
    for name in ("a", "a_m", "b", "b_m"):
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "o").mkdir()
    monkeypatch.chdir(tmp_path)
    for images in (str(tmp_path), "*.png", f"{tmp_path}/o/../*.png"):
        found = pairs.pair(images, "*_m.png", pairs.no_groups, "_m")
        assert [(s.image.name, s.mask.name) for s in found] == [
            ("a.png", "a_m.png"),
            ("b.png", "b_m.png"),
        ]
    with pytest.raises(InputError, match=r"all 4 files .* as masks too"):
        pairs.pair("*.png", "*", pairs.no_groups)


def test_instances_may_be_the_masks(folder):
    for source in pair(folder, instances=str(folder / "m" / "*")):
        assert source.instances == source.mask


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("i/c.png", r"c\.png: no mask of the same name.*--unlabelled"),
        ("m/c_x.png", r"c_x\.png: a mask without an image"),
        ("i/a.jpg", r"a\.png: a second image named 'a' beside .*a\.jpg"),
        ("m/a_x.bmp", r"a_x\.png: a second mask named 'a' beside"),
    ],
)
def test_files_that_do_not_pair(folder, extra, message):
    (folder / extra).touch()
    with pytest.raises(InputError, match=message):
        pair(folder)


def test_further_files_are_counted(folder):
    for name in ("c", "d", "e"):
        (folder / f"i/{name}.png").touch()
    with pytest.raises(InputError, match=r"c\.png \(and 2 more\)"):
        pair(folder)


def test_empty_folder_and_missing_instances(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no file there ends in"):
        pair(folder, instances=str(folder / "empty"))
    with pytest.raises(InputError, match="no instance mask of the same name"):
        pair(folder, instances=str(folder / "m/a_x.png"))


def test_one_file_for_two_purposes(folder):
    labelled = pair(folder)
    other = pairs.unlabelled(str(folder / "i"), pairs.no_groups)
    pairs.check_distinct(labelled)
    with pytest.raises(InputError, match=r"a\.png: given twice"):
        pairs.check_distinct(labelled + other)


def test_group_by_pattern(tmp_path):
    group_of = pairs.group_by_pattern(r"p(\d+)_")
    assert group_of(tmp_path / "tile_p12_3.png") == "12"
    with pytest.raises(InputError, match=r"x\.png.*does not match 'x'"):
        group_of(tmp_path / "x.png")
    # No name, no patient: such images would part among train and validation.
    group_of = pairs.group_by_pattern(r"^([A-Z]*)\d")
    with pytest.raises(InputError, match=r"7\.png: .* finds no patient in '7'"):
        group_of(tmp_path / "7.png")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "unterminated"), ("abc", "capture group")],
)
def test_bad_patterns(pattern, message):
    with pytest.raises(InputError, match=message):
        pairs.group_by_pattern(pattern)


def table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name", ["a", "a.svs", "a.MRXS", "a.ome.tif", "a.ome.tiff", "a.png"]
)
def test_tables_may_name_slides_by_their_files(tmp_path, name):
    path = table(tmp_path, f"slide,p\n{name},seven\n")
    group_of = pairs.group_by_table(path, "p")
    assert group_of(tmp_path / name) == group_of(tmp_path / "a.svs") == "seven"


def test_group_by_table(tmp_path):
    path = table(tmp_path, "name, patient ID ,x\na, 4,\nb.png ,5,\n\n")
    group_of = pairs.group_by_table(path, "patient ID")
    assert group_of(tmp_path / "a.png") == "4"
    assert group_of(tmp_path / "b.tif") == "5"
    with pytest.raises(InputError, match=r"c\.png: not named in --groups"):
        group_of(tmp_path / "c.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are"),
        ("name,other\na,1\n", "'p'; its columns are name, other"),
        ("name;p\na;1,5\n", "one column, 'name;p'; commas are needed"),
        ("name\tp\na\t1\n", r"one column, 'name\\tp'; commas are needed"),
        ("name,p\na\n", "row 2 has 1 cells"),
        ("name,p\na,\n", "a: column 'p' is ''"),
        ("name,p\na,1\na,2\n", "a: column 'p' is '2'"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        pairs.group_by_table(table(tmp_path, text), "p")


def test_missing_table(tmp_path):
    with pytest.raises(InputError, match=r"no\.csv: No such file"):
        pairs.group_by_table(tmp_path / "no.csv", "p")


def test_real_grades(real_data):
    group_of = pairs.group_by_table(real_data / "glas/Grade.csv", "patient ID")
    found = pairs.pair(
        str(real_data / "glas/images/train_*.png"),
        str(real_data / "glas/labels/train_*.png"),
        group_of,
        "_anno",
    )
    assert len(found) == 85
    assert len({source.group for source in found}) == 15

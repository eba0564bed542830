"""Pairing by stem and grouping by patient."""

import pytest

from histogan_tf.data import groups, pairs, splits
from histogan_tf.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("i/a.png", "i/b.jpg", "m/a_x.png", "m/b_x.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def pair(folder, **more):
    arguments = {"suffix": "_x", "group_of": groups.no_groups} | more
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
        tmp_path, group_of=groups.group_by_table(table, "Sch\u00e4del")
    )
    assert found.name == one and found.group == "seven"
    assert found.image.name == f"{two}.png"  # the file itself stays
    assert found.mask.name == f"{one}_x.png"
    assert groups.group_by_pattern("^(Pra\u0308)")(found.image) == "Pr\u00e4"


def test_ome_is_a_part_of_the_ending(tmp_path):
    for name in ("i/case.ome.tif", "m/case.geojson", "i/b.svs", "m/b.ome.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = pairs.pair(
        str(tmp_path / "i"),
        str(tmp_path / "m"),
        groups.no_groups,
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
        found = pairs.pair(images, "*_m.png", groups.no_groups, "_m")
        assert [(s.image.name, s.mask.name) for s in found] == [
            ("a.png", "a_m.png"),
            ("b.png", "b_m.png"),
        ]
    with pytest.raises(InputError, match=r"all 4 files .* as masks too"):
        pairs.pair("*.png", "*", groups.no_groups)


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
    other = pairs.unlabelled(str(folder / "i"), groups.no_groups)
    pairs.check_distinct(labelled)
    with pytest.raises(InputError, match=r"a\.png: given twice"):
        pairs.check_distinct(labelled + other)


def test_real_grades(real_data):
    group_of = groups.group_by_table(real_data / "glas/Grade.csv", "patient ID")
    found = pairs.pair(
        str(real_data / "glas/images/train_*.png"),
        str(real_data / "glas/labels/train_*.png"),
        group_of,
        "_anno",
    )
    assert len(found) == 85
    assert len({source.group for source in found}) == 15


@pytest.fixture
def cases(tmp_path):
    """Two patients, whose tiles have the same names."""

    def make(*names):
        for name in names:
            path = tmp_path / "cases" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return str(tmp_path / "cases")

    make(
        *(f"p1/images/t{n}.png" for n in (1, 2)),
        *(f"p2/images/t{n}.png" for n in (1, 3)),
        *(f"p1/masks/t{n}_m.png" for n in (1, 2)),
        *(f"p2/masks/t{n}_m.png" for n in (1, 3)),
    )
    return make


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("*/images/*.png", "*/masks/*.png"),
        ("p[12]/images/t*.png", "*/masks/*"),
        ("**/images/*.png", "**/masks/*.png"),
    ],
)
def test_folders_tell_files_of_one_name_apart(cases, images, masks):
    folder = cases()
    found = pairs.pair(
        f"{folder}/{images}",
        f"{folder}/{masks}",
        groups.group_by_pattern("cases/(p.)/"),
        "_m",
        f"{folder}/{masks}",
    )
    got = [
        (s.image.parts[-3], s.name, *s.mask.parts[-3::2], s.group)
        for s in found
    ]
    assert got == [
        ("p1", "t1", "p1", "t1_m.png", "p1"),
        ("p1", "t2", "p1", "t2_m.png", "p1"),
        ("p2", "t1", "p2", "t1_m.png", "p2"),
        ("p2", "t3", "p2", "t3_m.png", "p2"),
    ]
    assert all(s.instances == s.mask for s in found)


def test_folders_that_do_not_pair(cases, tmp_path):
    folder = cases("p3/images/t1.png")
    given = f"{folder}/*/images/*.png", f"{folder}/*/masks/*.png"
    message = r"p3/images/t1\.png: no mask of the same name \('p3/t1'"
    with pytest.raises(InputError, match=message):
        pairs.pair(*given, groups.no_groups, "_m")
    cases("p3/masks/t1_m.png", "p3/images/t1.bmp")
    message = r"t1\.png: a second image named 'p3/t1' beside .*p3/.*t1\.bmp"
    with pytest.raises(InputError, match=message):
        pairs.pair(f"{folder}/*/images/*", given[1], groups.no_groups, "_m")
    # One folder of masks says nothing of patients.
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("t1_m", "t2_m", "t3_m"):
        (flat / f"{name}.png").touch()
    with pytest.raises(InputError, match="no mask of the same name"):
        pairs.pair(given[0], str(flat), groups.no_groups, "_m")


def test_deep_folders_tell_files_apart_too(tmp_path):
    for name in ("i/a/x/t.png", "i/b/t.png", "m/a/x/t.png", "m/b/t.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for ending in ("**/*.png", "**"):
        found = pairs.pair(
            f"{tmp_path}/i/{ending}", f"{tmp_path}/m/{ending}", groups.no_groups
        )
        assert [s.mask.parts[-3:-1] for s in found] == [("a", "x"), ("m", "b")]


def test_a_mask_in_another_patients_folder_is_named(tmp_path):
    for name in ("p1/i/t1", "p2/i/t2", "p1/m/t2", "p2/m/t1", "k/t1", "k/t2"):
        (tmp_path / f"{name}.png").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.png").touch()
    images, masks = f"{tmp_path}/p*/i/*.png", f"{tmp_path}/p*/m/*.png"
    with pytest.raises(InputError, match=r"p1/i/t1\.png: the mask of its name"):
        pairs.pair(images, masks, groups.no_groups)
    kept = f"{tmp_path}/k/*.png"
    assert len(pairs.pair(images, kept, groups.no_groups)) == 2
    with pytest.raises(InputError, match=r"p2/m/t1\.png, is in another"):
        pairs.pair(images, kept, groups.no_groups, instances=masks)


def test_a_home_folder_with_two_files_of_one_name(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "i/a.jpg").touch()
    with pytest.raises(InputError, match=r"a second image named 'a'"):
        pairs.pair("~/i", "~/m", groups.no_groups, "_x")


def test_without_groups_images_of_one_name_are_apart(cases):
    folder = cases()
    given = f"{folder}/*/images/t1.png", f"{folder}/*/masks/t1_m.png"
    both = pairs.pair(*given, groups.no_groups, "_m")
    train, held = splits.hold_out(both, 0.5, 0)
    assert len(train) == len(held) == 1

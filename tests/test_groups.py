"""Which patient an image belongs to: by patterns and tables."""

import pytest

from histogan_tf.data import groups
from histogan_tf.errors import InputError


def test_a_pattern_with_a_slash_sees_the_folders(tmp_path):
    group_of = groups.group_by_pattern(r"cases/([^/]+)/")
    assert group_of(tmp_path / "cases/p 7/images/t1.png") == "p 7"
    with pytest.raises(InputError, match=r"t1\.png: .* does not match '.*t1"):
        group_of(tmp_path / "t1.png")
    # But for one in brackets, which leaves folders out.
    group_of = groups.group_by_pattern(r"^([^/_]+)_\d$")
    assert group_of(tmp_path / "data_2" / "p7_1.png") == "p7"


def test_group_by_pattern(tmp_path):
    group_of = groups.group_by_pattern(r"p(\d+)_")
    assert group_of(tmp_path / "tile_p12_3.png") == "12"
    with pytest.raises(InputError, match=r"x\.png.*does not match 'x'"):
        group_of(tmp_path / "x.png")
    # No name, no patient: such images would part among train and validation.
    group_of = groups.group_by_pattern(r"^([A-Z]*)\d")
    with pytest.raises(InputError, match=r"7\.png: .* finds no patient in '7'"):
        group_of(tmp_path / "7.png")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "unterminated"), ("abc", "capture group")],
)
def test_bad_patterns(pattern, message):
    with pytest.raises(InputError, match=message):
        groups.group_by_pattern(pattern)


def table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name", ["a", "a.svs", "a.MRXS", "a.ome.tif", "a.ome.tiff", "a.png"]
)
def test_tables_may_name_slides_by_their_files(tmp_path, name):
    path = table(tmp_path, f"slide,p\n{name},seven\n")
    group_of = groups.group_by_table(path, "p")
    assert group_of(tmp_path / name) == group_of(tmp_path / "a.svs") == "seven"


def test_group_by_table(tmp_path):
    path = table(tmp_path, "name, patient ID ,x\na, 4,\nb.png ,5,\n\n")
    group_of = groups.group_by_table(path, "patient ID")
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
        groups.group_by_table(table(tmp_path, text), "p")


def test_missing_table(tmp_path):
    with pytest.raises(InputError, match=r"no\.csv: No such file"):
        groups.group_by_table(tmp_path / "no.csv", "p")

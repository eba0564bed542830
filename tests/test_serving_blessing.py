"""Blessing files: names, contents, and that only one of two is there."""

import json

import pytest

from serving import blessing
from serving.blessing import INFRA, QUALITY, Blessing


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "170"
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "v").write_bytes(b"weights")
    return path


def test_files_are_named_as_tfx_names_them(export):
    place = blessing.folder(export)
    assert place.name == "170.blessing" and place.parent == export.parent
    good, bad = Blessing(()), Blessing(("dice too low",))
    assert good.blessed and not bad.blessed
    for kind, given, name in (
        (QUALITY, good, "BLESSED"),
        (QUALITY, bad, "NOT_BLESSED"),
        (INFRA, bad, "INFRA_NOT_BLESSED"),
        (INFRA, good, "INFRA_BLESSED"),
    ):
        assert blessing.write(export, kind, given) == place / name
    # Each gate's first result gave way to its second.
    found = sorted(p.name for p in place.iterdir())
    assert found == ["INFRA_BLESSED", "NOT_BLESSED"]


def test_contents(export):
    path = blessing.write(
        export, QUALITY, Blessing(("low",), ("new",), {"dice": None})
    )
    assert json.loads(path.read_text()) == {
        "blessed": False,
        "export": str(export),
        "sha256": blessing.hash_of(export),
        "reasons": ["low"],
        "notes": ["new"],
        "facts": {"dice": None},
    }


def test_clear(export):
    blessing.clear(export, QUALITY)  # nothing there yet
    path = blessing.write(export, QUALITY, Blessing(()))
    blessing.clear(export, INFRA)
    assert path.exists()
    blessing.clear(export, QUALITY)
    assert not path.exists()


def test_the_hash_knows_names_and_bytes(export):
    first = blessing.hash_of(export)
    assert first == blessing.hash_of(export)
    weights = export / "variables" / "v"
    weights.write_bytes(b"weightz")
    second = blessing.hash_of(export)
    weights.rename(weights.with_name("w"))
    third = blessing.hash_of(export)
    assert len({first, second, third}) == 3
    weights.with_name("w").rename(weights)
    weights.write_bytes(b"weights")
    assert blessing.hash_of(export) == first

"""Parts give back what was written."""

from histogan_tf.data import parts
from histogan_tf.data.manifest import ImageInfo


def test_tiles_come_back(tmp_path):
    labelled = ImageInfo("ä_1", 5, 6, 0.25, "p", (3, 4), 23)
    plain = ImageInfo("b", 7, 8, 0.5, "")
    tiles = [(b"one", labelled), (b"", plain), (b"three", plain)]
    parts.write(tmp_path / "a.part", tiles)
    found = parts.entries(tmp_path / "a.part")
    assert [(entry.read(), entry.info) for entry in found] == tiles
    kinds = [entry.kind for entry in found]
    assert kinds == ["labelled", "unlabelled", "unlabelled"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]


def test_the_same_tiles_give_the_same_bytes(tmp_path):
    tiles = [(b"one", ImageInfo("a", 5, 6, 0.1, "p", (1,), 0))]
    for name in "xy":
        parts.write(tmp_path / name, tiles)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()

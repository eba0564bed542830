"""A slide segmented into files: the whole's classes, on tissue alone."""

import numpy as np
import pytest
import tifffile

from histogan_tf import read_canvas, sources, window_read
from histogan_tf.data import classes, phantom
from histogan_tf.data.tissue import Tissue
from histogan_tf.read_canvas import Sizes, Targets

TABLE = classes.load(phantom.CLASSES_FILE)
SIZE = (150, 213)


@pytest.fixture(scope="module")
def reader(random_canvas):
    return window_read.of_pyramid(random_canvas.pyramid)


def image():
    draws = np.random.default_rng(1).integers(0, 256, (*SIZE, 3))
    return draws.astype(np.uint8)


def half():
    """Tissue of 40 um/px on the left; at 5 um/px the first 96 columns."""
    mask = np.zeros((19, 27), bool)
    mask[:, :12] = True
    return Tissue(mask, 40.0)


def segment(reader, folder, window=64, source=None, shares=()):
    folder.mkdir(exist_ok=True)
    targets = Targets(
        folder / "a.ome.tif",
        {number: folder / f"p{number}.ome.tif" for number in shares},
    )
    return read_canvas.segment_canvas(
        reader,
        source or sources.from_array(image()),
        half(),
        5.0,
        TABLE,
        targets,
        Sizes(window, 32),
        {"slide": "a"},
    )


def test_labels_and_probabilities_are_those_of_the_whole(
    reader, random_canvas, tmp_path
):
    segment(reader, tmp_path, shares=(0, 2))
    whole = random_canvas.segment(image())[-1]
    ids = tifffile.imread(tmp_path / "a.ome.tif")
    assert ids.shape == SIZE and (ids[:, 96:] == 255).all()
    sure = np.sort(whole, -1)[:, :96, -1] - np.sort(whole, -1)[:, :96, -2]
    same = ids[:, :96] == whole.argmax(-1)[:, :96]
    assert same[sure > 2e-4].all() and (sure > 2e-4).mean() > 0.9
    for number in (0, 2):
        found = tifffile.imread(tmp_path / f"p{number}.ome.tif")
        assert not found[:, 96:].any()
        gap = found[:, :96] / 255 - whole[:, :96, number]
        assert np.abs(gap).max() <= 0.5 / 255 + 1e-4


def test_the_grid_of_windows_does_not_matter(reader, tmp_path):
    for window in (32, 96):
        segment(reader, tmp_path / str(window), window)
    one, two = (
        tifffile.imread(tmp_path / str(w) / "a.ome.tif") for w in (32, 96)
    )
    # Only where two classes are equal to within rounding.
    assert (one != two).mean() < 1e-3


def test_only_tissue_is_read(reader, tmp_path):
    whole, columns = sources.from_array(image()), []

    def read(*box):
        columns.append(box[1])
        return whole.read(*box)

    segment(reader, tmp_path, source=sources.Source(*SIZE, read))
    # Windows begin at 0, 64, 128 and 192; the last two hold no tissue.
    assert len(columns) == 6


def test_an_interrupted_slide_goes_on_to_the_same_bytes(reader, tmp_path):
    segment(reader, tmp_path / "whole", shares=(1,))
    whole, reads = sources.from_array(image()), []

    def failing(*box):
        reads.append(box)
        if len(reads) == 4:
            raise KeyboardInterrupt
        return whole.read(*box)

    with pytest.raises(KeyboardInterrupt):
        segment(
            reader,
            tmp_path / "cut",
            source=sources.Source(*SIZE, failing),
            shares=(1,),
        )
    assert not (tmp_path / "cut" / "a.ome.tif").exists()
    segment(reader, tmp_path / "cut", shares=(1,))
    for name in ("a.ome.tif", "p1.ome.tif"):
        one, two = (tmp_path / x / name for x in ("whole", "cut"))
        assert one.read_bytes() == two.read_bytes()
    # Files that are there are left alone, and others made beside them.
    before = (tmp_path / "cut" / "a.ome.tif").stat().st_mtime_ns
    segment(reader, tmp_path / "cut", shares=(0, 1))
    assert (tmp_path / "cut" / "p0.ome.tif").exists()
    assert (tmp_path / "cut" / "a.ome.tif").stat().st_mtime_ns == before

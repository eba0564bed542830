"""A canvas painted into a file: the whole's pixels, in pieces, resumable."""

import numpy as np
import pytest
import tifffile

from histogan_tf import paint_canvas, sources
from histogan_tf.errors import InputError
from histogan_tf.paint_canvas import Brush

STYLE = (0.5, -0.5, 0.0, 0.2, 0.1, -0.3)
SIZE = (150, 213)


@pytest.fixture
def painter(random_painter):
    return random_painter


def mask():
    ids = np.random.default_rng(1).integers(0, 3, (22, 28), np.uint8)
    return np.kron(ids, np.ones((7, 8), np.uint8))[: SIZE[0], : SIZE[1]]


def brush(**changes):
    return Brush(
        **({"seed": 3, "style": STYLE, "window": 64, "tile": 32} | changes)
    )


def paint(painter, path, **changes):
    source = sources.from_array(mask())
    return paint_canvas.paint_canvas(
        painter, source, path, brush(**changes), {"mask": "a"}
    )


def test_the_file_holds_what_the_canvas_paints(
    painter, random_canvas, tmp_path
):
    path = tmp_path / "a.ome.tif"
    times = paint(painter, path)
    assert 0 < times.compute < times.total
    with tifffile.TiffFile(path) as tif:
        found = tif.series[0].asarray().astype(int)
        assert len(tif.series[0].levels) == 4
        assert 'PhysicalSizeX="5"' in tif.ome_metadata
        assert 'Name="a"' in tif.ome_metadata
    whole = random_canvas.synthesise(mask(), np.array(STYLE), 3)[-1]
    assert np.abs(found - whole).max() <= 1


def test_an_interrupted_canvas_goes_on_to_the_same_bytes(painter, tmp_path):
    (tmp_path / "whole").mkdir()
    paint(painter, tmp_path / "whole" / "a.ome.tif")
    path, reads = tmp_path / "a.ome.tif", []
    source = sources.from_array(mask())

    def failing(*box):
        reads.append(box)
        if len(reads) == 6:
            raise KeyboardInterrupt
        return source.read(*box)

    with pytest.raises(KeyboardInterrupt):
        paint_canvas.paint_canvas(
            painter,
            sources.Source(*SIZE, failing),
            path,
            brush(),
            {"mask": "a"},
        )
    seen = []
    paint_canvas.paint_canvas(
        painter,
        source,
        path,
        brush(),
        {"mask": "a"},
        lambda done, total: seen.append((done, total)),
    )
    # The windows that were missing, then the lower levels.
    lower = [(n, 6) for n in range(1, 7)]
    assert seen == [(n, 12) for n in range(6, 13)] + lower
    whole = tmp_path / "whole" / "a.ome.tif"
    assert path.read_bytes() == whole.read_bytes()


def test_seeds_differ_and_jpeg_is_smaller(painter, tmp_path):
    for name, changes in {
        "a": {},
        "b": {"seed": 4},
        "c": {"jpeg": 80},
    }.items():
        paint(painter, tmp_path / f"{name}.ome.tif", **changes)
    one, two, three = (
        tifffile.imread(tmp_path / f"{name}.ome.tif") for name in "abc"
    )
    assert (one != two).mean() > 0.3
    assert np.abs(one.astype(int) - three).mean() < 20
    sizes = [(tmp_path / f"{n}.ome.tif").stat().st_size for n in "ac"]
    assert sizes[1] < 0.7 * sizes[0]


def test_unknown_ids_are_told(painter, tmp_path):
    source = sources.from_array(mask() + np.uint8(1))
    with pytest.raises(InputError, match="value 3 in"):
        paint_canvas.paint_canvas(
            painter, source, tmp_path / "a.ome.tif", brush(), {}
        )
    assert not (tmp_path / "a.ome.tif").exists()

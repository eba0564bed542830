"""Pyramidal OME-TIFF: every reader sees the same, whatever interrupts it."""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import openslide
import pytest
import tifffile

from histogan_tf.data import tiff, tiff_layout, tile_journal, tile_pixels
from histogan_tf.data.pyramid_tiff import Plan, PyramidWriter
from histogan_tf.data.tiff_layout import Facts
from histogan_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent.parent
PALETTE = np.array([[250, 10, 20], [30, 240, 50]], np.uint8)
SIZE = (150, 203)


def picture(height=SIZE[0], width=SIZE[1]):
    draws = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    return np.kron(draws, np.ones((13, 11, 1), np.uint8))[:height, :width]


def make_plan(pixels=None, size=SIZE, window=64, tile=32, mpp=0.62):
    facts = Facts('a "name" < µ', mpp, tile, pixels or LOSSLESS)
    return Plan(*size, window, facts)


LOSSLESS = tile_pixels.lossless_rgb(32)


def written(path, values, plan, finish=True):
    with PyramidWriter(path, plan, {"seed": 1}) as writer:
        for index, box in enumerate(plan.windows):
            window = values[box.top : box.bottom, box.left : box.right]
            writer.write(index, window)
        if finish:
            writer.finish()
    return path


def halved(values):
    """2x2 averages; an odd last row or column is averaged with itself."""
    rows, columns = values.shape[0] % 2, values.shape[1] % 2
    even = np.pad(values, ((0, rows), (0, columns), (0, 0)), mode="edge")
    sums = sum(even[y::2, x::2].astype(int) for y in (0, 1) for x in (0, 1))
    return ((sums + 2) // 4).astype(np.uint8)


def test_the_windows_of_the_border_come_last():
    # 200 rows are 3 windows and 8 rows; 256 columns are 4 windows.
    places = [(box.top, box.left) for box in make_plan(size=(200, 256)).windows]
    assert places[:4] == [(64, 64), (64, 128), (128, 64), (128, 128)]
    assert places[4:] == [
        *[(0, left) for left in (0, 64, 128, 192)],
        *[(64, 0), (64, 192), (128, 0), (128, 192)],
        *[(192, left) for left in (0, 64, 128, 192)],
    ]


def test_tifffile_and_openslide_see_all_levels(tmp_path):
    path = written(tmp_path / "a.ome.tif", picture(), make_plan())
    expected = [picture()]
    while max(expected[-1].shape) > 32:
        expected.append(halved(expected[-1]))
    assert [x.shape[:2] for x in expected] == make_plan().sizes
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome and tif.is_bigtiff and len(tif.series) == 1
        levels = tif.series[0].levels
        assert [x.shape for x in levels] == [x.shape for x in expected]
        for level, values in zip(levels, expected, strict=True):
            np.testing.assert_array_equal(level.asarray(), values)
        described = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
    assert described["Name"] == 'a "name" < µ'
    assert described["Pixels"]["PhysicalSizeX"] == 0.62
    assert described["Pixels"]["Channel"]["SamplesPerPixel"] == 3
    assert tiff.stated_mpp(path) == 0.62
    check_openslide(path, expected)


def check_openslide(path, expected):
    with openslide.OpenSlide(path) as slide:
        for key in ("openslide.mpp-x", "openslide.mpp-y"):
            assert float(slide.properties[key]) == pytest.approx(0.62, 1e-6)
        sizes = [x.shape[1::-1] for x in expected]
        assert list(slide.level_dimensions) == sizes
        for level, size in enumerate(sizes):
            shown = np.array(slide.read_region((0, 0), level, size))
            np.testing.assert_array_equal(shown[..., :3], expected[level])
            assert (shown[..., 3] == 255).all()


def test_labels_are_ids_to_us_and_colours_to_viewers(tmp_path):
    ids = (picture()[..., :1] > 128).astype(np.uint8)
    plan = make_plan(tile_pixels.labels(32, PALETTE))
    path = written(tmp_path / "a.ome.tif", ids, plan)
    np.testing.assert_array_equal(tiff.read(path).array, ids[..., 0])
    with openslide.OpenSlide(path) as slide:
        shown = np.array(slide.read_region((0, 0), 0, ids.shape[1::-1]))
    np.testing.assert_array_equal(shown[..., :3], PALETTE[ids[..., 0]])


def test_jpeg_opens_everywhere(tmp_path):
    plan = make_plan(tile_pixels.jpeg_rgb(95))
    smooth = np.linspace(60, 200, 150 * 203 * 3).reshape(150, 203, 3)
    smooth = smooth.astype(np.uint8)
    path = written(tmp_path / "a.ome.tif", smooth, plan)
    read = tifffile.imread(path).astype(int)
    assert np.abs(read - smooth).max() <= 6
    with openslide.OpenSlide(path) as slide:
        shown = np.array(slide.read_region((0, 0), 0, (203, 150)))[..., :3]
    assert np.abs(shown.astype(int) - smooth).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 5), (200, 31)])
def test_sizes_at_the_edge_of_tiles(size, tmp_path):
    plan = make_plan(size=size)
    path = written(tmp_path / "a.ome.tif", picture(*size), plan)
    with tifffile.TiffFile(path) as tif:
        np.testing.assert_array_equal(
            np.reshape(tif.series[0].asarray(), (*size, 3)), picture(*size)
        )
        assert len(tif.series[0].levels) == len(plan.sizes)


def test_windows_do_not_change_the_pixels(tmp_path):
    one = written(tmp_path / "a.ome.tif", picture(), make_plan(window=32))
    two = written(tmp_path / "b.ome.tif", picture(), make_plan(window=160))
    for level in range(4):
        np.testing.assert_array_equal(
            tifffile.imread(one, level=level), tifffile.imread(two, level=level)
        )


KILLED = """
    import os, signal, sys
    sys.path[:0] = [{root!r}, {tests!r}]
    from test_pyramid_tiff import *
    from histogan_tf.data import tile_journal
    count, whole = 0, tile_journal.os.{call}

    def fatal(*values):
        global count
        count += 1
        if count == {after}:
            if {part}:
                # Half of the step reaches the disk.
                whole(values[0], bytes(values[1])[: len(values[1]) // 2],
                      *values[2:])
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*values)

    tile_journal.os.{call} = fatal
    written({path!r}, picture(), make_plan())
"""


@pytest.mark.parametrize(
    ("call", "after", "part"),
    [
        ("pwrite", 4, True),  # tiles of the fourth window
        ("write", 7, True),  # its line in the journal
        ("pwrite", 15, True),  # a row of a lower level
        ("fsync", 1, False),  # the header is written, the name is not yet
    ],
)
def test_a_killed_writer_goes_on_to_the_same_bytes(call, after, part, tmp_path):
    whole = written(tmp_path / "whole.ome.tif", picture(), make_plan())
    path = tmp_path / "killed.ome.tif"
    script = textwrap.dedent(KILLED).format(
        root=str(ROOT),
        tests=str(ROOT / "tests"),
        call=call,
        after=after,
        part=part,
        path=str(path),
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=100)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    writer = PyramidWriter(path, make_plan(), {"seed": 1})
    assert writer.done == min(after - 1, 12)
    writer.close()
    written(path, picture(), make_plan())
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "killed.ome.tif",
        "whole.ome.tif",
    ]


def test_a_line_cut_short_after_the_checksum_counts_for_nothing(tmp_path):
    path = tmp_path / "a.ome.tif"
    written(path, picture(), make_plan(), finish=False)
    journal = tmp_path / ".a.ome.tif.work" / "journal"
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b"#", b"#0", 1))
    writer = PyramidWriter(path, make_plan(), {"seed": 1})
    assert writer.done == 0
    writer.close()


def test_other_work_is_not_continued(tmp_path):
    path = tmp_path / "a.ome.tif"
    written(path, picture(), make_plan(), finish=False)
    with pytest.raises(InputError, match="another seed: 1 there, 2 now"):
        PyramidWriter(path, make_plan(), {"seed": 2})
    with pytest.raises(InputError, match="another window: 64 there, 32 now"):
        PyramidWriter(path, make_plan(window=32), {"seed": 1})
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.ome\.tif: exists already"):
        PyramidWriter(path, make_plan(), {"seed": 1})


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "a.ome.tif"
    first = PyramidWriter(path, make_plan(), {})
    with pytest.raises(InputError, match="another process is writing there"):
        PyramidWriter(path, make_plan(), {})
    first.close()
    PyramidWriter(path, make_plan(), {}).close()


def test_a_full_disk_is_told_and_work_goes_on(tmp_path):
    path = tmp_path / "a.ome.tif"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # The kernel then refuses bytes as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        with pytest.raises(InputError, match=r"no space left .* after 0 MiB"):
            written(path, picture(), make_plan())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()
    whole = written(tmp_path / "whole.ome.tif", picture(), make_plan())
    assert written(path, picture(), make_plan()).read_bytes() == (
        whole.read_bytes()
    )


def test_other_faults_of_the_disk_keep_their_name(tmp_path, monkeypatch):
    def fail(*values):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tile_journal.os, "pwrite", fail)
    with pytest.raises(OSError, match="Input/output error"):
        written(tmp_path / "a.ome.tif", picture(), make_plan())


def test_places_beyond_4_gb(tmp_path):
    path, place = tmp_path / "a.ome.tif", 5 * 2**30
    tile = picture(32, 32)
    data = LOSSLESS.encode(tile)
    one = tiff_layout.Level(
        32, 32, np.array([[place]]), np.array([[len(data)]])
    )
    tail, first = tiff_layout.directories(
        [one], Facts("a", 0.5, 32, LOSSLESS), place + 2**20
    )
    with open(path, "wb") as file:  # sparse: takes no room on the disk
        file.write(tiff_layout.header(first))
        os.pwrite(file.fileno(), data, place)
        os.pwrite(file.fileno(), tail, place + 2**20)
    np.testing.assert_array_equal(tifffile.imread(path), tile)
    with openslide.OpenSlide(path) as slide:
        shown = np.array(slide.read_region((0, 0), 0, (32, 32)))[..., :3]
    np.testing.assert_array_equal(shown, tile)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": (0, 5)}, "image of 0 x 5 px"),
        ({"window": 48}, "window=48, tile=32"),
        ({"tile": 20, "window": 40}, "a tile a multiple of 16"),
    ],
)
def test_plans_that_cannot_be(values, message):
    with pytest.raises(InputError, match=message):
        make_plan(**values)


def test_scale_is_exact_to_nine_digits(tmp_path):
    for mpp in (0.2527, 1 / 3, 123.456):
        plan = make_plan(size=(32, 32), mpp=mpp)
        path = tmp_path / f"{mpp}.ome.tif"
        written(path, picture(32, 32), plan)
        with tifffile.TiffFile(path) as tif:
            across = tif.pages.first.resolution[0]
        assert 1e4 / across == pytest.approx(mpp, rel=1e-8)

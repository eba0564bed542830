"""What is written for TensorBoard while a phase trains."""

import io
import types

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from histogan_tf.config import NetworkConfig
from histogan_tf.data import images
from histogan_tf.data.dataset import Tiles
from histogan_tf.models.segmenter import Segmenter
from histogan_tf.report import events
from trainer import watching
from trainer.bars import Bars
from trainer.loop import Phase

PALETTE = np.array([[200, 0, 0], [0, 0, 200]], np.uint8)


def test_by_network():
    losses = {"critic/a": 1.0, "critic/b": 0.25, "generator/x": 3.0}
    assert watching.by_network(losses) == "C 1.25 G 3.00"


def test_true_mask():
    labels = np.array(
        [[[255, 0, 0], [0, 140, 115], [90, 85, 80], [0, 0, 0]]], np.uint8
    )
    found = watching.true_mask({"labels": labels})
    np.testing.assert_array_equal(found, [[0, 1, 0, 255]])


@pytest.mark.parametrize(
    ("shape", "stride", "rows", "columns"),
    [
        ((16, 40), 1, (0, 16), (12, 28)),
        ((50, 35), 4, (9, 41), (1, 33)),
        ((600, 700), 16, (172, 428), (222, 478)),
        ((13, 20), 2, (2, 10), (6, 14)),
        ((208, 250), 32, (8, 200), (29, 221)),
        ((600, 600), 512, (44, 556), (44, 556)),
        ((20, 24), 32, (2, 18), (4, 20)),
    ],
)
def test_centre(shape, stride, rows, columns):
    found = watching.centre(shape, stride)
    assert [(s.start, s.stop) for s in found] == [rows, columns]


class Constant(tf.keras.Model):
    """Says class 1 everywhere, whatever it is shown."""

    stride = 1

    def call(self, image, coarse):
        return tf.one_hot(tf.ones_like(image[..., 0], tf.int32), 2) * 9.0


def make_look(tiles, names, every, folder):
    samples = folder / "samples"
    return watching.Look(tiles, names, PALETTE, every, "    {}", samples)


def test_curves_scores_and_pictures(tmp_path):
    labels = np.zeros((16, 20, 2), np.uint8)
    labels[:, :5, 0], labels[:, 5:, 1] = 255, 255
    tile = {
        "image": np.full((16, 20, 3), 90, np.uint8),
        "labels": labels,
        "style": np.zeros(6, np.float32),
    }
    data = tf.data.Dataset.from_tensors(tile).repeat(2)
    look = make_look(Tiles(data, 2), ("rim", "core"), 4, tmp_path)
    phase = Phase("judge", tmp_path, 6, 3, list, list)
    rate = types.SimpleNamespace(learning_rate=tf.constant(0.25))
    model = types.SimpleNamespace(
        average_segmenter=Constant(), segmenter_optimizer=rate
    )
    with Bars([phase], Console(file=io.StringIO())) as bars:
        watch = watching.Watch(phase, look, bars)
        watch.begin(model, 0)
        for step in (2, 5, 6):
            watch.log(step, {"segmenter/labelled": float(step)})
        watch.end()
    curves = events.read(tmp_path / "events")
    loss = curves["loss/segmenter/labelled"]
    assert loss.steps == (2, 5, 6) and loss.values == (2.0, 5.0, 6.0)
    # Looked at once past step 4, and at the end.
    dice = curves["validation/dice/core"]
    assert dice.steps == (5, 6)
    # All is called core: 15 of 20 columns are. 2 * 15 / (20 + 15); 15 / 20.
    np.testing.assert_allclose(dice.values, 6 / 7, rtol=1e-5)
    np.testing.assert_allclose(curves["validation/iou/core"].values, 0.75)
    np.testing.assert_allclose(curves["validation/dice/rim"].values, 0)
    assert set(curves["learning_rate/segmenter"].values) == {0.25}
    assert min(curves["speed/images_per_second"].values) > 0
    (grid, last) = pictures_of(tmp_path / "events")
    tags = [tag for tag, _ in pictures_and_tags(tmp_path / "events")]
    assert tags == ["real | mask | segmentation"] * 2
    (path,) = (tmp_path / "samples").iterdir()
    assert path.name == "judge.png"
    np.testing.assert_array_equal(images.read_image(path), last)
    # Two rows of real | mask | segmentation, 16 px each, gaps of 4.
    assert grid.shape == (36, 56, 3)
    assert (grid[0, 0] == 90).all()
    assert (grid[0, 20] == PALETTE[0]).all() and (grid[0, 40] == 200).sum() == 1


def test_of_a_large_tile_a_part_is_looked_at(tmp_path, monkeypatch):
    """A core of 5,000 px would take more memory than the training."""
    monkeypatch.setattr(watching, "_SIDE", 12)
    labels = np.zeros((16, 20, 2), np.uint8)
    labels[..., 1] = 255
    labels[12:], labels[:, 12:] = (255, 0), (255, 0)  # what is not read
    tile = {"image": np.full((16, 20, 3), 90, np.uint8), "labels": labels}
    data = tf.data.Dataset.from_tensors(tile)
    look = make_look(Tiles(data, 1), ("rim", "core"), 4, tmp_path)
    phase = Phase("judge", tmp_path, 6, 3, list, list)
    model = types.SimpleNamespace(average_segmenter=Constant())
    with Bars([phase], Console(file=io.StringIO())) as bars:
        watch = watching.Watch(phase, look, bars)
        watch.begin(model, 0)
        watch.log(6, {"segmenter/labelled": 1.0})
        watch.end()
    dice = events.read(tmp_path / "events")["validation/dice/core"]
    assert dice.values == (1.0,)


def pictures_of(folder):
    return [image for _, image in pictures_and_tags(folder)]


def pictures_and_tags(folder):
    found = []
    for path in sorted(folder.glob("*tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "images":
                    image = tf.io.decode_png(value.tensor.string_val[2])
                    found.append((value.tag, image.numpy()))
    return found


def test_a_real_segmenter_can_be_looked_at(tmp_path):
    network = Segmenter(NetworkConfig((4, 6)), 2)
    tile = {
        "image": np.zeros((18, 23, 3), np.uint8),
        "labels": np.full((18, 23, 2), 127, np.uint8),
        "style": np.zeros(6, np.float32),
    }
    data = tf.data.Dataset.from_tensors(tile)
    look = make_look(Tiles(data, 1), ("a", "b"), 1, tmp_path)
    phase = Phase("judge", tmp_path, 1, 1, list, list)
    with Bars([phase], Console(file=io.StringIO())) as bars:
        watch = watching.Watch(phase, look, bars)
        watch.begin(types.SimpleNamespace(average_segmenter=network), 0)
        watch.log(1, {"segmenter/labelled": 1.0})
        watch.end()
    assert "validation/dice/a" in events.read(tmp_path / "events")


class Brown(tf.keras.Model):
    """Paints one colour; refuses sizes that its stride does not divide."""

    stride = 32

    def call(self, mask, noises, style):
        assert mask.shape[1] % 32 == mask.shape[2] % 32 == 0
        return tf.fill([1, *mask.shape[1:3], 3], 0.5)


@pytest.mark.parametrize("side, colour", [(40, 191), (20, 0)])
def test_a_deep_generator_paints_what_it_can(tmp_path, side, colour):
    tile = {
        "image": np.full((side, side, 3), 90, np.uint8),
        "labels": np.full((side, side, 2), 127, np.uint8),
        "style": np.zeros(6, np.float32),
    }
    data = tf.data.Dataset.from_tensors(tile)

    def complete(labels, opinion):
        assert opinion == "teacher's"
        return labels, None

    look = make_look(Tiles(data, 1), ("a", "b"), 1, tmp_path)
    phase = Phase("stages/0", tmp_path, 1, 1, list, list)
    model = types.SimpleNamespace(
        average_segmenter=Constant(),
        average_generator=Brown(),
        noise=lambda seed, image: [],
        coarse=lambda batch: [],
        teach=lambda batch: "teacher's",
        complete=complete,
    )
    with Bars([phase], Console(file=io.StringIO())) as bars:
        watch = watching.Watch(phase, look, bars)
        watch.begin(model, 0)
        watch.log(1, {"critic/a": 1.0})
        watch.end()
    ((tag, grid),) = pictures_and_tags(tmp_path / "events")
    assert tag == "real | mask | synthetic | segmentation"
    assert (tmp_path / "samples" / "stages_0.png").exists()
    shown = side // 16 * 16
    # The third of real | mask | synthetic | segmentation, gaps of 4.
    assert grid.shape == (shown, 4 * shown + 12, 3)
    assert (grid[0, 2 * shown + 8] == colour).all()

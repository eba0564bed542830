"""What a person sees of a training: TensorBoard, and bars in a terminal.

In: losses from the loop, validation tiles. Out: event files in the phase's
folder (losses, images/s, learning rates, validation Dice and IoU per class,
a grid of pictures), which `histogan_tf.report` reads too; the newest grid of
each phase in the run's `samples/`; `bars.Bars` are moved.
"""

import json
import pathlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from histogan_tf import canvas, pictures, preprocess
from histogan_tf.data.dataset import Tiles
from histogan_tf.metrics import segmentation
from histogan_tf.metrics.labels import class_ids
from trainer.bars import Bars
from trainer.loop import Phase

# Tiles whose segmentation is scored at most, and that are shown, at a look.
SCORED, _SHOWN = 16, 6
_LARGEST_SHOWN = 256  # px
# Of large tiles a part is scored: reading all takes more than training does.
_SIDE = 1024

Tile = dict[str, np.ndarray]


@dataclass(frozen=True)
class Look:
    """What is looked at now and then: tiles, class names, how often.

    `tiles` are at the phase's scale, and few, as they stay in memory; None
    where nothing is held out. `samples` is the folder for pictures.
    """

    tiles: Tiles | None
    names: tuple[str, ...]
    palette: np.ndarray
    every: int
    hyper_parameters: str
    samples: pathlib.Path


class Watch:
    """Tells the terminal and TensorBoard of one phase."""

    def __init__(self, phase: Phase, look: Look, bars: Bars):
        self.phase, self.look, self.bars = phase, look, bars
        self.tiles: list[Tile] | None = None

    def begin(self, model: tf.keras.Model, step: int) -> None:
        """Shows the bar; notes the settings beside the curves."""
        self.model, self.last, self.time = model, step, time.monotonic()
        folder = self.phase.folder / "events"
        self.writer = tf.summary.create_file_writer(str(folder))
        self.bars.begin(self.phase, step)
        self.segment = canvas.Reader(
            model.average_segmenter, getattr(model, "index", 0) > 0
        )
        with self.writer.as_default(step=step):
            tf.summary.text("hyper-parameters", self.look.hyper_parameters)

    def log(self, step: int, losses: dict[str, float]) -> None:
        """Writes curves; looks at validation tiles when it is time."""
        seconds = time.monotonic() - self.time
        speed = (step - self.last) * self.phase.batch / max(seconds, 1e-9)
        with self.writer.as_default(step=step):
            for name, value in losses.items():
                tf.summary.scalar(f"loss/{name}", value)
            tf.summary.scalar("speed/images_per_second", speed)
            self._rates()
            looks = [n // self.look.every for n in (self.last, step)]
            if looks[0] < looks[1] or step == self.phase.steps:
                self._look()
        self.writer.flush()
        self.bars.update(self.phase, step, by_network(losses))
        # Looking is not training: it stays out of the speed.
        self.last, self.time = step, time.monotonic()

    def end(self) -> None:
        """Closes the event file and stops the bar."""
        self.writer.close()
        self.bars.end(self.phase)

    def _rates(self) -> None:
        for name in ("generator", "critic", "segmenter"):
            optimizer = getattr(self.model, f"{name}_optimizer", None)
            if optimizer is not None:
                rate = optimizer.learning_rate
                tf.summary.scalar(f"learning_rate/{name}", rate)

    def _look(self) -> None:
        if self.look.tiles is None:
            return
        if self.tiles is None:
            self.tiles = [
                t | {key: t[key][:_SIDE, :_SIDE] for key in ("image", "labels")}
                for t in self.look.tiles.dataset.as_numpy_iterator()
            ]
        found = [class_ids(self.segment(t["image"])) for t in self.tiles]
        self._score(self.tiles, found)
        rows = [
            self._row(tile, mask)
            for tile, mask in zip(self.tiles[:_SHOWN], found, strict=False)
        ]
        painted = "synthetic | " if len(rows[0]) == 4 else ""
        grid = pictures.grid(rows)
        tf.summary.image(f"real | mask | {painted}segmentation", grid[None])
        name = self.phase.name.replace("/", "_")
        pictures.save(self.look.samples / f"{name}.png", grid)

    def _score(self, tiles: list[Tile], found: list[np.ndarray]) -> None:
        classes = len(self.look.names)
        each = [
            segmentation.confusion_matrix(true_mask(t), mask, classes)
            for t, mask in zip(tiles, found, strict=True)
        ]
        confusion = np.sum(each, axis=0)
        dice = segmentation.dice(confusion)
        iou = segmentation.iou(confusion)
        for index, name in enumerate(self.look.names):
            if np.isfinite(dice[index]):
                tf.summary.scalar(f"validation/dice/{name}", dice[index])
                tf.summary.scalar(f"validation/iou/{name}", iou[index])

    def _row(self, tile: Tile, mask: np.ndarray) -> list[np.ndarray]:
        painter = getattr(self.model, "average_generator", None)
        stride = painter.stride if painter else 1
        cut = centre(tile["image"].shape[:2], stride)
        colours = self.look.palette
        row = [
            tile["image"][cut],
            pictures.palette_image(true_mask(tile)[cut], colours),
        ]
        if painter:
            crop = {k: tile[k][cut] for k in ("image", "labels")}
            fits = crop["image"].shape[0] % stride == 0
            crop["style"] = tile["style"]
            row.append(self._paint(crop) if fits else 0 * crop["image"])
        return [*row, pictures.palette_image(mask[cut], colours)]

    def _paint(self, tile: Tile) -> np.ndarray:
        """This stage alone, over the real coarser image."""
        image = preprocess.to_unit(tf.constant(tile["image"][None]))
        batch = {"image": image, "seed": tf.zeros([1], tf.int64)}
        labels = tf.constant(tile["labels"][None].astype(np.float32) / 255.0)
        # As in training the teacher fills what nobody has labelled.
        mask, _ = self.model.complete(labels, self.model.teach(batch))
        painted = self.model.average_generator(
            mask,
            self.model.noise(batch["seed"], batch["image"]),
            tf.constant(tile["style"][None]),
            *self.model.coarse(batch),
        )
        return canvas.unit_to_uint8(painted[0].numpy())


class Silent:
    """Tells nobody: what workers other than worker 0 have."""

    def begin(self, model: tf.keras.Model, step: int) -> None:
        """See `loop.Watcher`."""

    def log(self, step: int, losses: dict[str, float]) -> None:
        """See `loop.Watcher`."""

    def end(self) -> None:
        """See `loop.Watcher`."""


def centre(shape: tuple[int, ...], stride: int) -> tuple[slice, slice]:
    """The middle of an image, a square of sides that 16 and `stride` divide.

    Both are powers of 2. A tile smaller than that has a side of a half, a
    quarter, ... instead.
    """
    side = min(*shape, max(_LARGEST_SHOWN, stride))
    multiple = max(16, stride)
    while multiple > side:
        multiple //= 2
    side = side // multiple * multiple
    top, left = ((n - side) // 2 for n in shape)
    return slice(top, top + side), slice(left, left + side)


def true_mask(tile: Tile) -> np.ndarray:
    """uint8 class ids of a tile's soft labels; 255 where there are none."""
    shares = tf.constant(tile["labels"] / np.float32(255))
    return preprocess.hard_mask(shares).numpy()


def hyper_parameters(settings: dict[str, Any]) -> str:
    """The settings as TensorBoard text."""
    return "    " + json.dumps(settings, indent=1).replace("\n", "\n    ")


def by_network(losses: dict[str, float]) -> str:
    """Losses summed for each network, as in `C 1.20 G 3.40 S 0.90`."""
    sums: dict[str, float] = {}
    for name, value in losses.items():
        letter = name[0].upper()
        sums[letter] = sums.get(letter, 0.0) + value
    return " ".join(f"{letter} {value:.2f}" for letter, value in sums.items())

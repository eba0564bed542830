"""What a person sees of a training: a progress bar and TensorBoard.

In: losses from the loop, validation tiles. Out: a bar with the time left,
event files in the phase's folder (losses, images/s, learning rates,
validation Dice and IoU per class, a grid real | mask | synthetic |
segmentation), read by `histogan_tf.report` too.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from rich.progress import Progress

from histogan_tf import canvas, pictures
from histogan_tf.data.dataset import Tiles
from histogan_tf.metrics import segmentation
from trainer.loop import Phase

# Tiles whose segmentation is scored, and that are shown, at each look.
_SCORED, _SHOWN = 16, 6

Paint = Callable[[dict[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Look:
    """What is looked at now and then: tiles, class names, how often.

    `tiles` are at the phase's scale; None where nothing is held out.
    """

    tiles: Tiles | None
    names: tuple[str, ...]
    palette: np.ndarray
    every: int
    hyper_parameters: str


class Watch:
    """Tells the terminal and TensorBoard of one phase."""

    def __init__(self, phase: Phase, look: Look, progress: Progress):
        self.phase, self.look, self.progress = phase, look, progress
        folder = phase.folder / "events"
        self.writer = tf.summary.create_file_writer(str(folder))

    def begin(self, model: tf.keras.Model, step: int) -> None:
        """Shows the bar; notes the settings beside the curves."""
        self.model, self.last, self.time = model, step, time.monotonic()
        self.task = self.progress.add_task(
            self.phase.name, total=self.phase.steps, completed=step
        )
        self.segment = canvas.segment_with(
            model.average_segmenter, len(self.look.names)
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
            if step % self.look.every == 0 or step == self.phase.steps:
                self._look()
        self.writer.flush()
        self.progress.update(
            self.task, completed=step, description=self._text(losses)
        )
        # Looking is not training: it stays out of the speed.
        self.last, self.time = step, time.monotonic()

    def end(self) -> None:
        """Closes the event file and stops the bar."""
        self.writer.close()
        self.progress.stop_task(self.task)

    def _text(self, losses: dict[str, float]) -> str:
        parts = [
            f"{network[0].upper()} {sum(v for _, v in group):.2f}"
            for network, group in _by_network(losses).items()
        ]
        return f"{self.phase.name} ({' '.join(parts)})"

    def _rates(self) -> None:
        for name in ("generator", "critic", "segmenter"):
            optimizer = getattr(self.model, f"{name}_optimizer", None)
            if optimizer is not None:
                rate = optimizer.learning_rate
                tf.summary.scalar(f"learning_rate/{name}", rate)

    def _look(self) -> None:
        if self.look.tiles is None:
            return
        tiles = list(self.look.tiles.dataset.take(_SCORED).as_numpy_iterator())
        found = [np.argmax(self.segment(t["image"]), -1) for t in tiles]
        self._score(tiles, found)
        rows = [
            self._row(tile, mask)
            for tile, mask in zip(tiles[:_SHOWN], found, strict=False)
        ]
        tf.summary.image(
            "real | mask | synthetic | segmentation",
            pictures.grid(rows)[None],
        )

    def _score(self, tiles, found) -> None:
        classes = len(self.look.names)
        confusion = sum(
            segmentation.confusion_matrix(true_mask(t), mask, classes)
            for t, mask in zip(tiles, found, strict=True)
        )
        dice = segmentation.dice(confusion)
        iou = segmentation.iou(confusion)
        for index, name in enumerate(self.look.names):
            if np.isfinite(dice[index]):
                tf.summary.scalar(f"validation/dice/{name}", dice[index])
                tf.summary.scalar(f"validation/iou/{name}", iou[index])

    def _row(self, tile, mask) -> list[np.ndarray]:
        side = min(tile["image"].shape[:2]) // 16 * 16
        side = min(side, 256)
        top = [(n - side) // 2 for n in tile["image"].shape[:2]]
        cut = tuple(slice(t, t + side) for t in top)
        colours = self.look.palette
        row = [
            tile["image"][cut],
            pictures.palette_image(true_mask(tile)[cut], colours),
        ]
        if hasattr(self.model, "average_generator"):
            crop = {k: tile[k][cut] for k in ("image", "labels")}
            row.append(self._paint(crop | {"style": tile["style"]}))
        row.append(pictures.palette_image(mask[cut].astype(np.uint8), colours))
        return row

    def _paint(self, tile) -> np.ndarray:
        """This stage alone, over the real coarser image."""
        image = tf.constant(tile["image"][None] / np.float32(127.5) - 1.0)
        batch = {
            "image": tf.cast(image, tf.float32),
            "seed": tf.zeros([1], tf.int64),
        }
        labels = tile["labels"][None].astype(np.float32) / 255.0
        painted = self.model.average_generator(
            tf.constant(labels),
            self.model.noise(batch["seed"], batch["image"]),
            tf.constant(tile["style"][None]),
            self.model.coarse(batch),
        )
        return canvas.to_uint8(painted[0].numpy())


def true_mask(tile: dict[str, np.ndarray]) -> np.ndarray:
    """uint8 class ids of a tile's soft labels; 255 where there are none."""
    labels = tile["labels"]
    winner = np.argmax(labels, axis=-1).astype(np.uint8)
    return np.where(labels.max(axis=-1) < 128, 255, winner).astype(np.uint8)


def hyper_parameters(settings: dict) -> str:
    """The settings as TensorBoard text."""
    return "    " + json.dumps(settings, indent=1).replace("\n", "\n    ")


def _by_network(losses):
    groups = {}
    for name, value in losses.items():
        groups.setdefault(name.split("/")[0], []).append((name, value))
    return groups

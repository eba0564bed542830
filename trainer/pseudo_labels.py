"""Pseudo-labels: the judge reads the tiles that nobody labelled.

In: a run whose judge is trained, its unlabelled tiles at the finest scale.
Out: the same tiles, kept in memory, with its probabilities as soft labels
(Lee 2013).

An opinion is the mean over the tile as it is and in the stains of other tiles
(Reinhard et al. 2001; means of several views: Radosavovic et al. 2018), each
time turned or mirrored otherwise: the judge has learnt each mask in many
stains and all ways round, so what it says of one view only is noise. Whole
tiles are read, as a network sees more of their surroundings than a crop
holds. The stages' segmenters have no say: they read worse (figures in
WORKSPACE_NOTES.md).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess, run_dir, window_read
from histogan_tf.canvas import Reader
from histogan_tf.data import colour, dataset
from histogan_tf.data.dataset import Tiles
from histogan_tf.models import other_stain, turned
from histogan_tf.models.noise import Stream
from histogan_tf.regions import Box
from histogan_tf.running import silent
from histogan_tf.sources import Source
from histogan_tf.window_read import WindowReader
from trainer.large_images import LARGE
from trainer.training_data import TrainingData

Tell = Callable[[str], None]
# uint8 [H, W, 3] to probabilities, float32 [H, W, N].
Read = Callable[[np.ndarray], np.ndarray]

_STAINS = 5
_PART = 2048


@dataclass(frozen=True)
class Teacher:
    """The trained judge, who labels tiles.

    It reads a tile in `stains` other stains, drawn from `styles`, those of
    all training tiles, float32 [M, 6]; with `turns`, each another way round.
    """

    judge: Read
    styles: tf.Tensor
    stains: int
    turns: bool

    def opinion(
        self, image: np.ndarray, style: np.ndarray, place: int
    ) -> np.ndarray:
        """What the judge says of a tile, the mean over its views.

        Args:
          image: uint8 [H, W, 3] at the finest um/px.
          style: its own, float32 [6].
          place: the tile's number, by which other stains are drawn.

        Returns:
          float32 [H, W, N], probabilities.
        """
        total = self.judge(image)
        for number, view in enumerate(self._restained(image, style, place), 1):
            total += read_turned(self.judge, view, number * self.turns)
        return total / np.float32(1 + self.stains)

    def _restained(
        self, image: np.ndarray, style: np.ndarray, place: int
    ) -> Iterator[np.ndarray]:
        seeds = np.arange(self.stains, dtype=np.int64) + place * self.stains
        drawn = other_stain.drawn_styles(
            self.styles, seeds, Stream.JUDGED_STAIN, 0.0
        )
        unit = preprocess.to_unit(image[None])
        for new in drawn:
            moved = colour.restain(unit, style[None], new[None])
            yield preprocess.unit_to_uint8(moved)[0].numpy()


def teacher(source: TrainingData) -> Teacher:
    """That of a run whose judge is trained."""
    judge = run_dir.load_segmenter(source.run, "judge")
    windows = window_read.of_segmenter(judge, source.config.judge)
    return Teacher(
        bounded(Reader(judge), windows, LARGE, _PART),
        source.styles(),
        # A network is asked in what it knows only.
        _STAINS if source.config.judge.restain else 0,
        source.config.judge.augment.flips,
    )


def read_turned(read: Read, image: np.ndarray, number: int) -> np.ndarray:
    """What `read` says of an image in a symmetry of `turned`, taken back."""
    view = turned.turn(tf.constant(image[None]), number)[0]
    found = tf.constant(read(view.numpy())[None])
    return turned.turn_back(found, number)[0].numpy()


def bounded(
    whole: Read, windows: WindowReader, largest: int, part: int
) -> Read:
    """Reads images of more than `largest` px in windows of `part` px a side.

    The same to 1e-4, in the memory of one window.
    """

    def read(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if height * width <= largest:
            return whole(image)

        def cut(row: int, column: int, tall: int, wide: int) -> np.ndarray:
            return image[row : row + tall, column : column + wide]

        source, rows = Source(height, width, cut), []
        for top in range(0, height, part):
            row = []
            for left in range(0, width, part):
                bottom, right = min(top + part, height), min(left + part, width)
                box = Box(top, bottom, left, right)
                seen = windows.surroundings(source, box)
                row.append(
                    windows.labels_and_probabilities(source, box, seen)[1]
                )
            rows.append(np.concatenate(row, axis=1))
        return np.concatenate(rows)

    return read


def labelled(by: Teacher, tiles: Tiles, tell: Tell = silent) -> Tiles:
    """Unlabelled tiles at the finest scale with soft labels.

    `tell` hears of every tenth part, which on many tiles is minutes.
    """

    def read() -> Iterator[dict[str, np.ndarray]]:
        start = time.monotonic()
        for place, tile in enumerate(tiles.dataset.as_numpy_iterator()):
            if place * 10 // tiles.count > (place - 1) * 10 // tiles.count:
                tell(_progress(place, tiles.count, time.monotonic() - start))
            found = by.opinion(tile["image"], tile["style"], place)
            labels = preprocess.to_uint8(255.0 * found).numpy()
            yield tile | {"labels": labels}

    return dataset.kept(read(), tiles.count)


def _progress(done: int, count: int, seconds: float) -> str:
    text = f"the judge labels tiles: {done}/{count}"
    if not done:
        return text
    minutes = seconds / done * (count - done) / 60
    return f"{text}, about {minutes:.0f} min left"

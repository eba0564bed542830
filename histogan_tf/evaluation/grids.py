"""The picture grids of a report, one per stage and one for the segmenters.

In: a trained run and tiles of a split. Out: `StageGrid`s; a column is an
example, rows are real | mask | synthetic in three seeds, in its own style |
synthetic in the styles of three other tiles | segmentation of the real image.

An example is the middle of a tile, `SIDE` px at most at the finest scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from histogan_tf import pictures
from histogan_tf.evaluation import tiles
from histogan_tf.evaluation.tiles import EvaluationTile
from histogan_tf.evaluation.trained import Trained
from histogan_tf.metrics.labels import class_ids
from histogan_tf.report.facts import Row, StageGrid

SIDE = 512
VARIANTS = 3

Progress = Callable[[int, int, str], None]


def grids(
    trained: Trained,
    images: Sequence[EvaluationTile],
    count: int,
    seed: int,
    progress: Progress = lambda *_: None,
) -> list[StageGrid]:
    """Grids of all stages, coarsest first, then that of the segmenters.

    Args:
      trained: the run's networks.
      images: tiles of the split, all of them: styles are taken from any.
      count: examples, evenly spaced among the tiles.
      seed: noise of the first synthetic row; the others' follow.
      progress: called with the work done, the work in all, and a text.
    """
    places = np.linspace(0, len(images), min(count, len(images)), False)
    examples = [middle(images[int(place)]) for place in places]
    columns = []
    for done, (place, tile) in enumerate(zip(places, examples, strict=True)):
        styles = _other_styles(images, int(place))
        columns.append(_example(trained, tile, styles, seed))
        progress(done + 1, len(examples), f"pictures of {tile.name}")
    names = tuple(tile.name for tile in examples)
    return [
        StageGrid(
            stage,
            trained.mpp(trained.stages - 1 if stage is None else stage),
            tuple(
                Row(label, tuple(column[place][label] for column in columns))
                for label in columns[0][place]
            ),
            names,
        )
        for place, stage in enumerate([*range(trained.stages), None])
    ]


def middle(tile: EvaluationTile) -> EvaluationTile:
    """The middle of a tile, at most `SIDE` px high and wide."""
    top, left = (max(0, (n - SIDE) // 2) for n in tile.mask.shape)
    window = np.s_[top : top + SIDE, left : left + SIDE]
    return replace(tile, image=tile.image[window], mask=tile.mask[window])


def _other_styles(
    images: Sequence[EvaluationTile], place: int
) -> list[np.ndarray]:
    """Styles far from one another: the first is farthest from the tile's.

    Each next one is farthest from all before, so that stains that the split
    holds are seen whatever the order of its images.
    """
    pool = np.stack([tile.style for tile in images])
    chosen = [place]
    for _ in range(VARIANTS):
        gaps = np.linalg.norm(pool[:, None] - pool[chosen], axis=-1)
        chosen.append(int(gaps.min(axis=1).argmax()))
    return [images[i].style for i in chosen[1:]]


def _example(
    trained: Trained,
    tile: EvaluationTile,
    styles: Sequence[np.ndarray],
    seed: int,
) -> list[dict[str, np.ndarray]]:
    """Rows by label, for each stage and for the segmenters."""
    made = {
        f"synthetic, seed {seed + i}": trained.canvas.synthesise(
            tile.mask, tile.style, seed + i
        )
        for i in range(VARIANTS)
    } | {
        f"synthetic, stain {i + 1}": trained.canvas.synthesise(
            tile.mask, style, seed
        )
        for i, style in enumerate(styles)
    }
    read = trained.canvas.segment(tile.image)
    palette, classes = trained.table.palette(), trained.table.count
    out = []
    for stage in range(trained.stages):
        factor = trained.factor(stage)
        image = tiles.shrink_image(tile.image, factor)
        mask = tiles.shrink_mask(tile.mask, factor, classes)
        out.append(
            {"real": image, "mask": pictures.palette_image(mask, palette)}
            | {label: stages[stage] for label, stages in made.items()}
            | {
                "segmentation": pictures.overlay(
                    image, class_ids(read[stage]), palette
                )
            }
        )
    shown = {"real": out[-1]["real"], "mask": out[-1]["mask"]}
    for name in ("segmenter", "judge"):
        mask = class_ids(getattr(trained, name)(tile.image))
        shown[name] = pictures.overlay(tile.image, mask, palette)
    return [*out, shown]

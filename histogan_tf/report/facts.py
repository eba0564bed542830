"""What a report tells: plain values, gathered before any HTML is written.

In: a run's files (`write.py` reads them). Out: `ReportFacts`, from which
`page.build` makes the page. Nothing here reads, draws or needs TensorFlow.

The layout of `metrics` (the file metrics.json that `trainer.evaluate` writes);
every top-level key may be absent, numbers are null where undefined:

    {"protocol": {name: text, number, bool or list of these},
     "segmentation": {network: S, ...},   # "segmenter", "judge", "stage 0",
        # with `--views 8` also "segmenter, 8 views", as in "objects"
     "objects": {network: O, ...},
     "sliced_wasserstein": [{"stage": 0, "mpp": 10.0, "label": text (optional),
        "distances": [x 1000, finest level first], "floor": [...],
        "ratio": [...], "images": [real, synthetic], "protocol": text}, ...],
     "mask_consistency": S,
     "fid": {"value", "images", "network", "size", "protocol"},
     "kid": {"mean", "deviation", "subsets", "subset_size", "seed",
        "protocol"}}

S is `SegmentationScores.to_json()` with "classes" (names in id order) and
optionally "mpp" and "protocol"; O the fields of `ObjectScores` with "classes"
(names of those that objects are made of) and "protocol". Other keys are passed
over.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf.config import Config
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError


@dataclass(frozen=True)
class Curve:
    """A scalar over the steps of a phase; steps rise and occur once."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class PhaseCurves:
    """Curves of a phase by tag; mpp is the phase's um/px.

    Tags: `loss/<network>/<term>`, `validation/dice/<class>`,
    `validation/iou/<class>`, `speed/images_per_second`,
    `learning_rate/<network>`. Empty where nothing was trained yet.
    """

    name: str
    mpp: float
    curves: dict[str, Curve]


@dataclass(frozen=True)
class Row:
    """One row of a grid, an image per example: uint8 [h, w, 3]."""

    label: str
    images: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class StageGrid:
    """Pictures of a stage; all rows show the same examples.

    stage: index, coarsest 0; None for the separate segmenter. mpp: um/px.
    columns: names of the examples, or none.
    """

    stage: int | None
    mpp: float
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = {len(row.images) for row in self.rows}
        if self.columns:
            counts.add(len(self.columns))
        if len(counts) > 1:
            raise InputError(
                f"grid of stage {self.stage}: rows and names of"
                f" {sorted(counts)} examples; all must have as many"
            )
        for row in self.rows:
            for image in row.images:
                rgb = image.ndim == 3 and image.shape[2] == 3
                if not rgb or image.dtype != np.uint8:
                    raise InputError(
                        f"grid of stage {self.stage}, row {row.label!r}: image"
                        f" of {image.dtype} {image.shape}; allowed is uint8"
                        " [H, W, 3]"
                    )

    @property
    def title(self) -> str:
        """`Stage 0` or `Segmenter`."""
        return "Segmenter" if self.stage is None else f"Stage {self.stage}"


@dataclass(frozen=True)
class ReportFacts:
    """Everything on the page.

    name: of the run. commands: the exact command lines, oldest first.
    data: what data.json holds: hash, images {"train/labelled": [names]},
    groups {split: [names]}. metrics: see the module; None before evaluation.
    """

    name: str
    commands: tuple[str, ...]
    config: Config
    classes: ClassTable
    data: dict[str, Any]
    phases: tuple[PhaseCurves, ...] = ()
    grids: tuple[StageGrid, ...] = ()
    metrics: dict[str, Any] | None = None

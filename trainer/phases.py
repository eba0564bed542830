"""The explicit list of phases of a run.

In: what they are made from (`sources.py`).
Out: stage 0, 1, ..., then the judge, then the final segmenter, each with its
model, its data and its folder. Stages are independent of one another; the
judge needs none of them: it learns real labels in the stains of all tiles,
with batch norm's statistics of all; the final segmenter needs them all.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.config import AugmentConfig, NetworkConfig, SegmenterConfig
from histogan_tf.data import dataset
from histogan_tf.data.dataset import CropSettings, Tiles, labelled_count
from histogan_tf.errors import InputError
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel
from histogan_tf.running import silent
from trainer import calibration, pseudo_labels, teaching
from trainer.loop import Phase
from trainer.pseudo_labels import Tell
from trainer.training_data import TrainingData

Teach = Callable[[TrainingData, SegmenterConfig], Sequence[Lesson]]

# Seeds of the phases after the stages, which take 0, 1, ...
_SEGMENTER, _JUDGE, _SEEDS = 62, 63, 64


def phases(source: TrainingData, tell: Tell = silent) -> list[Phase]:
    """All phases in the order of training.

    `tell` hears of work before a phase's first step.
    """
    config = source.config
    stages = [stage_phase(source, k) for k in range(len(config.stages))]
    alone = replace(source, config=replace(config, labelled_share=1.0))
    return [
        *stages,
        segmenter_phase(alone, "judge", config.judge, _JUDGE),
        segmenter_phase(
            source, "segmenter", config.segmenter, _SEGMENTER, tell=tell
        ),
    ]


def numbers(texts: Sequence[str], count: int) -> list[int]:
    """Stages by number, as a flag gives them; rising, each once.

    Raises:
      InputError: one is not the number of one of `count` stages.
    """
    for text in texts:
        if not text.isdecimal() or int(text) >= count:
            raise InputError(
                f"--stages: no stage {text!r}; use numbers from 0 (the"
                f" coarsest) to {count - 1}"
            )
    return sorted({int(text) for text in texts})


def stage_phase(source: TrainingData, index: int) -> Phase:
    """The phase of one stage of the pyramid."""
    config, stage = source.config, source.config.stages[index]
    name = run_dir.stage_name(index)
    crops = _crops(source, stage.crop, stage.batch, index, config.augment)
    few, read = stage.batch // stage.thin, stage.crop // stage.segmenter_patch
    cost = work(stage.crop, few, [stage.generator])
    cost += work(stage.crop // stage.critic_patch, few, [stage.critic] * 2)
    cost += work(read, few + stage.batch, [stage.segmenter])
    return Phase(
        name,
        source.run.phase(name),
        stage.steps,
        stage.batch,
        lambda: StageModel(
            config,
            index,
            source.class_weights(),
            teaching.view(source, config.losses.restain),
        ),
        _batches(source, config.stage_mpp(index), crops),
        mpp=config.stage_mpp(index),
        seed=crops.seed + 1,
        work=cost,
        finish=_calibration(source, config.stage_mpp(index), index > 0),
    )


def segmenter_phase(
    source: TrainingData,
    name: str,
    settings: SegmenterConfig,
    salt: int,
    teach: Teach | None = None,
    tell: Tell = silent,
) -> Phase:
    """The phase of a segmenter by itself, at the finest scale.

    Args:
      source: see `TrainingData`.
      name: of its folder.
      settings: its own.
      salt: makes its seeds differ from other phases'.
      teach: gives its lessons; those of its settings by default.
      tell: hears how far the judge is with its pseudo-labels.
    """
    config, augment = source.config, settings.augment
    if teach is None and settings.restain == 1.0:
        # Every image moves on to another style, where the jitter cancels.
        augment = replace(augment, stain=0.0)
    crops = _crops(source, settings.crop, settings.batch, salt, augment)
    label = None
    if settings.pseudo_labels:
        label = functools.partial(_labelled_by_judge, source, tell)
    side = settings.crop // settings.patch
    cost = work(side, settings.batch, [settings.network])
    if settings.synthetic:
        few = settings.batch // settings.thin
        cost += work(side, few, [settings.network])
        cost += work(settings.crop, few, [config.stages[-1].generator])
    classes = source.manifest.classes.count
    return Phase(
        name,
        source.run.phase(name),
        settings.steps,
        settings.batch,
        lambda: SegmenterModel(
            settings,
            config.optimizer,
            classes,
            (teach or teaching.lessons_of)(source, settings),
        ),
        _batches(source, config.finest_mpp, crops, label),
        mpp=config.finest_mpp,
        seed=crops.seed + 1,
        work=cost,
        finish=_calibration(source, config.finest_mpp),
    )


def work(side: int, batch: int, networks: Sequence[NetworkConfig]) -> float:
    """About what a step costs: millions of multiplications, but for a factor.

    Convolutions cost pixels times channels squared, a quarter of the pixels
    at each level; `side` is the crop's, in what the finest level takes at
    once.
    """
    channels = sum(
        n.blocks * width**2 / 4**level
        for n in networks
        for level, width in enumerate(n.widths)
    )
    return batch * side**2 * channels / 1e6


def _crops(
    source: TrainingData,
    size: int,
    batch: int,
    salt: int,
    augment: AugmentConfig,
) -> CropSettings:
    labelled = labelled_count(batch, source.config.labelled_share)
    # 22 bits, as the crops' own seeds leave no room for more.
    seed = source.config.seed
    seed = (seed ^ seed >> 16) % 2**16 * _SEEDS + salt
    return CropSettings(size, batch, labelled, seed, augment)


def _calibration(
    source: TrainingData, mpp: float, refines: bool = False
) -> Callable[[tf.keras.Model], None]:
    """Fits the averaged segmenter to the tiles that the run knows."""

    def finish(model: tf.keras.Model) -> None:
        tiles = calibration.images(source, mpp)
        calibration.calibrate(model.average_segmenter, tiles, refines)

    return finish


def _labelled_by_judge(source: TrainingData, tell: Tell) -> Tiles | None:
    """Unlabelled tiles at the finest scale, as many as memory may hold."""
    tiles = source.fitting("unlabelled", source.config.finest_mpp)
    if tiles is None:
        return None
    count = len(source.manifest.split("train").unlabelled.images)
    if tiles.count < count:
        tell(
            f"cache_mb {source.config.cache_mb} holds {tiles.count} of {count}"
            " unlabelled tiles with the judge's labels; the others are left out"
        )
    return pseudo_labels.labelled(pseudo_labels.teacher(source), tiles, tell)


def _batches(
    source: TrainingData,
    mpp: float,
    crops: CropSettings,
    label: Callable[[], Tiles | None] | None = None,
) -> Callable[[int, range], tf.data.Dataset]:
    """Batches of a phase as a function of first step and rows.

    `label` gives the unlabelled tiles in place of those without a label.
    """

    def batches(start: int, rows: range) -> tf.data.Dataset:
        labelled = source.tiles("train", "labelled", mpp)
        assert labelled is not None  # see check_data
        unlabelled = None
        if crops.labelled < crops.batch:
            unlabelled = (
                label() if label else source.tiles("train", "unlabelled", mpp)
            )
        return dataset.training_batches(
            labelled, unlabelled, crops, start, rows
        )

    return batches

"""The methods of the semi-supervised benchmark.

In: `Work`: settings, records and folders of a cell. Out: a trained segmenter
(the average of its weights). All share backbone, optimiser, number of steps
of that segmenter and, but for `supervised+classic`, random augmentation; a
method is what it makes of the unlabelled images. Reading crops in the stains
of unlabelled images is part of histogan, and of no rival but the controls,
`...+restain`, of which the supervised one also takes its batch norm's
statistics from the unlabelled images, as all methods do that know them.

- supervised: labelled images only.
- supervised+classic: the same with strong augmentation.
- supervised+restain: labelled images in the stains of all training images
  (Reinhard et al. 2001): what the pyramid's segmenters do too, without it.
- self_training: the supervised network labels the rest once (Lee 2013).
- mean_teacher: agreement with the average (Tarvainen & Valpola 2017), on the
  unlabelled images.
- mean_teacher+restain: the same, the student seeing every image in the stains
  of all training images (the teacher as it is), with batches of twice as many
  crops: as many labelled ones as a supervised method has, and as many
  unlabelled.
- cps: two networks label for each other (Chen et al. 2021), `semi_cps.py`.
- histogan: the pyramid and its segmenter, as `trainer.train` does it.
- histogan_labelled_only: the same without the unlabelled images.

The unlabelled terms of self_training and mean_teacher are sums over the
unlabelled crops divided by all crops of the batch, of which those are half:
beside the labelled term's 1 they weigh half of what is stated here.
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf

from benchmarks import runs, semi_settings, timed_training
from benchmarks.semi_cps import CrossModel
from histogan_tf import run_dir
from histogan_tf.config import Config, SegmenterConfig
from histogan_tf.data.manifest import Manifest
from histogan_tf.models import lessons, losses
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter import Segmenter, no_opinion
from trainer import phases, teaching, training_data
from trainer.loop import Phase
from trainer.training_data import TrainingData

SEGMENTER, PLAIN = "segmenter", "supervised"
_SALT = 62
# Tarvainen & Valpola's ramp. On validation (8 labels, seeds 0, 1) mean teacher
# had 0.617, 0.610 with weight 1, 0.582, 0.451 with 10, when segmenters had
# pixel norm; not chosen again since.
_RAMP, _MEAN_TEACHER, _CPS, _PSEUDO = 0.4, 1.0, 1.5, 1.0
_GRAIN = 0.1
# What a method has of its own, for the results.
_STEADY = {"consistency": _MEAN_TEACHER, "ramp": _RAMP, "grain": _GRAIN}
OWN: dict[str, dict[str, float]] = {
    "self_training": {"pseudo": _PSEUDO},
    "mean_teacher": _STEADY,
    "mean_teacher+restain": _STEADY,
    "cps": {"cross": _CPS, "ramp": _RAMP},
}


@dataclass(frozen=True)
class Work:
    """What a method is given; `supervised` is that method's own folder."""

    config: Config
    records: Manifest
    folder: pathlib.Path
    supervised: pathlib.Path

    def source(
        self,
        config: Config,
        folder: pathlib.Path,
        styles_of: Config | None = None,
    ) -> TrainingData:
        """A run directory with what its phases are made from.

        `styles_of`: settings that say whose styles it knows; None: `config`.
        """
        return runs.opened(folder, config, self.records, styles_of)


Method = Callable[[Work], Segmenter]
Teach = Callable[[TrainingData, SegmenterConfig], list[Lesson]]


def supervised(work: Work) -> Segmenter:
    """Real labels only."""
    return _alone(work, _labelled_only(work.config), work.folder)


def supervised_classic(work: Work) -> Segmenter:
    """Real labels only, strongly augmented."""
    config = semi_settings.classic(_labelled_only(work.config))
    return _alone(work, config, work.folder)


def supervised_restain(work: Work) -> Segmenter:
    """Real labels only, each crop in the stain of a training image."""
    config = _labelled_only(work.config)
    plain = config.segmenter.alone()
    source = work.source(
        replace(config, segmenter=plain),
        work.folder,
        training_data.effective(work.config, work.records),
    )
    phase = phases.segmenter_phase(source, SEGMENTER, plain, _SALT)
    return _train(source, phase)


def self_training(work: Work) -> Segmenter:
    """Learns from real labels and, elsewhere, the supervised network's."""
    first = _alone(work, _labelled_only(work.config), work.supervised)

    def teach(source, settings):
        weights = _weights(source)

        def pseudo(read, batch, teacher):
            del teacher
            image, count = batch["image"], source.manifest.classes.count
            logits = first(image, no_opinion(image, count))
            found = losses.confident(tf.nn.softmax(logits), 0.0)
            free = 1.0 - losses.labelled(batch["labels"])
            return free * lessons.fit(read(image), found, weights)

        return [
            *teaching.lessons_of(source, settings),
            Lesson("pseudo", _PSEUDO, pseudo),
        ]

    student = _segmenter(work, teach)
    times = [f / "seconds.json" for f in (work.folder, work.supervised)]
    timed_training.include(*times, PLAIN)
    return student


def mean_teacher(work: Work) -> Segmenter:
    """The student, seeing noise, agrees with its own average."""
    return _segmenter(work, _agree)


def mean_teacher_restain(work: Work) -> Segmenter:
    """The same, the student seeing other stains, with twice the batch."""
    last = work.config.segmenter
    config = replace(work.config, segmenter=replace(last, batch=2 * last.batch))
    return _train(*_plain(work, config, work.folder, _agree, last.restain))


def _agree(source: TrainingData, settings: SegmenterConfig) -> list[Lesson]:
    seen = teaching.view(source, settings.restain)
    steady = lessons.consistent(_GRAIN, seen)
    more = Lesson("consistency", _MEAN_TEACHER, steady, _RAMP, True)
    return [*teaching.lessons_of(source, settings), more]


def cps(work: Work) -> Segmenter:
    """Two networks, each the other's teacher; the first is tested."""
    source, phase = _plain(work, work.config, work.folder)
    settings, rates = source.config.segmenter, source.config.optimizer

    def build():
        (real,) = teaching.lessons_of(source, settings)
        return CrossModel(settings, rates, real, _CPS, _RAMP, _weights(source))

    return _train(source, replace(phase, build=build))


def histogan(work: Work) -> Segmenter:
    """The product: pyramid, judge, then the segmenter that they teach."""
    source = work.source(work.config, work.folder)
    *before, last = phases.phases(source)
    for phase in before:
        _train_phase(source, phase)
    return _train(source, last)


def histogan_labelled_only(work: Work) -> Segmenter:
    """The product, given the labelled images alone."""
    return histogan(replace(work, config=_labelled_only(work.config)))


METHODS: dict[str, Method] = {
    "supervised": supervised,
    "supervised+classic": supervised_classic,
    "supervised+restain": supervised_restain,
    "self_training": self_training,
    "mean_teacher": mean_teacher,
    "mean_teacher+restain": mean_teacher_restain,
    "cps": cps,
    "histogan": histogan,
    "histogan_labelled_only": histogan_labelled_only,
}


def _labelled_only(config: Config) -> Config:
    return replace(config, labelled_share=1.0)


def _weights(source: TrainingData) -> tf.Tensor:
    return tf.constant(source.class_weights(), tf.float32)


def _alone(work: Work, config: Config, folder: pathlib.Path) -> Segmenter:
    return _train(*_plain(work, config, folder))


def _segmenter(work: Work, teach: Teach) -> Segmenter:
    return _train(*_plain(work, work.config, work.folder, teach))


def _plain(
    work: Work,
    config: Config,
    folder: pathlib.Path,
    teach: Teach = teaching.lessons_of,
    restain: float = 0.0,
) -> tuple[TrainingData, Phase]:
    """A run without pyramid and its only phase."""
    plain = replace(config.segmenter.alone(), restain=restain)
    alone = replace(config, segmenter=plain)
    source = work.source(alone, folder)
    settings = source.config.segmenter
    return source, phases.segmenter_phase(
        source, SEGMENTER, settings, _SALT, teach
    )


def _train(source: TrainingData, phase: Phase) -> Segmenter:
    """Trains the segmenter; returns its average."""
    _train_phase(source, phase)
    return run_dir.load_segmenter(source.run, SEGMENTER)


def _train_phase(source: TrainingData, phase: Phase) -> None:
    times = source.run.root / "seconds.json"
    timed_training.train(phase, times, source.config.seed)

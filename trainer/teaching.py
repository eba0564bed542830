"""What a segmenter by itself is taught, and by whose paint.

In: what a run is made from (`sources.py`), the segmenter's settings. Out: its
lessons; the trained pyramid as a painter of masks.
"""

import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.config import SegmenterConfig
from histogan_tf.data.dataset import labelled_count
from histogan_tf.models import lessons, other_stain
from histogan_tf.models.lessons import Lesson, Paint
from histogan_tf.models.noise import Stream
from histogan_tf.models.other_stain import View
from trainer.training_data import TrainingData


def lessons_of(source: TrainingData, settings: SegmenterConfig) -> list[Lesson]:
    """The lessons that the settings ask for, labelled images first."""
    weights = tf.constant(source.class_weights(), tf.float32)
    real = 1.0
    if not settings.pseudo_labels:
        # Then a part of the batch teaches nothing.
        share = labelled_count(settings.batch, source.config.labelled_share)
        real = settings.batch / share
    seen = view(source, settings.restain)
    out = [Lesson("labelled", real, lessons.labelled(weights, seen))]
    if settings.synthetic:
        paint = lessons.painted(weights, painter(source), seen, settings.thin)
        out.append(Lesson("painted", settings.synthetic, paint, taught=True))
    return out


def painter(source: TrainingData) -> Paint:
    """The trained pyramid's finest image as a function of masks.

    Each mask is painted in the stain of a training tile drawn by its seed
    (and jittered like one), so that stain tells nothing of the classes.
    """
    pyramid = run_dir.load_pyramid(source.run)
    styles, jitter = source.styles(), source.config.augment.stain

    def paint(mask: tf.Tensor, style: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del style
        drawn = other_stain.drawn_styles(
            styles, seed, Stream.PAINTED_STAIN, jitter
        )
        return pyramid.paint(mask, drawn, seed)[-1]

    return paint


def view(source: TrainingData, share: float) -> View:
    """What a segmenter sees: `share` of the images in another tile's stain."""
    if not share:
        return other_stain.as_it_is
    jitter = source.config.augment.stain
    return other_stain.restained(source.styles(), jitter, share)

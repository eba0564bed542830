"""The protocols of the semi-supervised benchmark.

Out: a `Protocol`: which images, at which scale, with which settings, and how
they are scored. `native`: GlaS at 1.24 um/px, whole images at their own size.
`xnet128`: images and masks resized to 128 x 128 px, as in the published
tables of XNet and XNetv2, to compare with those; nothing is held out there,
so a fixed number of steps and the last weights are used. (The published runs
chose their weights on the test images, and tested on 80; test A has 60.)
`gleason`: eight prostate tiles of five classes, each left out in turn.
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import semi_data, semi_scores, semi_settings
from benchmarks.semi_data import Fold, Place
from benchmarks.semi_scores import Read, Row
from histogan_tf.config import Config
from histogan_tf.data import images
from histogan_tf.data.pairs import ImageFiles

GLAS_MPP = 0.62
GLEASON_MPP = 0.5  # a guess, of a 20x scan: the files state none
SMALL = 128


@dataclass(frozen=True)
class Protocol:
    """One way to use a data set; `mpp` is of the files in the records."""

    name: str
    mpp: float
    classes: pathlib.Path
    fold: Callable[[pathlib.Path, int | None, int], Fold]
    place: Place
    config: Callable[[int], Config]
    score: Callable[[Read, tuple[ImageFiles, ...], float], dict[str, Row]]
    pool: Callable[[dict[str, Row]], dict[str, float]]
    threshold: float | None = 0.5  # None: the likeliest class
    side: int | None = None  # px, of images that are resized
    # What is run unless the flags say otherwise; None: all are labelled.
    labels: tuple[int | None, ...] = (17,)
    seeds: int = 3
    most_seeds: int | None = None

    def reading(self) -> dict[str, float | None]:
        """How images are read, for the results."""
        return {"threshold": self.threshold, "image_side_px": self.side}


def place_small(
    source: ImageFiles, folder: pathlib.Path, with_mask: bool
) -> None:
    """Writes an image and its mask at 128 x 128."""
    image = semi_scores.resized(images.read_image(source.image), SMALL)
    images.write_png(folder / "images" / f"{source.name}.png", image)
    if with_mask and source.mask:
        mask = images.read_mask_raw(source.mask, False)
        images.write_png(
            folder / "masks" / f"{source.name}.png",
            semi_scores.resized_mask((mask > 0).astype("uint8"), SMALL),
        )


def _native_score(read, sources, target):
    return semi_scores.gland_rows(read, sources, GLAS_MPP, target)


def _gleason_score(read, sources, target):
    return semi_scores.class_rows(read, sources, GLEASON_MPP, target)


def _small_score(read, sources, target):
    del target
    return semi_scores.small_rows(read, sources, SMALL)


NATIVE = Protocol(
    "native",
    GLAS_MPP,
    semi_data.TABLES / "glas.json",
    semi_data.glas_fold,
    semi_data.as_it_is,
    semi_settings.native,
    _native_score,
    semi_scores.pooled,
    labels=(8, 17, None),
)
XNET128 = Protocol(
    "xnet128",
    1.0,  # a pixel is the unit of length: sizes in um are lost
    semi_data.TABLES / "glas.json",
    semi_data.glas_fold_without_validation,
    place_small,
    semi_settings.xnet128,
    _small_score,
    semi_scores.pooled,
    side=SMALL,
)
GLEASON = Protocol(
    "gleason",
    GLEASON_MPP,
    semi_data.TABLES / "gleason.json",
    semi_data.gleason_fold,
    semi_data.as_it_is,
    semi_settings.native,
    _gleason_score,
    semi_scores.pooled_classes,
    threshold=None,
    labels=(2,),
    seeds=semi_data.GLEASON_TILES,
    most_seeds=semi_data.GLEASON_TILES,
)
PROTOCOLS = {p.name: p for p in (NATIVE, XNET128, GLEASON)}

"""What ingest of slides is asked to do, and whether that makes sense.

In: the flags' values. Out: frozen SlideSettings, or one InputError that names
the flag, its value and what is allowed.
"""

import dataclasses

from histogan_tf.data import manifest, tiles
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class SlideSettings:
    """What to read and where to; each field is a flag of trainer.ingest.

    Paths are folders, glob patterns or files. `mpp` is the slides' um/px (None:
    they state it). Tiles are `tile_px` a side or a little more, at
    `tile_mpp` um/px (None: the slide's own). An unannotated tile is stored if
    `tissue` of it, 0..1, is tissue. `validation` is a share 0 <= v < 1 of the
    annotated slides, `shard_mb` in MiB.
    """

    images: str
    annotations: str
    classes: str
    output: str
    mpp: float | None = None
    unlabelled: str | None = None
    tile_px: int = 1024
    tile_mpp: float | None = None
    tissue: float = 0.1
    split: str = "train"
    group_by: str | None = None
    groups: str | None = None
    group_column: str | None = None
    validation: float = 0.15
    mask_suffix: str = ""
    skip_bad: bool = False
    shard_mb: float = 64.0
    workers: int = 2
    seed: int = 0
    command: str = ""


def check(settings: SlideSettings) -> None:
    """Raises InputError where settings contradict themselves."""
    ranges = (
        ("mpp", settings.mpp, 0.01, tiles.LARGEST_MPP),
        ("tile_mpp", settings.tile_mpp, 0.01, tiles.LARGEST_MPP),
        ("tile_px", settings.tile_px, 32, 16384),
        ("tissue", settings.tissue, 0.0, 1.0),
        ("validation", settings.validation, 0.0, 0.99),
        ("shard_mb", settings.shard_mb, 1e-4, 1e6),
        ("workers", settings.workers, 1, 256),
        ("seed", settings.seed, 0, 2**63 - 1),
    )
    for name, value, low, high in ranges:
        if value is not None and not low <= value <= high:
            raise InputError(
                f"--{name} {value:g}: {low:g}..{high:g} is allowed"
            )
    if settings.split not in manifest.SPLITS:
        allowed = ", ".join(manifest.SPLITS)
        raise InputError(f"--split {settings.split!r}; allowed: {allowed}")
    if bool(settings.groups) != bool(settings.group_column):
        raise InputError("--groups and --group_column go together")
    if settings.group_by and settings.groups:
        raise InputError("--group_by and --groups: state one of them")

"""Settings that ingest of images and of slides share, and their checks.

In: the flags' values. Out: the base of IngestSettings and SlideSettings; one
InputError that names the flag, its value and what is allowed.
"""

import dataclasses

from histogan_tf.data import manifest, scale_notes
from histogan_tf.errors import InputError

# Flag, value, lowest, highest.
Range = tuple[str, float | None, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """What to read, how, and where to; each field is a flag.

    Paths are folders, glob patterns or files. `mpp` is the files' um/px (None:
    they state it), `validation` a share 0 <= v < 1 of what is labelled,
    `shard_mb` in MiB.
    """

    images: str
    classes: str
    output: str
    mpp: float | None = None
    unlabelled: str | None = None
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


def check(settings: CommonSettings, *more: Range) -> None:
    """Raises InputError for a value out of its range or groups stated twice.

    `more` are ranges that only one kind of ingest has; None is in all.
    """
    ranges: tuple[Range, ...] = (
        ("mpp", settings.mpp, 0.01, scale_notes.LARGEST_MPP),
        *more,
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

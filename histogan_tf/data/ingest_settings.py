"""What ingest is asked to do, and whether that makes sense.

In: the flags' values and the class table. Out: frozen IngestSettings, or one
InputError that names the flag, its value and what is allowed.
"""

import dataclasses

from histogan_tf.data import manifest, tiles
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class IngestSettings:
    """What to read and where to; each field is a flag of trainer.ingest.

    Paths are folders, glob patterns or files. `mpp` is in um/px (None: the
    files state it), `boundary_um` the width of the boundary class in um,
    `validation` a share 0 <= v < 1 of the labelled images, `shard_mb` in MiB.
    """

    images: str
    masks: str
    classes: str
    output: str
    mpp: float | None = None
    instances: str | None = None
    boundary_um: float | None = None
    unlabelled: str | None = None
    split: str = "train"
    test_images: str | None = None
    test_masks: str | None = None
    test_instances: str | None = None
    group_by: str | None = None
    groups: str | None = None
    group_column: str | None = None
    validation: float = 0.15
    max_labelled: int | None = None
    mask_suffix: str = ""
    skip_bad: bool = False
    shard_mb: float = 64.0
    workers: int = 2
    seed: int = 0
    command: str = ""


def check(settings: IngestSettings, table: ClassTable) -> None:
    """Raises InputError where settings contradict themselves or the table."""
    ranges = (
        ("mpp", settings.mpp, 0.01, tiles.LARGEST_MPP),
        ("boundary_um", settings.boundary_um, 0.01, 1000.0),
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
    if settings.split == "test" and settings.test_images:
        raise InputError("--split test and --test_images: state one of them")
    if settings.split != "train" and settings.max_labelled is not None:
        raise InputError("--max_labelled: only with --split train")
    together = (
        ("test_images", "test_masks"),
        ("groups", "group_column"),
        ("instances", "boundary_um"),
    )
    for first, second in together:
        if bool(getattr(settings, first)) != bool(getattr(settings, second)):
            raise InputError(f"--{first} and --{second} go together")
    if settings.group_by and settings.groups:
        raise InputError("--group_by and --groups: state one of them")
    _check_boundary(settings, table)


def _check_boundary(settings: IngestSettings, table: ClassTable) -> None:
    edge = table.boundary
    if settings.instances and edge is None:
        raise InputError(
            f'{settings.classes}: --instances needs a class of "boundary": true'
        )
    stated = edge is None or edge.values or edge.colors
    if edge and not stated and not settings.instances:
        raise InputError(
            f"{settings.classes}: class {edge.name!r} is painted from"
            " instance masks; state --instances and --boundary_um"
        )
    if settings.instances and settings.test_images:
        if not settings.test_instances:
            raise InputError(
                "--test_images with --instances: state --test_instances too"
            )
    elif settings.test_instances:
        raise InputError("--test_instances needs --test_images and --instances")

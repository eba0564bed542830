"""What ingest is asked to do, and whether that makes sense.

In: the flags' values and the class table. Out: frozen IngestSettings, or one
InputError that names the flag, its value and what is allowed.
"""

import dataclasses

from histogan_tf.data import ingest_common
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngestSettings(ingest_common.CommonSettings):
    """Ingest of images; each field is a flag of trainer.ingest.

    `boundary_um` is the width of the boundary class in um.
    """

    masks: str
    instances: str | None = None
    boundary_um: float | None = None
    test_images: str | None = None
    test_masks: str | None = None
    test_instances: str | None = None
    max_labelled: int | None = None


def check(settings: IngestSettings, table: ClassTable) -> None:
    """Raises InputError where settings contradict themselves or the table."""
    ingest_common.check(
        settings, ("boundary_um", settings.boundary_um, 0.01, 1000.0)
    )
    if settings.split == "test" and settings.test_images:
        raise InputError("--split test and --test_images: state one of them")
    if settings.split != "train" and settings.max_labelled is not None:
        raise InputError("--max_labelled: only with --split train")
    together = (
        ("test_images", "test_masks"),
        ("instances", "boundary_um"),
    )
    for first, second in together:
        if bool(getattr(settings, first)) != bool(getattr(settings, second)):
            raise InputError(f"--{first} and --{second} go together")
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

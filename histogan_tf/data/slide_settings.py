"""What ingest of slides is asked to do, and whether that makes sense.

In: the flags' values. Out: frozen SlideSettings, or one InputError that names
the flag, its value and what is allowed.
"""

import dataclasses

from histogan_tf.data import ingest_common, scale_notes


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlideSettings(ingest_common.CommonSettings):
    """Ingest of slides; each field is a flag of trainer.ingest.

    Tiles are `tile_px` a side or a little more, at `tile_mpp` um/px (None: the
    slide's own). An unannotated tile is stored if `tissue` of it, 0..1, is
    tissue.
    """

    annotations: str
    tile_px: int = 1024
    tile_mpp: float | None = None
    tissue: float = 0.1


def check(settings: SlideSettings) -> None:
    """Raises InputError for settings that cannot be."""
    ingest_common.check(
        settings,
        ("tile_mpp", settings.tile_mpp, 0.01, scale_notes.LARGEST_MPP),
        ("tile_px", settings.tile_px, 32, 16384),
        ("tissue", settings.tissue, 0.0, 1.0),
    )

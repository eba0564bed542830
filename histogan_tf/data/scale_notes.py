"""Lines for the user on the um/px of images: stated, given, or learnt.

In: um/px that a file states, that --mpp gives, that networks were trained at.
Out: a line where they disagree by more than scanners do; else None. And what
counts as one scale, and as none.
"""

import os
import pathlib

from histogan_tf.data import images
from histogan_tf.errors import InputError

# Coarser is taken for a slip.
LARGEST_MPP = 100.0
# Objectives and scanners are this true to what they say.
SAME_SCALE = 0.02
# Scales this near count as equal: scanners for 0.25 um/px state up to 0.2527,
# and resampling 0.499 to 0.5 only blurs.
NEAR = 0.03


def scale_note(
    path: str | os.PathLike, stated: float | None, given: float | None
) -> str | None:
    """A line for the user where a file states another um/px than --mpp."""
    if not stated or not given or abs(given / stated - 1) <= SAME_SCALE:
        return None
    return f"{path}: states {stated:g} um/px, --mpp {given:g} is used"


def bare_notes(bare: list[pathlib.Path], taken: float, whose: str) -> list[str]:
    """A line on files whose um/px nobody states; none where there are none."""
    if not bare:
        return []
    others = f", nor in {len(bare) - 1} more" if bare[1:] else ""
    return [
        f"{bare[0]}: no um/px in the file{others}; taken as {taken:g}, {whose}"
        " (--mpp states another)"
    ]


def coarse_note(
    path: str | os.PathLike, mpp: float, wanted: float
) -> str | None:
    """A line for the user where an image is coarser than networks learnt."""
    if mpp <= wanted * (1 + NEAR):
        return None
    return (
        f"{path}: {mpp:g} um/px is coarser than the {wanted:g} um/px that the"
        " networks were trained at; what they make of it is a guess"
    )


def file_scale_note(path: str | os.PathLike, given: float | None) -> str | None:
    """`scale_note` of an image file; None where it cannot be read."""
    try:
        return scale_note(path, images.read_mpp(path), given) if given else None
    except InputError:
        return None


def file_notes(
    path: str | os.PathLike, given: float | None, wanted: float
) -> list[str]:
    """Both notes on an image that is brought from its um/px to `wanted`."""
    mpp = given or images.read_mpp(path)
    notes = (
        file_scale_note(path, given),
        mpp and coarse_note(path, mpp, wanted),
    )
    return [note for note in notes if note]

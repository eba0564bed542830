"""What a phantom is to look like, and the grid it is painted on.

In: numbers, each with its range. Out: frozen `PhantomSettings` and `Grid`.
Conventions: lengths end in `_um` (micrometres), um/px is `mpp`; the phantom is
painted on a fine grid near FINE_MPP and averaged down to the wanted um/px, so
the same seed and field show the same tissue at every scale.
"""

import dataclasses
import math
from typing import Any

from histogan_tf.errors import InputError

FINE_MPP = 0.62
PAD_UM = 45.0  # more than the thickest epithelium, so no edge sees the border
MAX_FINE_PIXELS = 2**26
MAX_FINE_SIDE = 32000  # OpenCV's remap ends at 32767


def _setting(default: float, low: float, high: float) -> Any:
    return dataclasses.field(
        default=default, metadata={"low": low, "high": high}
    )


@dataclasses.dataclass(frozen=True)
class PhantomSettings:
    """The kind of tissue; every image draws its own values around it.

    Attributes:
      height, width: image size in pixels, 8 to 16384 each.
      mpp: um/px of the image, 0.1 to 20.
      gland_density: expected share of the area that is gland (epithelium and
        lumen), 0 to 0.55; above 0.5 the room runs out a little before it.
      gland_radius_um: mean radius of a gland of the same area, 15 to 120.
      nucleus_um: length of an epithelial nucleus, 4 to 16.
      irregularity: 0 = round crypts; an image draws from 0 to this, and 1 is
        as elongated, folded and stratified as a carcinoma.
      goblets: an image draws from 0 to this the share of epithelial cells
        swollen by pale mucin, 0 to 1; irregular glands have fewer.
      stroma_cells: nuclei per square millimetre of stroma, 0 to 12000.
      gaps: amount of white clefts in and around the tissue, 0 to 1.
      stain_variation: 0 = one laboratory's stain, 1 = many laboratories'.
      noise: standard deviation of the camera's noise in grey levels, 0 to 20.
      blur_um: standard deviation of the optics' point spread, 0 to 5.

    Raises:
      InputError: a value is out of its range, or the field is too large.
    """

    height: int = _setting(512, 8, 16384)
    width: int = _setting(512, 8, 16384)
    mpp: float = _setting(0.62, 0.1, 20.0)
    gland_density: float = _setting(0.45, 0.0, 0.55)
    gland_radius_um: float = _setting(42.0, 15.0, 120.0)
    nucleus_um: float = _setting(9.5, 4.0, 16.0)
    irregularity: float = _setting(0.9, 0.0, 1.0)
    goblets: float = _setting(0.9, 0.0, 1.0)
    stroma_cells: float = _setting(6000.0, 0.0, 12000.0)
    gaps: float = _setting(0.5, 0.0, 1.0)
    stain_variation: float = _setting(1.0, 0.0, 1.0)
    noise: float = _setting(2.5, 0.0, 20.0)
    blur_um: float = _setting(0.4, 0.0, 5.0)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        grid = grid_of(self)
        area, side = grid.height * grid.width, max(grid.height, grid.width)
        if area > MAX_FINE_PIXELS or side > MAX_FINE_SIDE:
            raise InputError(
                f"phantom: height x width = {self.height} x {self.width} at "
                f"mpp {self.mpp} needs {grid.height} x {grid.width} fine "
                f"pixels; allowed are {MAX_FINE_PIXELS} in all and "
                f"{MAX_FINE_SIDE} a side"
            )


@dataclasses.dataclass(frozen=True)
class Grid:
    """The fine grid: padded size in px, um/px, pad in px, shrink factor."""

    height: int
    width: int
    mpp: float
    pad: int
    factor: int

    def px(self, length_um: Any) -> Any:
        """Length in fine pixels; a number or an array of them."""
        return length_um / self.mpp


def grid_of(settings: PhantomSettings) -> Grid:
    """The fine grid on which these settings are painted."""
    factor = max(1, round(settings.mpp / FINE_MPP))
    mpp = settings.mpp / factor
    pad = math.ceil(PAD_UM / mpp)
    return Grid(
        height=settings.height * factor + 2 * pad,
        width=settings.width * factor + 2 * pad,
        mpp=mpp,
        pad=pad,
        factor=factor,
    )


def _check(field: dataclasses.Field, value: Any) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    whole = field.type in (int, "int")
    kinds = int if whole else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # NaN fails the range as well
        kind = "a whole number" if whole else "a number"
        raise InputError(
            f"phantom: {field.name} = {value!r}; allowed is {kind} from "
            f"{low} to {high}"
        )

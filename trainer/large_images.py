"""Which images are worked on by windows, and by which.

In: files of images or masks, --window. Out: their numbers of pixels, from
their first bytes where that is possible; the side of windows.
"""

import pathlib
import struct

from histogan_tf.errors import InputError

# 4096 x 4096: about what one forward pass of `base` can hold in 16 GB.
LARGE = 2**24
# Of the OME-TIFFs that are written; windows are whole ones.
TILE = 512


def pixels(path: pathlib.Path) -> int:
    """Number of pixels of a file, of JPEG about; 0 if unreadable."""
    import cv2
    import tifffile

    from histogan_tf.data import png

    with open(path, "rb") as file:
        start = file.read(26)
    try:
        if start.startswith(png.SIGNATURE):
            width, height = struct.unpack_from(">II", start, 16)
        elif start.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", start, 18)
        elif start.startswith(b"\xff\xd8"):
            # Decoded at an eighth of its size, which takes little.
            small = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_8)
            height, width = (8 * side for side in small.shape)
        else:
            with tifffile.TiffFile(path) as tif:
                page = tif.pages.first
                width, height = page.imagewidth, page.imagelength
    except Exception:
        # The check of all files says what is wrong with this one.
        return 0
    return abs(width * height)


def checked_window(side: int) -> int:
    """The side of windows.

    Raises:
      InputError: tiles do not fill it.
    """
    if side % TILE:
        raise InputError(f"--window {side}: a multiple of {TILE} is allowed")
    return side

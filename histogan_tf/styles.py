"""Which of the training styles a mask is painted in, where none is stated.

In: the mask's name, the seed, how many styles there are. Out: the place of one.
Imports no TensorFlow: clients of a server draw, too.
"""

import zlib

import numpy as np


def drawn(name: str, seed: int, count: int) -> int:
    """The place of a style, the same for the same arguments on any machine.

    Args:
      name: of the mask, as its images bear it ("a", or "p1/a").
      seed: of the image, 0 or more.
      count: of the styles, 1 or more; another count draws anew.

    Returns:
      0..count - 1, all alike likely.

    Raises:
      ValueError: `seed` or `count` is too small.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return int(rng.integers(count))

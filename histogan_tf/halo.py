"""How much mask or image a window needs around it: the halo, in pixels.

In: settings of the networks. Out: pixels beyond each side of a window that
can change anything inside it. A window computed with its halo equals the same
crop of the whole canvas, since nothing else depends on space (`layers`).

Counted backwards from the window, whose edges lie on the coarsest level's
pixels (`aligned`), so that all four sides are alike. A reach is how far what
is needed goes beyond the window, in pixels of the level at hand:
  a 3x3 convolution adds 1; the averages of the mask add 6 (13 x 13);
  halving: twice the reach, on the finer level; doubling (bilinear, half-pixel
  centres): half the reach, rounded down, and 1, on the coarser level; detail
  (less its own averages): a doubling, then a halving.
"""

from histogan_tf.config import Config, NetworkConfig

_CONVOLUTION, _AVERAGES, _BLOCK = 1, 6, 2


def paint_halo(config: Config) -> int:
    """Pixels of mask around a window of the finest image; not rounded."""
    reach, halo = 0, 0
    for index in reversed(range(len(config.stages))):
        if index:
            reach = 2 * _doubled(reach)  # detail alone
        mask, coarse = _generator(config.stages[index].generator, reach)
        halo = max(halo, mask * 2 ** (len(config.stages) - 1 - index))
        reach = _doubled(coarse)
    return halo


def stage_reach(config: Config, index: int) -> tuple[int, int]:
    """Reaches of one stage alone around a window of its own image.

    Returns:
      Pixels of the stage's mask, and of the enlarged coarser image, that a
      window needs on each side; not rounded.
    """
    # As in `paint_halo`: detail alone is what a stage above the first adds.
    reach = 2 * _doubled(0) if index else 0
    return _generator(config.stages[index].generator, reach)


def read_halo(network: NetworkConfig, patch: int = 1) -> int:
    """Pixels of image around a window that a segmenter reads; not rounded.

    Args:
      network: the U-Net's settings.
      patch: side in pixels of what its finest level takes at once.
    """
    reach, skips = 0, list[int]()
    for _ in network.widths[1:]:
        reach += _CONVOLUTION
        skips.append(reach)
        reach = _doubled(reach)
    for level in reversed(range(len(skips))):
        # The finest level has no blocks; the loop never reaches it.
        reach += _BLOCK * network.blocks
        reach = max(2 * reach, skips[level])
    return patch * (reach + _CONVOLUTION)


def rounded(halo: int, multiple: int) -> int:
    """The halo that windows are given: `multiple` divides it."""
    return -(-halo // multiple) * multiple


def aligned(first: int, size: int, multiple: int) -> tuple[int, int]:
    """The smallest window on the grid around [first, first + size).

    Args:
      first: any integer.
      size: 1 or more.
      multiple: both of the window's edges divide by it.

    Returns:
      Its first element and its size.
    """
    start = first // multiple * multiple
    return start, -(-(first + size) // multiple) * multiple - start


def _generator(network: NetworkConfig, reach: int) -> tuple[int, int]:
    """Reaches into mask and coarser image, at the generator's finest scale."""
    reach += _CONVOLUTION
    mask = coarse = 0
    for level in range(len(network.widths)):
        reach += _BLOCK * network.blocks
        entry = reach + _CONVOLUTION
        coarse = max(coarse, entry * 2**level)
        mask = max(mask, (entry + _AVERAGES) * 2**level)
        reach = _doubled(reach)
    return mask, coarse


def _doubled(reach: int) -> int:
    return reach // 2 + 1

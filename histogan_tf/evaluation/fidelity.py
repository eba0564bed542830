"""How far synthetic images are from real ones, fairly measured.

In: a real image and the image painted from its mask, for each mask of a
split. Out: sliced Wasserstein distances per level of a Laplacian pyramid,
beside the floor: real against real.

Two things would flatter the pyramid. A mask in the style of its own image
gives that image's colours back; so masks are grouped in pairs (one group of
three if their number is odd), and within a group each mask takes the next
one's style. And painting the very layouts that it is compared with; so the
split is halved, A gives masks, B is the other half's real images, and

    synthetic = SWD(B, A'), floor = SWD(B, A), A' painted from A's masks,

over the same sets with the same number of patches, averaged over several
seeded halvings. Halves are made of whole groups: the styles of A' are A's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from histogan_tf.errors import InputError
from histogan_tf.metrics import wasserstein
from histogan_tf.metrics.wasserstein import SwdSettings

Groups = tuple[tuple[int, ...], ...]

_STATISTICS = {
    False: "each set normalised by its own statistics (Karras et al. 2018)",
    True: "both sets normalised by the real set's statistics (stricter)",
}


@dataclass(frozen=True)
class Pair:
    """Real and synthetic images of the same masks, uint8 [H, W, 3] each."""

    real: Sequence[np.ndarray]
    synthetic: Sequence[np.ndarray]


def style_groups(count: int, seed: int) -> Groups:
    """Groups of two images, one of three if need be, in random order.

    With fewer than four images each is a group of its own: it then keeps
    its own style, as two groups at least are needed to halve a set.
    """
    order = np.random.default_rng([seed, 1]).permutation(count).tolist()
    if count < 4:
        return tuple((i,) for i in order)
    pairs = [tuple(order[i : i + 2]) for i in range(0, count - 1, 2)]
    if count % 2:
        pairs[-1] += (order[-1],)
    return tuple(pairs)


def style_donors(groups: Groups) -> tuple[int, ...]:
    """For each image the one whose style its mask is painted in."""
    donors = {
        image: group[(place + 1) % len(group)]
        for group in groups
        for place, image in enumerate(group)
    }
    return tuple(donors[i] for i in range(len(donors)))


def halves(groups: Groups, seed: int) -> tuple[list[int], list[int]]:
    """Two disjoint sets of images from whole groups, drawn by seed.

    Of an odd number of groups one is left out.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(groups))
    half = len(groups) // 2
    one, two = (
        sorted(i for g in part for i in groups[g])
        for part in (order[:half], order[half : 2 * half])
    )
    return one, two


def check(
    images: Sequence[np.ndarray], factors: Sequence[int], settings: SwdSettings
) -> None:
    """Raises InputError if some stage's images are too small for patches.

    Args:
      images: real ones [H, W, 3] at the finest stage.
      factors: by how much each stage's are smaller, coarsest stage first.
      settings: the protocol.
    """
    side = min(min(image.shape[:2]) for image in images)
    levels = settings.levels or 1
    for stage, factor in enumerate(factors):
        coarse = -(-side // factor)
        least = -(-coarse // 2 ** (levels - 1))
        if least < settings.patch:
            raise InputError(
                f"sliced Wasserstein distance: the smallest image has {coarse}"
                f" px at stage {stage}, {least} at level {levels}; allowed are"
                f" >= {settings.patch} (the patch)"
            )


def distances(
    pair: Pair, groups: Groups, settings: SwdSettings, splits: int
) -> dict[str, Any]:
    """SWD of synthetic images and the floor, per level, finest first.

    Args:
      pair: images of one stage, in the order that `groups` counts in.
      groups: of `style_groups`, two at least.
      settings: the protocol; `levels` None is filled in from all images.
      splits: number of halvings to average over.

    Returns:
      For metrics.json: distances, floor, their ratio (None where the floor
      is 0), `spread` and `floor_spread` (standard deviation over the
      halvings), images [real, synthetic] per half, settings, protocol.

    Raises:
      InputError: as `wasserstein.distance`.
    """
    side = min(min(image.shape[:2]) for image in pair.real)
    # Of all images, so that all halvings agree.
    settings = replace(
        settings, levels=settings.levels or wasserstein.levels_of(side)
    )
    found, floors, sizes = [], [], [0, 0]
    for split in range(splits):
        one, two = halves(groups, settings.seed + split)
        own = replace(settings, seed=settings.seed + split)
        real = [pair.real[i] for i in two]
        painted = [pair.synthetic[i] for i in one]
        other = [pair.real[i] for i in one]
        found.append(wasserstein.distance(real, painted, own).distances)
        floors.append(wasserstein.distance(real, other, own).distances)
        sizes = [len(two), len(one)]
    mean, floor = np.mean(found, axis=0), np.mean(floors, axis=0)
    return {
        "distances": mean.tolist(),
        "floor": floor.tolist(),
        "ratio": [
            float(a / b) if b else None
            for a, b in zip(mean, floor, strict=True)
        ],
        "spread": np.std(found, axis=0).tolist(),
        "floor_spread": np.std(floors, axis=0).tolist(),
        "images": sizes,
        "settings": asdict(settings),
        "protocol": _protocol(settings, splits),
    }


def _protocol(settings: SwdSettings, splits: int) -> str:
    return (
        f"SWD x 1000, {_STATISTICS[settings.real_statistics]};"
        f" {settings.patches_per_image} patches of {settings.patch} px an"
        f" image and level, {settings.repeats} x {settings.directions}"
        f" directions; mean of {splits} halvings of the split from seed"
        f" {settings.seed}: real half B against images painted from half A's"
        " masks (in the styles of A, no mask in its own image's where there"
        " are four images or more); floor: B against A's real images"
    )

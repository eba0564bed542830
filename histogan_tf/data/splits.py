"""Draws which images are held out, and which keep their labels.

In: Sources sorted by name, shares, counts and a seed. Out: lists of Sources.
Everything drawn depends on the seed and the sources alone.
"""

import dataclasses
from typing import TypeVar

import numpy as np

from histogan_tf.data.pairs import ImageFiles
from histogan_tf.errors import InputError

Item = TypeVar("Item")

# One stream of random numbers a purpose, so that a draw that is left out does
# not change the others.
_HOLD_OUT, _LABELS, _ORDER = range(3)


def hold_out(
    sources: list[ImageFiles], share: float, seed: int
) -> tuple[list[ImageFiles], list[ImageFiles]]:
    """Splits labelled images into training and validation, by whole groups.

    Groups are drawn in a random order, and each is held out if that brings
    the number of images closer to `share` of all; the first one is held out in
    any case, and one always stays. Images without a group count as a group
    each.

    Args:
      sources: labelled images.
      share: wanted part of the images, 0 <= share < 1; 0 holds out none.
      seed: chooses the groups.

    Returns:
      (training, validation), in the order given.

    Raises:
      InputError: share > 0 with fewer than two groups.
    """
    if not share:
        return sources, []
    members: dict[str, list[ImageFiles]] = {}
    for source in sources:
        group = source.group or f"/{source.image}"
        members.setdefault(group, []).append(source)
    if len(members) < 2:
        raise InputError(
            f"--validation {share:g}: {len(sources)} labelled images in one"
            " group (patient) cannot be split; add others or --validation 0"
        )
    wanted, held = share * len(sources), list[ImageFiles]()
    order = np.random.default_rng([seed, _HOLD_OUT]).permutation(len(members))
    groups = list(members.values())
    for turn, place in enumerate(order[:-1]):
        with_it = len(held) + len(groups[place])
        if turn == 0 or abs(with_it - wanted) < abs(len(held) - wanted):
            held += groups[place]
    names = {source.image for source in held}
    return (
        [source for source in sources if source.image not in names],
        [source for source in sources if source.image in names],
    )


def draw_labelled(
    sources: list[ImageFiles], count: int, seed: int
) -> tuple[list[ImageFiles], list[ImageFiles]]:
    """Keeps the masks of `count` images; the others become unlabelled.

    Raises:
      InputError: there are fewer than `count` images, or count < 1.
    """
    if not 1 <= count <= len(sources):
        raise InputError(
            f"--max_labelled {count}: 1..{len(sources)} training images (what"
            " validation left) are allowed"
        )
    order = np.random.default_rng([seed, _LABELS]).permutation(len(sources))
    kept = set(order[:count].tolist())
    labelled = [s for place, s in enumerate(sources) if place in kept]
    rest = [
        dataclasses.replace(source, mask=None, instances=None)
        for place, source in enumerate(sources)
        if place not in kept
    ]
    return labelled, rest


def shuffled(items: list[Item], seed: int) -> list[Item]:
    """Storage order: mixed, so that no shard holds one patient only."""
    order = np.random.default_rng([seed, _ORDER]).permutation(len(items))
    return [items[place] for place in order]

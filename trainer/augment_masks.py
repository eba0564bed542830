"""The masks that `trainer.augment` paints, and the recipes that vary them.

In: records, a run's settings and networks. Out: for each recipe a function
that draws a mask: of the labelled training images (`mask_recipes.py`), or of
what the final segmenter reads in the unlabelled ones.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from histogan_tf.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.config import Config
    from histogan_tf.data.manifest import Manifest
    from histogan_tf.evaluation.trained import Trained
    from histogan_tf.mask_recipes import NamedMask

PREDICTED = "predicted"

Draw = Callable[["np.random.Generator"], "NamedMask"]


def draws(
    recipes: list[str],
    config: "Config",
    data: "Manifest",
    opened: "Trained",
    most: int,
) -> dict[str, Draw]:
    """Recipes with the masks that they start from, in the order asked for.

    Args:
      recipes: names.
      config: the run's settings.
      data: the records.
      opened: the run's networks.
      most: masks of a kind; of more in the records, every n-th is taken.

    Raises:
      InputError: the records lack the images that a recipe needs.
    """
    from histogan_tf.data.classes import IGNORE
    from histogan_tf.evaluation import tiles
    from histogan_tf.mask_recipes import RECIPES, NamedMask, resampled

    found, wanted = dict[str, Draw](), [n for n in recipes if n != PREDICTED]
    if wanted:
        known = [
            NamedMask(tile.name, opened.known_mask(tile.image, tile.mask))
            for tile in tiles.each(data, "train", config, most)
            if (tile.mask != IGNORE).any()
        ]
        if not known:
            raise InputError(
                f"{data.folder}: the training masks are ignored all over;"
                f" --recipes {PREDICTED} needs none"
            )
        found = {n: functools.partial(RECIPES[n], known) for n in wanted}
    if PREDICTED in recipes:
        masks = _predicted(config, data, opened, most)
        found[PREDICTED] = functools.partial(resampled, masks)
    # In this order recipes take turns.
    return {name: found[name] for name in recipes}


def _predicted(
    config: "Config", data: "Manifest", opened: "Trained", most: int
) -> list["NamedMask"]:
    """The final segmenter's masks of unlabelled training images."""
    from histogan_tf.data import dataset
    from histogan_tf.evaluation import tiles
    from histogan_tf.mask_recipes import NamedMask
    from histogan_tf.metrics.labels import class_ids

    images = data.split("train").unlabelled.images
    if not images:
        raise InputError(
            f"{data.folder}: no unlabelled training images; leave"
            f" {PREDICTED} out of --recipes"
        )
    step = tiles.step_of(len(images), most)
    read = dataset.every_nth(
        data.shard_paths("train", "unlabelled"),
        dataset.Scale(
            config.finest_mpp, config.stage_mpp(0), data.classes.count
        ),
        step,
    )
    return [
        NamedMask(info.name, class_ids(opened.segmenter(tile["image"])))
        for info, tile in zip(
            images[::step], read.as_numpy_iterator(), strict=True
        )
    ]

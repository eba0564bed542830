"""Run directories of benchmarks that train.

In: settings and records. Out: what phases are made from, as `trainer.train`
would have it: phases look up the training tiles' styles in the directory.
"""

import os

from histogan_tf import run_dir
from histogan_tf.config import Config
from histogan_tf.data.manifest import Manifest
from trainer import training_data
from trainer.training_data import TrainingData


def opened(
    folder: str | os.PathLike,
    config: Config,
    data: Manifest,
    styles_of: Config | None = None,
) -> TrainingData:
    """A run directory, new or to resume, and what its phases need.

    `styles_of`: settings that say whose styles it knows; None: `config`.

    Raises:
      InputError: the records cannot feed the settings, or the folder's run has
        other settings or data.
    """
    config = training_data.effective(config, data)
    training_data.check_data(config, data)
    about = {
        "folder": str(data.folder),
        "hash": data.hash,
        "styles": training_data.styles(styles_of or config, data),
    }
    run = run_dir.create_run(folder, config, data.classes, about)
    return TrainingData(config, data, run)

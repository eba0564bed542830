"""What tests of the trainer train: few records, small networks, few steps."""

import json
import pathlib


def ingest_small(files: pathlib.Path, folder: pathlib.Path, **changes):
    """Records of `phantom_files`: 2 labelled, 2 unlabelled, 1 held out."""
    from histogan_tf.data import phantom
    from histogan_tf.data.ingest import ingest
    from histogan_tf.data.ingest_settings import IngestSettings

    values = {
        "images": str(files / "images"),
        "masks": str(files / "masks"),
        "classes": str(phantom.CLASSES_FILE),
        "output": str(folder),
        "mpp": 2.5,
        "validation": 0.2,
        "max_labelled": 2,
    }
    return ingest(IngestSettings(**(values | changes)))


def small_config(stages: int = 1):
    """Crops of 8 px, one level of 4 channels; the finest is at 5 um/px."""
    from histogan_tf.config import Config, NetworkConfig, StageConfig
    from histogan_tf.config import SegmenterConfig as Alone

    net = NetworkConfig((4,))
    stage = StageConfig(8, 2, 4, 10.0, net, net, net)
    return Config(
        finest_mpp=5.0,
        noise_channels=2,
        stages=(stage,) * stages,
        segmenter=Alone(8, 2, 4, network=net),
        judge=Alone(8, 2, 4, network=net).alone(),
    )


def write_config(path: pathlib.Path, config) -> pathlib.Path:
    """The settings as a file for --config."""
    from histogan_tf import config_json

    path.write_text(json.dumps(config_json.to_dict(config)))
    return path


def variables(folder: pathlib.Path) -> dict:
    """Values in a phase's newest checkpoint, by name."""
    import tensorflow as tf

    path = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name.endswith("VARIABLE_VALUE")
    }

"""The models to serve: ModelServerConfig, from flags or a text file.

In: a text-format file, a name and a base path, or the proto of a reload
request. Out: a checked ModelServerConfig. Codes and texts are those of
tensorflow/serving's server_core.cc.

Ours is stricter in what could never work here or only looks like a path
inside its parent: empty names, NUL, `..` and remote base paths.
"""

import pathlib
import urllib.parse

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2
from tensorflow_serving.config.model_server_config_pb2 import (
    ModelConfig,
    ModelServerConfig,
)

from histogan_tf.errors import InputError
from serving import status

PLATFORM = "tensorflow"


def single(name: str, base_path: str) -> ModelServerConfig:
    """The config of one model, as from --model_name and --model_base_path."""
    config = ModelServerConfig()
    config.model_config_list.config.add(
        name=name, base_path=base_path, model_platform=PLATFORM
    )
    return config


def read(path: str) -> ModelServerConfig:
    """Reads a text-format ModelServerConfig; its contents are not checked.

    Raises:
      InputError: the file cannot be read or parsed.
    """
    try:
        text = pathlib.Path(path).read_text("utf-8")
        return text_format.Parse(text, ModelServerConfig())
    except (OSError, ValueError) as error:
        # A NUL in the path is a ValueError, as is what is not UTF-8.
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}") from error
    except text_format.ParseError as error:
        raise InputError(
            f"{path}: Error parsing text-format"
            f" tensorflow.serving.ModelServerConfig: {error}"
        ) from error


def is_empty(new: ModelServerConfig, old: ModelServerConfig) -> bool:
    """Whether a config says nothing, so that nothing is to be done.

    A server may start so, and learn its models by a reload.

    Raises:
      ServingError: FAILED_PRECONDITION: the old one lists models.
    """
    if new.WhichOneof("config"):
        return False
    if old.WhichOneof("config"):
        raise status.failed_precondition(
            "Cannot transition to requested config. It is only legal to"
            " transition from one ModelConfigList to another."
        )
    return True


def check(new: ModelServerConfig, old: ModelServerConfig) -> None:
    """Checks a config, and that it may take the old one's place.

    Args:
      new: the config.
      old: the config in use; empty at first.

    Raises:
      ServingError: INVALID_ARGUMENT, that names the model and the value.
    """
    if new.WhichOneof("config") != "model_config_list":
        raise status.invalid(
            "ServerModelConfig type not supported by"
            " HandleReloadConfigRequest. Only ModelConfigList is currently"
            " supported"
        )
    _check_names(new)
    for model in new.model_config_list.config:
        _check_base_path(model)
    _check_platforms(new, old)


def _check_names(config: ModelServerConfig) -> None:
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise status.invalid(
                f"Illegal to list model {model.name} multiple times in config"
                " list"
            )
        if not model.name or "\0" in model.name:
            raise status.invalid(
                f"Expected a model name, without NUL; got name()={model.name!r}"
            )
        names.add(model.name)


def _check_base_path(model: ModelConfig) -> None:
    path = model.base_path
    url = urllib.parse.urlsplit(path)
    if not path.startswith("/") and not (url.scheme and "://" in path):
        raise status.invalid(
            f"Expected model {model.name} to have an absolute path or URI; got"
            f" base_path()={path}"
        )
    if not path.startswith("/"):
        raise status.invalid(
            f"Expected model {model.name} to have a local path: this server"
            f" reads no {url.scheme}://; got base_path()={path}"
        )
    if "\0" in path or ".." in path.split("/"):
        raise status.invalid(
            f"Expected model {model.name} to have a path without NUL and '..';"
            f" got base_path()={path!r}"
        )


def _check_platforms(new: ModelServerConfig, old: ModelServerConfig) -> None:
    before = {
        model.name: platform(model) for model in old.model_config_list.config
    }
    for model in new.model_config_list.config:
        was, wanted = before.get(model.name), platform(model)
        if was not in (None, wanted):
            raise status.invalid(
                "Illegal to change a model's platform. For model"
                f" {model.name} platform was {was} and new platform requested"
                f" is {wanted}"
            )
        if wanted != PLATFORM:
            raise status.invalid(
                f"Model {model.name} requests unsupported platform {wanted}"
            )


def platform(model: ModelConfig) -> str:
    """The platform of a model, from the new field or the deprecated one.

    Raises:
      ServingError: INVALID_ARGUMENT: both are set, or none.
    """
    if model.model_type == model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if model.model_platform:
            return model.model_platform
        raise status.invalid(
            "Illegal setting neither ModelServerConfig::model_type"
            " (deprecated) nor ModelServerConfig::model_platform."
        )
    if model.model_platform:
        raise status.invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated)"
            " and ModelServerConfig::model_platform."
        )
    if model.model_type == model_server_config_pb2.TENSORFLOW:
        return PLATFORM
    raise status.invalid(
        f"ModelServerConfig::model_type choice {model.model_type} not"
        " supported."
    )

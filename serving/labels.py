"""Labels of versions, such as `stable` and `canary`.

In: the labels of a config, and which versions are available. Out: a map from
model and label to version number. Codes and texts are those of
tensorflow/serving's server_core.cc.
"""

from collections.abc import Callable, Mapping

from tensorflow_serving.config import model_server_config_pb2

from serving import status

# By (model, label); None before the first config.
Labels = Mapping[tuple[str, str], int] | None


def assign(
    config: model_server_config_pb2.ModelServerConfig,
    old: Labels,
    available: Callable[[str, int], bool],
    allow_unavailable: bool,
) -> Labels:
    """The labels of a config; those of the old one are gone.

    Args:
      config: the new config.
      old: the labels in use.
      available: tells whether a version of a model serves.
      allow_unavailable: a label that does not move may name any version.

    Raises:
      ServingError: FAILED_PRECONDITION: a label names a version that does
        not serve.
    """
    found: dict[tuple[str, str], int] = {}
    for model in config.model_config_list.config:
        for label, version in model.version_labels.items():
            key = (model.name, label)
            stays = (old or {}).get(key, version) == version
            allowed = allow_unavailable and stays
            if not allowed and not available(model.name, version):
                raise status.failed_precondition(
                    f"Request to assign label to version {version} of model"
                    f" {model.name}, which is not currently available for"
                    " inference"
                )
            found[key] = version
    return found


def resolve(labels: Labels, model: str, label: str) -> int:
    """The version that a label stands for.

    Raises:
      ServingError: there is no such label, or there are no labels yet.
    """
    if labels is None:
        raise status.unavailable(f"Model labels does not init yet.{label}")
    version = labels.get((model, label))
    if version is None:
        raise status.invalid(f"Unrecognized servable version label: {label}")
    return version

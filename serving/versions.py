"""Which version folders there are, and which of them a model wants.

In: a base path and a model's version policy. Out: version numbers and their
folders. Rules of tensorflow/serving's file_system_storage_path_source.cc:
children with numeric names only, leading zeros allowed, the later of two
spellings wins. One rule is ours: a folder without a graph is no
version yet, so that a copy under way is neither loaded nor counted.
"""

import logging
import os
import pathlib
import re

from tensorflow_serving.config import model_server_config_pb2

from serving.export_layout import is_complete

_LOG = logging.getLogger(__name__)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_LARGEST = 2**63 - 1

Found = dict[int, pathlib.Path]


def number(name: str) -> int | None:
    """The version that a folder's name stands for; None if it is none."""
    # Before int(): a name may have thousands of digits.
    if not _DIGITS.fullmatch(name) or len(name.lstrip("0")) > 19:
        return None
    value = int(name)
    return value if value <= _LARGEST else None


def find(base: pathlib.Path) -> Found:
    """Complete versions under a base path, by number.

    Raises:
      OSError: the base path cannot be listed.
    """
    found: Found = {}
    for name in sorted(os.listdir(base)):
        value = number(name)
        if value is None or not is_complete(base / name):
            continue
        if value in found:
            _LOG.warning(
                "Duplicate version directories detected. Version %d will be"
                " loaded from %s, %s will be ignored.",
                value,
                name,
                found[value].name,
            )
        found[value] = base / name
    return found


def choose(model: model_server_config_pb2.ModelConfig, found: Found) -> Found:
    """The versions that a model's policy asks for, of those found.

    Without a policy, and with `latest`, the newest `num_versions` (at least
    one); with `all`, all; with `specific`, those that it names.
    """
    policy = model.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(found)
    if kind == "specific":
        wanted = set(policy.specific.versions)
        for version in sorted(wanted - set(found)):
            _LOG.warning(
                "Version %d of servable %s, which was requested to be served"
                " as a 'specific' version in the servable's version policy,"
                " was not found in the file system",
                version,
                model.name,
                extra={"model": model.name, "version": version},
            )
        return {version: found[version] for version in wanted & set(found)}
    count = max(policy.latest.num_versions, 1)
    newest = sorted(found, reverse=True)[:count]
    return {version: found[version] for version in newest}


def wanted(
    config: model_server_config_pb2.ModelServerConfig,
) -> dict[str, Found] | None:
    """Versions that each model wants, by its name.

    None: a base path cannot be listed, which is logged.
    """
    found = {}
    for model in config.model_config_list.config:
        try:
            children = find(pathlib.Path(model.base_path))
        except OSError as error:
            _LOG.error(
                "Could not find base path %s for servable %s with error %s",
                model.base_path,
                model.name,
                error.strerror or error,
                extra={"model": model.name},
            )
            return None
        found[model.name] = choose(model, children)
    return found

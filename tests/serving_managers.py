"""What the tests of the model manager share: configs, specs, answers."""

import contextlib
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config.model_server_config_pb2 import (
    ModelServerConfig,
)

from serving import loading
from serving.manager import ModelManager
from serving.servable import Threads
from serving.settings import ManagerSettings
from serving.status import ServingError

QUICK = ManagerSettings(
    file_system_poll_wait_seconds=0.02,
    max_num_load_retries=0,
    load_retry_interval_micros=10_000,
    threads=Threads(1, 1),
)


def hidden(base, version):
    """A version that answers x / 2 + version, in a folder not polled."""
    folder = base / f".{version}"
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        y = x / 2 + float(version)
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}
        )
        builder.save()
    return folder


def put(base, version):
    """The same, complete at once where it is polled."""
    return hidden(base, version).rename(base / str(version))


def config(*bases, **policies):
    """A config of models named like their base paths' folders.

    A policy is a list of versions, a number of latest ones, or "all".
    """
    found = ModelServerConfig()
    found.model_config_list.SetInParent()
    for base in bases:
        model = found.model_config_list.config.add(
            name=base.name, base_path=str(base), model_platform="tensorflow"
        )
        policy = policies.get(base.name)
        if policy == "all":
            model.model_version_policy.all.SetInParent()
        elif isinstance(policy, int):
            model.model_version_policy.latest.num_versions = policy
        elif policy is not None:
            model.model_version_policy.specific.versions.extend(policy)
    return found


def spec(name, version=None, label=None):
    found = model_pb2.ModelSpec(name=name)
    if version is not None:
        found.version.value = version
    if label is not None:
        found.version_label = label
    return found


def ask(manager, *what, x=2.0, **more):
    """(version, y) of a half_plus model."""
    with manager.handle(spec(*what, **more)) as handle:
        signature = handle.servable.signatures["serving_default"]
        feeds = {signature.inputs["x"].name: np.array([x], np.float32)}
        fetches = [signature.outputs["y"].name]
        (y,) = handle.servable.run(feeds, fetches)
        return handle.version, y.item()


def serves(manager, name, version):
    """Whether a version answers, and rightly."""
    try:
        return ask(manager, name, version) == (version, version + 1.0)
    except ServingError:
        return False


def states(manager, name):
    """(version, state, error code) of each version, as reported."""
    rows = manager.status(spec(name)).model_version_status
    kind = type(rows[0]).DESCRIPTOR.enum_types_by_name["State"]
    return [
        (
            row.version,
            kind.values_by_number[row.state].name,
            row.status.error_code,
        )
        for row in rows
    ]


def eventually(check, seconds=10.0):
    """Waits until `check()` is true; fails when it never is."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


@contextlib.contextmanager
def started(*args, settings=QUICK, warm_up=loading.cold, **policies):
    """A manager of models by their base paths; closed at the end."""
    manager = ModelManager(settings, warm_up=warm_up)
    try:
        if args:
            manager.start(config(*args, **policies), timeout=30)
        yield manager
    finally:
        manager.close()


def fails(code, text, function, *args, **kwargs):
    """Checks that a call raises ServingError of this code and very text."""
    with pytest.raises(ServingError) as caught:
        function(*args, **kwargs)
    found = caught.value
    assert (found.code, found.message) == (grpc.StatusCode[code], text)

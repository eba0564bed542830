"""A loaded SavedModel: runs signatures by the names of their tensors.

In: the folder of a version, TF2 style or TF1 style, and a number of threads.
Out: a `Servable`, safe to use from many threads at once. Arrays go in and out
with the types of the graph; strings are object arrays of bytes.

Every model has a graph, a session and resources of its own, as in TensorFlow
Serving. `Session.run` and `make_callable` check shapes before TensorFlow does
and word it otherwise, so the step below them is called: what it raises is the
runtime's own text.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import ops
from tensorflow.python.saved_model import loader_impl

from serving import status
from serving.export_layout import is_complete
from serving.status import ServingError

TAGS = ("serve",)

_CODES = {code.value[0]: code for code in StatusCode}


@dataclasses.dataclass(frozen=True)
class Threads:
    """Threads of a model's session; 0: as many as there are cores.

    Attributes:
      inter_op: operations that run at once; set by the process's first model.
      intra_op: threads inside one operation.
    """

    inter_op: int = 0
    intra_op: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise ValueError(f"{field.name}: {value}; allowed: 0 or more")


class Servable:
    """One version of a model in memory; made by `load`."""

    signatures: dict[str, meta_graph_pb2.SignatureDef]

    def __init__(
        self,
        session: tf.compat.v1.Session,
        signatures: dict[str, meta_graph_pb2.SignatureDef],
    ):
        self.signatures = signatures
        self._session: tf.compat.v1.Session | None = session
        self._outputs: dict[str, object] = {}

    def run(
        self,
        feeds: dict[str, np.ndarray],
        fetches: list[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        """One step of the session.

        Args:
          feeds: arrays by tensor name ("x:0").
          fetches: tensor names, in the order of the results.
          timeout: seconds the step may take; None: no limit.

        Raises:
          ServingError: the step failed, with TensorFlow's code and text; or
            the model is closed.
        """
        session = self._session
        if session is None:
            raise status.unavailable("Session has been closed.")
        inputs = {
            self._output(session.graph, name): np.asarray(value)
            for name, value in feeds.items()
        }
        outputs = [self._output(session.graph, name) for name in fetches]
        try:
            with _run_options(timeout) as options:
                # Not Session.run: see the top of the file.
                results = pywrap_tf_session.TF_SessionRun_wrapper(
                    session._session, options, inputs, outputs, [], None
                )
        except tf.errors.OpError as error:
            raise from_op_error(error) from error
        return [_array(result) for result in results]

    def close(self) -> None:
        """Frees the model. A second call does nothing.

        Steps that still run end with an error: drain them first.
        """
        session, self._session = self._session, None
        self._outputs = {}
        if session is not None:
            _free(session)

    def _output(self, graph: tf.Graph, name: str) -> object:
        """The handle of a tensor, looked up in the graph once."""
        found = self._outputs.get(name)
        if found is None:
            try:
                tensor = graph.as_graph_element(name, allow_operation=False)
            except (KeyError, ValueError, TypeError) as error:
                raise status.invalid(
                    f"Tensor {name}, specified in either feed_devices or"
                    " fetch_devices was not found in the Graph"
                ) from error
            found = self._outputs[name] = tensor._as_tf_output()
        return found


def load(
    path: pathlib.Path, threads: Threads, tags: tuple[str, ...] = TAGS
) -> Servable:
    """Loads a version: graph, variables, assets, initialisers.

    Args:
      path: folder with a saved_model.pb.
      threads: of the session.
      tags: of the graph to load, where the SavedModel has several.

    Raises:
      ServingError: nothing there can be loaded.
    """
    if not is_complete(path):
        raise status.not_found(
            "Could not find SavedModel .pb or .pbtxt at supplied export"
            f" directory path: {path}"
        )
    config = config_pb2.ConfigProto(
        inter_op_parallelism_threads=threads.inter_op,
        intra_op_parallelism_threads=threads.intra_op,
        allow_soft_placement=True,
    )
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        loader = loader_impl.SavedModelLoader(str(path))
        meta_graph = loader.load(session, list(tags))
        graph.finalize()
    except BaseException as error:
        _free(session)
        raise _load_error(path, error) from error
    return Servable(session, dict(meta_graph.signature_def))


def _free(session: tf.compat.v1.Session) -> None:
    session.close()
    # Else cycles keep the graph until the garbage collector's next full run,
    # which on TensorFlow's heap stops all threads for 0.2 s and more.
    ops.dismantle_graph(session.graph)


def from_op_error(error: tf.errors.OpError) -> ServingError:
    """TensorFlow's error with the same code and text."""
    code = _CODES.get(error.error_code, StatusCode.UNKNOWN)
    return ServingError(code, error.message)


def _load_error(path: pathlib.Path, error: BaseException) -> BaseException:
    if isinstance(error, tf.errors.OpError):
        return from_op_error(error)
    if isinstance(error, OSError):
        # saved_model.pb was there a moment ago: it cannot be read or parsed.
        return ServingError(StatusCode.DATA_LOSS, f"{path}: {error}")
    if isinstance(error, Exception):
        return ServingError(StatusCode.UNKNOWN, f"{path}: {error}")
    return error


@contextlib.contextmanager
def _run_options(timeout: float | None) -> Iterator[object | None]:
    """Options of a step in TensorFlow's own memory; None for no timeout."""
    if timeout is None:
        yield None
        return
    # 0 would mean no limit at all.
    milliseconds = min(max(1, round(timeout * 1000)), 2**31 - 1)
    options = config_pb2.RunOptions(timeout_in_ms=milliseconds)
    buffer = pywrap_tf_session.TF_NewBufferFromString(
        options.SerializeToString()
    )
    try:
        yield buffer
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)


def _array(result: object) -> np.ndarray:
    # Scalars come as numpy scalars, single strings as bytes.
    if isinstance(result, bytes):
        return np.array(result, object)
    return np.asarray(result)

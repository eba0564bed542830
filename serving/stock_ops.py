"""Does a SavedModel hold stock TensorFlow ops only?

    python -m serving.stock_ops --model BASE/<version>

In: an exported folder. Out: nothing, or the ops that a plain TensorFlow (and so
TensorFlow Serving) does not know, one a line, and exit code 2. The check is a
process of its own, because importing Addons or tensorflow-io registers their
ops in the process.
"""

import pathlib
import subprocess
import sys
from collections.abc import Iterable

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from serving.export_layout import GRAPH

ROOT = pathlib.Path(__file__).resolve().parent.parent
_TOO_MUCH = ("tensorflow_addons", "tensorflow_io")
_SECONDS = 300


def define_flags() -> None:
    """Only as a program: `serving.export` imports this module."""
    flags.DEFINE_string("model", None, "folder of a SavedModel")
    flags.mark_flag_as_required("model")


def main() -> None:
    """Checks the folder of --model."""
    found = foreign(operations(pathlib.Path(flags.FLAGS.model)))
    if found:
        raise InputError(_complaint(found))


def check(folder: pathlib.Path) -> None:
    """Checks a SavedModel in a process of its own.

    Raises:
      InputError: it holds ops that are not TensorFlow's own, or is none.
    """
    done = subprocess.run(
        [sys.executable, "-m", "serving.stock_ops", f"--model={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"{folder}: {lines[-1].removeprefix('error: ')}")


def operations(folder: pathlib.Path) -> set[str]:
    """Names of all ops in a SavedModel's graph and its functions.

    Raises:
      InputError: no readable `saved_model.pb` there.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder.absolute() / GRAPH
    try:
        model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"{path}: no SavedModel: {error}") from error
    found, functions = set[str](), set[str]()
    for part in model.meta_graphs:
        graph = part.graph_def
        found.update(node.op for node in graph.node)
        for function in graph.library.function:
            functions.add(function.signature.name)
            found.update(node.op for node in function.node_def)
    # A node may call a function by its name.
    return found - functions


def foreign(names: Iterable[str]) -> list[str]:
    """Those of the ops that this process's TensorFlow does not know."""
    from tensorflow.python.framework import op_def_registry

    loaded = [name for name in _TOO_MUCH if name in sys.modules]
    assert not loaded, f"{loaded} would pass as TensorFlow's own ops"
    return sorted(name for name in names if op_def_registry.get(name) is None)


def _complaint(names: list[str]) -> str:
    return f"ops that TensorFlow Serving does not know: {', '.join(names)}"


if __name__ == "__main__":
    define_flags()
    program.run(main)

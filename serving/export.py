r"""A trained run becomes a SavedModel that TensorFlow Serving can serve.

    python -m serving.export --run_dir R --output BASE [--version N] \
        [--warmup_sizes 64x64,512x512] [--metrics FILE] [--licence TEXT]

Writes BASE/<version>/ whole or not at all: signatures (`signatures.py`),
warm-up requests and the model card (assets.extra/), all of them checked
(`export_folder.py`). The version is the time in seconds unless --version
states it. Prints the folder.
"""

import json
import pathlib
import time
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from histogan_tf.run_dir import RunDir

flags.DEFINE_string("run_dir", None, "trained run")
flags.DEFINE_string(
    "output", None, "folder of the model's versions; its name is the model's"
)
flags.DEFINE_integer("version", None, "else the time in seconds", 1)
flags.DEFINE_list(
    "warmup_sizes",
    ["256x256"],
    "HEIGHTxWIDTH of images in use, which servers run before they take"
    " requests; empty: none",
)
flags.DEFINE_integer(
    "max_pixels", 4096 * 4096, "pixels of the largest image", 1, 2**31 - 1
)
flags.DEFINE_string(
    "metrics", None, "scores for the model card; else the run's metrics.json"
)
flags.DEFINE_string(
    "licence", "", "licence of the training data, for the model card"
)
flags.DEFINE_bool(
    "unfinished", False, "take a run whose training has not come to its end"
)
flags.mark_flags_as_required(["run_dir", "output"])


def main() -> None:
    """Exports, checks and names the model; prints where it is."""
    base = pathlib.Path(flags.FLAGS.output)
    version = flags.FLAGS.version or int(time.time())
    target = base / str(version)
    if target.exists():
        raise InputError(f"{target}: exists already; choose another --version")
    from histogan_tf import run_dir
    from serving import export_folder, signatures, warmup_records
    from serving.model_card import Export

    sizes = warmup_records.parse_sizes(flags.FLAGS.warmup_sizes)
    run = run_dir.open_run(flags.FLAGS.run_dir)
    if not flags.FLAGS.unfinished:
        check_trained(run)
    export = Export(
        base.resolve().name,
        version,
        flags.FLAGS.max_pixels,
        sizes,
        read_metrics(run),
        flags.FLAGS.licence,
    )
    networks = signatures.open_networks(run)
    print(export_folder.write(base, run, networks, export))


def check_trained(run: "RunDir") -> None:
    """Raises InputError when a phase has not come to its end.

    The judge is not served, so it is not asked for.
    """
    from histogan_tf import run_progress

    served = [p for p in run_progress.wanted(run.config()) if p != "judge"]
    for note in run_progress.unfinished(run, served):
        raise InputError(f"{note}; train on, or export with --unfinished")


def read_metrics(run: "RunDir") -> Any:
    """The value of --metrics or of the run's metrics.json, None without.

    Raises:
      InputError: --metrics is missing, or the file is damaged.
    """
    path = pathlib.Path(flags.FLAGS.metrics or run.metrics_path)
    if not flags.FLAGS.metrics and not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no object; a metrics.json is needed")
    return found


if __name__ == "__main__":
    program.run(main)

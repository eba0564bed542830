r"""A new model into service, if it is good enough and a server can serve it.

    python -m serving.push --export BASE/<version> --destination DIR \
        --data RECORDS --minimum dice.gland=0.8 --change dice.gland=-0.01

1. Quality: scores the export on labelled records (`quality`) and holds them
   against `--minimum`, and against the scores of the model in service at DIR on
   the same images for `--change` (`thresholds`). Stricter than TFX: without
   thresholds it is an error unless `--unblessed` says that it is meant.
2. Infra: a server of its own loads the export and answers its warm-up
   records as the SavedModel does (`infra_validate`).
3. Copies it to DIR/<version>: a dot-named sibling, fsync, one rename, so that a
   server that polls DIR never sees half a model.

Results are files in `BASE/<version>.blessing/`. Exit code 0: pushed; 1: not
blessed, reasons on stdout, nothing pushed; 2: bad input.
"""

import math
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from serving import blessing, destination, thresholds
from serving.blessing import Blessing, Kind
from serving.destination import Destination

if TYPE_CHECKING:
    from serving.infra_validate import InfraSettings

NOT_BLESSED = 1  # exit code

flags.DEFINE_string("export", None, "BASE/<version> that serving.export made")
flags.DEFINE_string("destination", None, "folder that the server watches")
flags.DEFINE_integer("version", None, "version there; else the export's", 0)
flags.DEFINE_string("data", None, "folder of records that ingest wrote")
flags.DEFINE_enum(
    "split",
    "test",
    ["train", "validation", "test"],
    "whose labelled images are scored",
)
flags.DEFINE_string("thresholds", None, "JSON file of thresholds")
flags.DEFINE_multi_string(
    "minimum", [], "SCORE=NUMBER, like dice.gland=0.8; may be repeated"
)
flags.DEFINE_multi_string(
    "change",
    [],
    "SCORE=NUMBER: least change from the model in service, negative where it"
    " may lose; may be repeated",
)
flags.DEFINE_bool("unblessed", False, "push without thresholds")
flags.DEFINE_enum(
    "infra",
    "query",
    ["load", "query", "off"],
    "what a server of our own must do with the export first: load it, or also"
    " answer queries as the SavedModel does",
)
flags.DEFINE_integer("infra_tries", 5, "servers to start", 1, 100)
flags.DEFINE_float(
    "infra_loading_seconds", 300, "seconds to have the model available", 0.1
)
flags.DEFINE_string(
    "infra_server",
    None,
    "command that takes TensorFlow Serving's flags; else our server",
)
flags.mark_flags_as_required(["export", "destination"])


def main() -> None:
    """Checks, blesses and pushes; prints how it came out."""
    export = pathlib.Path(flags.FLAGS.export)
    target = Destination(pathlib.Path(flags.FLAGS.destination))
    version = destination.check_export(export)
    if flags.FLAGS.version is not None:
        version = flags.FLAGS.version
    wanted = wanted_thresholds()
    # All that is cheap to refuse comes before the minutes of work.
    target.check_free(version)
    for path in target.leftovers():
        print(f"{path}: of a push that was killed, or that runs now")
    blessed = True
    if not wanted.empty:
        blessed = bless(
            export, blessing.QUALITY, judge_quality(export, target, wanted)
        )
    if blessed and flags.FLAGS.infra != "off":
        from serving import infra_validate

        found = infra_validate.validate(export, infra_settings())
        blessed = bless(export, blessing.INFRA, found)
    if not blessed:
        print("not pushed")
        sys.exit(NOT_BLESSED)
    print(f"pushed: {target.put(export, version)}")


def wanted_thresholds() -> thresholds.Thresholds:
    """The thresholds of file and flags.

    Raises:
      InputError: none, or needless flags beside --unblessed.
    """
    values = flags.FLAGS
    found = thresholds.from_flags(values.minimum, values.change)
    if values.thresholds:
        in_file = thresholds.load(pathlib.Path(values.thresholds))
        found = thresholds.merge(in_file, found)
    if found.empty != values.unblessed:
        raise InputError(
            "no thresholds: give --thresholds, --minimum or --change, or"
            " --unblessed to push without"
            if found.empty
            else "--unblessed and thresholds: give one of them"
        )
    if not found.empty and not values.data:
        raise InputError("--data: thresholds need records to score on")
    return found


def judge_quality(
    export: pathlib.Path, target: Destination, wanted: thresholds.Thresholds
) -> Blessing:
    """Scores the export and, for change thresholds, the model in service."""
    from serving import quality

    data, split = flags.FLAGS.data, flags.FLAGS.split
    newest = next(iter(target.versions()), None)
    scores = quality.scores(export, data, split)
    baseline = None
    if wanted.change and newest is not None:
        baseline = quality.scores(target.path(newest), data, split)
    verdict = thresholds.judge(wanted, scores, baseline)
    facts = {
        "command": program.command_line("serving.push"),
        "data": data,
        "split": split,
        "minimum": wanted.minimum,
        "change": wanted.change,
        "scores": nullable(scores),
        "in_service": newest,
        "in_service_scores": None if baseline is None else nullable(baseline),
    }
    return Blessing(verdict.reasons, verdict.notes, facts)


def bless(export: pathlib.Path, kind: Kind, found: Blessing) -> bool:
    """Writes a gate's file and prints it; whether the gate opens."""
    path = blessing.write(export, kind, found)
    print(path)
    for line in (*found.reasons, *found.notes):
        print(f"  {line}")
    return found.blessed


def infra_settings() -> "InfraSettings":
    """The flags as settings."""
    from serving.infra_validate import InfraSettings

    values = flags.FLAGS
    given: dict[str, Any] = {
        "query": values.infra == "query",
        "tries": values.infra_tries,
        "loading_seconds": values.infra_loading_seconds,
    }
    if values.infra_server:
        given["server"] = tuple(shlex.split(values.infra_server))
    return InfraSettings(**given)


def nullable(scores: thresholds.Scores) -> dict[str, float | None]:
    """Scores for JSON, which has no nan."""
    return {k: None if math.isnan(v) else v for k, v in scores.items()}


if __name__ == "__main__":
    program.run(main)

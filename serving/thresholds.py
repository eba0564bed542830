"""What a model must reach to go into service.

In: limits by the name of a score, from a JSON file or from flags, and scores
(`quality.scores`; higher is better in all of them). Out: why the model fails,
a line each.

    {"minimum": {"dice.gland": 0.8}, "change": {"dice.gland": -0.01}}

`minimum` are TFX's value thresholds: the score itself. `change` are its change
thresholds: the score minus that of the model now in service. Without a model
in service they pass, as in TFX ("rubber stamp"), and a note says so.
"""

import json
import math
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from histogan_tf.errors import InputError

Scores = dict[str, float]  # nan: the class is in none of the images


@dataclass(frozen=True)
class Thresholds:
    """Least scores, and least changes, by name."""

    minimum: dict[str, float] = field(default_factory=dict)
    change: dict[str, float] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether anything passes."""
        return not (self.minimum or self.change)


@dataclass(frozen=True)
class Verdict:
    """Why a model is not to be served (nothing: it is), and remarks."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


def load(path: pathlib.Path) -> Thresholds:
    """Reads a file of thresholds.

    Raises:
      InputError: it cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: an object is needed at the top")
    for kind in value:
        if kind not in ("minimum", "change"):
            raise InputError(f"{path}: {kind!r}; allowed: minimum, change")
    return Thresholds(
        _limits(value.get("minimum", {}), "minimum", path),
        _limits(value.get("change", {}), "change", path),
    )


def from_flags(minimum: Sequence[str], change: Sequence[str]) -> Thresholds:
    """Thresholds of `--minimum dice.gland=0.8` and `--change` alike."""
    return Thresholds(
        _parsed(minimum, "--minimum"), _parsed(change, "--change")
    )


def merge(one: Thresholds, other: Thresholds) -> Thresholds:
    """Both; the other's where both name a score."""
    return Thresholds(one.minimum | other.minimum, one.change | other.change)


def judge(
    thresholds: Thresholds, scores: Scores, baseline: Scores | None
) -> Verdict:
    """Holds scores against thresholds.

    Args:
      thresholds: limits.
      scores: of the model that is to be pushed.
      baseline: of the model in service on the same images; None: there is
        none.

    Raises:
      InputError: a threshold for a score that does not exist.
    """
    reasons, notes = [], []
    for name, least in thresholds.minimum.items():
        value = _score(scores, name)
        # Not `value < least`: a score that is nan must fail.
        if not value >= least:
            reasons.append(f"{name} is {_text(value)}; minimum {least:g}")
    for name, least in thresholds.change.items():
        value = _score(scores, name)
        if baseline is None:
            notes.append(f"{name}: no model in service; change not judged")
            continue
        old = _score(baseline, name)
        if not value - old >= least:
            reasons.append(
                f"{name} is {_text(value)}, in service {_text(old)};"
                f" change of {least:+g} or better"
            )
    return Verdict(tuple(reasons), tuple(notes))


def _score(scores: Scores, name: str) -> float:
    if name not in scores:
        raise InputError(
            f"threshold for {name!r}; allowed: {', '.join(sorted(scores))}"
        )
    return scores[name]


def _text(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:.4f}"


def _limits(value: object, kind: str, path: pathlib.Path) -> dict[str, float]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {kind}: an object is needed")
    for name, limit in value.items():
        _check_limit(limit, f"{path}: {kind}: {name}")
    return {name: float(limit) for name, limit in value.items()}


def _parsed(texts: Sequence[str], flag: str) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, limit = text.rpartition("=")
        try:
            value = float(limit)
        except ValueError:
            value = math.nan
        if not (name and equals):
            raise InputError(f"{flag} {text!r}: SCORE=NUMBER is allowed")
        _check_limit(value, f"{flag} {text}")
        found[name] = value
    return found


def _check_limit(limit: object, where: str) -> None:
    number = isinstance(limit, int | float) and not isinstance(limit, bool)
    # Written so that nan fails too.
    if not (number and -1 <= limit <= 1):  # type: ignore[operator]
        raise InputError(f"{where}: {limit!r}; a number of -1..1 is allowed")

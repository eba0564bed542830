"""Settings <-> JSON, overrides and comparison.

In: `config.json`, a `--config` file, `--set a.b=c` overrides.
Out: a `Config`, or an InputError that names the key and what is allowed.
"""

import dataclasses
import json
import typing
from typing import Any

from histogan_tf.config import Config
from histogan_tf.errors import InputError


def to_dict(config: Config) -> dict[str, Any]:
    """The settings as JSON values; `from_dict` is its inverse."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(
    values: dict[str, Any], source: str, base: Config | None = None
) -> Config:
    """Settings from JSON values.

    Args:
      values: nested dictionaries; as many stages as the base has change them
        one by one, another number replaces them.
      source: file or flag that the values came from, for error messages.
      base: gives the fields left out, at any depth; Config() by default.

    Raises:
      InputError: an unknown key, a value of a wrong type or out of range; a
        base is given, and other stages than its own leave out a field.
    """
    old = to_dict(base or Config())
    if base:
        _check_stages(old["stages"], values.get("stages"), source)
    return _build(Config, _over(old, values), source, "")


def override(config: Config, assignments: list[str]) -> Config:
    """Applies `a.b=c` (value in JSON, or a bare word) to a copy.

    List items are named by position: `stages.0.steps=100`.

    Raises:
      InputError: an unknown key, a value out of its range, or no `=`.
    """
    values = to_dict(config)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: write a.b=value")
        _assign(values, path, _parse(text))
    return from_dict(values, "--set")


def first_difference(old: Config, new: Config) -> str | None:
    """`field: old -> new` for the first field that differs, or None."""
    one, two = _flat(to_dict(old)), _flat(to_dict(new))
    for key in sorted(one.keys() | two.keys()):
        if one.get(key) != two.get(key):
            return f"{key}: {one.get(key)} -> {two.get(key)}"
    return None


def _over(base: Any, values: Any) -> Any:
    # Not the fields' own defaults: a judge's differ from a segmenter's.
    if isinstance(base, list) and isinstance(values, list):
        same = len(base) == len(values)
        return [*map(_over, base, values)] if same else values
    if not isinstance(base, dict) or not isinstance(values, dict):
        return values
    return base | {k: _over(base.get(k), v) for k, v in values.items()}


def _check_stages(old: list[dict], new: Any, source: str) -> None:
    """Raises InputError if other stages would lack what the old ones state."""
    if not isinstance(new, list) or len(new) == len(old):
        return
    for index, stage in enumerate(new):
        left_out = old[0].keys() - stage if isinstance(stage, dict) else ()
        for field in sorted(left_out):
            raise InputError(
                f"{source}: stages.{index}.{field}: left out; {len(new)} stages"
                f" in place of {len(old)} must state every field"
            )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            k: v
            for key, item in pairs
            for k, v in _flat(item, f"{path}.{key}".lstrip(".")).items()
        }
    return {path: value}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _assign(values: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        values = values[_key(values, part, path)]
    values[_key(values, last, path)] = value


def _key(values: Any, part: str, path: str) -> Any:
    """`part` as a key of a dictionary or a position in a list."""
    here: Any = range(len(values)) if isinstance(values, list) else values
    key: Any = int(part) if part.isdecimal() else part
    if not isinstance(values, dict | list) or key not in here:
        raise InputError(
            f"--set {path}: no field {part!r}; use one of {_names(here)}"
        )
    return key


def _names(keys: Any) -> str:
    if isinstance(keys, dict | range):
        return ", ".join(str(k) for k in keys)
    return "(none: a plain value)"


def _build(kind: Any, values: Any, source: str, path: str) -> Any:
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, values, source, path)
    if origin is tuple:
        if not isinstance(values, list):
            raise _wrong(source, path, values, "a list")
        item = typing.get_args(kind)[0]
        return tuple(
            _build(item, v, source, f"{path}.{i}") for i, v in enumerate(values)
        )
    return _scalar(kind, values, source, path)


def _build_dataclass(kind: Any, values: Any, source: str, path: str) -> Any:
    if not isinstance(values, dict):
        raise _wrong(source, path, values, "an object")
    kinds = typing.get_type_hints(kind)
    unknown = sorted(values.keys() - kinds.keys())
    if unknown:
        where = f"{path}.{unknown[0]}".lstrip(".")
        raise InputError(
            f"{source}: unknown key {where!r}; use one of {', '.join(kinds)}"
        )
    parts = {
        k: _build(kinds[k], v, source, f"{path}.{k}".lstrip("."))
        for k, v in values.items()
    }
    try:
        return kind(**parts)
    except InputError as error:
        raise InputError(f"{source}: {path or 'config'}: {error}") from None


def _scalar(kind: Any, value: Any, source: str, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise _wrong(source, path, value, f"a value of type {kind.__name__}")


def _wrong(source: str, path: str, value: Any, wanted: str) -> InputError:
    where = path or "config"
    return InputError(f"{source}: {where}: {value!r} is not {wanted}")

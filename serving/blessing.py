"""The blessing of an export: what was checked and how it came out, as files.

In: an export's folder BASE/<version> and results. Out: beside it
`BASE/<version>.blessing/` with `BLESSED` or `NOT_BLESSED` (quality) and
`INFRA_BLESSED` or `INFRA_NOT_BLESSED` (it loads and answers). The names are
TFX's; there the files are empty, here they hold JSON with the reasons. A model
server passes over names that are no numbers.

A blessing belongs to the bytes that were checked: the files hold their hash.
"""

import hashlib
import json
import os
import pathlib
from dataclasses import asdict, dataclass, field
from typing import Any

from histogan_tf.files import atomic_write


@dataclass(frozen=True)
class Kind:
    """File names of one gate."""

    good: str
    bad: str


QUALITY = Kind("BLESSED", "NOT_BLESSED")
INFRA = Kind("INFRA_BLESSED", "INFRA_NOT_BLESSED")


@dataclass(frozen=True)
class Blessing:
    """One gate's result; blessed if there is no reason against it.

    `facts` is a JSON value: scores, thresholds, baseline, what was sent.
    """

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def blessed(self) -> bool:
        """Whether the gate opens."""
        return not self.reasons


def folder(export: pathlib.Path) -> pathlib.Path:
    """Where an export's blessings are."""
    return export.with_name(export.name + ".blessing")


def write(export: pathlib.Path, kind: Kind, blessing: Blessing) -> pathlib.Path:
    """Writes a blessing; the gate's earlier one goes first.

    Returns:
      The file: its name says how it came out.
    """
    place = folder(export)
    place.mkdir(exist_ok=True)
    clear(export, kind)
    path = place / (kind.good if blessing.blessed else kind.bad)
    value = {
        "blessed": blessing.blessed,
        "export": str(export),
        "sha256": hash_of(export),
        **asdict(blessing),
    }
    # JSON has no nan; scores of absent classes are made None by the caller.
    text = json.dumps(value, indent=1, allow_nan=False)
    atomic_write(path, f"{text}\n".encode())
    return path


def clear(export: pathlib.Path, kind: Kind) -> None:
    """Takes a gate's earlier blessing away, before it is checked again."""
    for name in (kind.good, kind.bad):
        (folder(export) / name).unlink(missing_ok=True)


def hash_of(export: pathlib.Path) -> str:
    """SHA-256 over the names and bytes of an export's files."""
    total = hashlib.sha256()
    for path in sorted(p for p in export.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = os.fsencode(path.relative_to(export))
        total.update(digest.encode() + name + b"\0")
    return total.hexdigest()

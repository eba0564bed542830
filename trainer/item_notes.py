"""What unfinished work knows of its items: images, canvases, attempts.

In: the work folder, an item's name, its state and, when it is finished, its
entry of the program's record. Out: `.notes/<name>.json` in that folder, which
is not published. Where an item may change meanwhile, the state is written
before its first file, so that no file there is of an unknown item; the entry is
written after its last.
"""

import json
import pathlib
from dataclasses import dataclass
from typing import Any

from histogan_tf import work_folder
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_write

# Of what notes hold; work of other ones is not continued.
FORMAT = 2


@dataclass(frozen=True)
class Note:
    """Of one item; there need not be any yet."""

    path: pathlib.Path

    @property
    def state(self) -> dict[str, Any] | None:
        """Of the item whose files are there; None: there are none.

        Raises:
          InputError: the note is damaged.
        """
        return self._read().get("state")

    @property
    def entry(self) -> dict[str, Any] | None:
        """The item's entry; None if it is not finished.

        Raises:
          InputError: the note is damaged.
        """
        return self._read().get("entry")

    def write(
        self, state: dict[str, Any], entry: dict[str, Any] | None = None
    ) -> None:
        """Writes it, whole or not at all; both are JSON values."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        value = {"state": state, "entry": entry}
        atomic_write(self.path, json.dumps(value).encode())

    def remove(self) -> None:
        """The item's files are gone."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise InputError(f"{self.path}: damaged; remove it") from error


def note(folder: pathlib.Path, name: str) -> Note:
    """The note of an item in a work folder."""
    return Note(folder / work_folder.NOTES / f"{name}.json")


def check_names(
    folder: pathlib.Path, wanted: list[dict[str, Any]], of: tuple[str, ...]
) -> None:
    """Checks that whatever has a note there goes by the same name now.

    Args:
      folder: the work folder.
      wanted: the states of all items; each has a "name".
      of: what tells an item from another, whatever they are called.

    Raises:
      InputError: an item has another name, as one that had its own came or
        went.
    """
    names = {tuple(state[k] for k in of): state["name"] for state in wanted}
    for there in states(folder).values():
        item = tuple(there[k] for k in of)
        if (now := names.get(item, there["name"])) != there["name"]:
            raise InputError(
                f"{folder}: unfinished work has {item[0]} as"
                f" {there['name']!r}, now it is {now!r}, as files of one name"
                " came or went; remove the folder or state the same again"
            )


def states(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The states of all items that have a note there, by name."""
    found = {}
    notes = folder / work_folder.NOTES
    for path in sorted(notes.rglob("*.json")):
        # A folder may be called so as well.
        if path.is_file() and (state := Note(path).state):
            name = path.relative_to(notes).as_posix()
            found[name.removesuffix(".json")] = state
    return found

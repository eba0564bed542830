"""What every image that is segmented has in common, a slide or a small one.

In: a work folder (`histogan_tf/work_folder.py`), who reads, what is asked for
and an image's state, which tells it from another of its name. Out: its files in
that folder and, once all are there, its entry of segmentation.json in its note.
What is finished is not made again, unless the image's own file has changed.
"""

import abc
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from histogan_tf import running, work_folder
from histogan_tf.errors import InputError
from trainer import item_notes
from trainer.segment_files import Objects

if TYPE_CHECKING:
    from histogan_tf.data.classes import ClassTable

Reader = TypeVar("Reader")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; `mpp` None: what the images state."""

    output: str
    mpp: float | None
    geojson: bool
    probabilities: bool
    skip_bad: bool
    outlined: tuple[int, ...]
    min_object_um2: float


@dataclass(frozen=True)
class Network(Generic[Reader]):
    """Who reads: gives the reader; what of it must not change meanwhile."""

    make: Callable[[], Reader]
    identity: dict[str, Any]
    finest: float
    table: "ClassTable"


@dataclass(frozen=True)
class Item(abc.ABC, Generic[Reader]):
    """One image: what of it is made, and where."""

    # Whether images are read by windows.
    canvas: ClassVar[bool]

    folder: pathlib.Path
    network: Network[Reader]
    request: Request
    state: dict[str, Any]

    @staticmethod
    @abc.abstractmethod
    def look(
        path: pathlib.Path, request: Any, finest: float
    ) -> tuple[dict[str, Any], list[str]]:
        """An image's state, and notes on its scale.

        The state has the "file", and what tells it from another file there;
        the item's has the "name" as well.

        Raises:
          UnreadableError: the image is damaged or of another format.
          InputError: it has no um/px.
        """

    @property
    @abc.abstractmethod
    def files(self) -> list[pathlib.Path]:
        """All that is made of it."""

    @abc.abstractmethod
    def make(self, reader: Reader, show: running.Inside) -> dict[str, Any]:
        """Makes its files, at least those that are missing.

        Returns:
          What its entry says beside its state and name.

        Raises:
          UnreadableError: the image is damaged.
        """

    @property
    def path(self) -> pathlib.Path:
        """The image's file."""
        return pathlib.Path(self.state["file"])

    @property
    def name(self) -> str:
        """What its files are named by; folders may be part of it."""
        return self.state["name"]

    @property
    def objects(self) -> Objects:
        """Which objects are wanted."""
        return Objects(
            self.network.table,
            self.request.outlined,
            self.request.min_object_um2,
            self.request.geojson,
        )

    def check(self) -> None:
        """Raises InputError where files of this name are of another image."""
        there = self._note.state or self.state
        if there["file"] != self.state["file"]:
            raise InputError(
                f"{self._note.path}: unfinished work of another image"
                f" {self.name}: {there['file']} there, {self.state['file']}"
                " now; remove this note to make it anew or state the same"
                " again"
            )

    def finished(self) -> dict[str, Any] | None:
        """Its entry of segmentation.json if nothing is left to do."""
        if self._note.state != self.state:
            return None
        whole = all(path.exists() for path in self.files)
        return self._note.entry if whole else None

    def segment(self, reader: Reader, show: running.Inside) -> dict[str, Any]:
        """Makes its files; returns its entry.

        Raises:
          UnreadableError: the image is damaged.
          InputError: another process is at a slide, or the disk is full.
        """
        if self._note.state != self.state:
            self.remove()
            self._note.write(self.state)
        entry = self.state | self.make(reader, show)
        self._note.write(self.state, entry)
        return entry

    def remove(self) -> None:
        """Takes back what was made of it, and its note at last."""
        for path in self.files:
            path.unlink(missing_ok=True)
            work_folder.remove(work_folder.beside(path))
        self._note.remove()

    def place(self, kind: str, ending: str) -> pathlib.Path:
        """Where its file of a kind is, or will be."""
        return self.folder / kind / f"{self.name}{ending}"

    @property
    def tables(self) -> list[pathlib.Path]:
        """The files that `segment_files.write_objects` makes of it."""
        made = []
        if self.network.table.boundary:
            made.append(self.place("instances", ".csv"))
        if self.request.geojson:
            made.append(self.place("outlines", ".geojson"))
        return made

    @property
    def _note(self) -> item_notes.Note:
        return item_notes.note(self.folder, self.name)

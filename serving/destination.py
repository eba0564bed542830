"""The folder that a model server watches: versions put in, set aside, back.

In: DESTINATION and a version's folder. Out: DESTINATION/<version>, whole or
not at all. A server sees numeric names only, so everything else is kept under
names that start with a dot:

    DESTINATION/1700000000                    a version; the newest is served
    DESTINATION/.1700000001.<random>.tmp      being copied, or left by a kill
    DESTINATION/.rolled_back.1700000001       out of service, kept

Every change is one rename on one file system.
"""

import pathlib
import shutil
from dataclasses import dataclass

from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory, sync
from serving.export_layout import is_complete, no_graph

_ASIDE = ".rolled_back."
_LARGEST = 2**63 - 1  # a version is an int64


@dataclass(frozen=True)
class Destination:
    """A model's base path."""

    folder: pathlib.Path

    def path(self, version: int) -> pathlib.Path:
        """Folder of a version in service."""
        return self._children("").get(version, self.folder / str(version))

    def versions(self) -> list[int]:
        """Versions that a server sees, newest first.

        A folder without a graph, as one half copied, is not among them.
        """
        found = self._children("").items()
        whole = [n for n, path in found if is_complete(path)]
        return sorted(whole, reverse=True)

    def aside(self) -> list[int]:
        """Versions that were rolled back, newest first."""
        return sorted(self._children(_ASIDE), reverse=True)

    def leftovers(self) -> list[pathlib.Path]:
        """What killed pushes left behind, or others are copying now."""
        return sorted(self.folder.glob(".[0-9]*.tmp"))

    def check_free(self, version: int) -> None:
        """Raises InputError unless `version` would become the newest."""
        if not 0 <= version <= _LARGEST:
            raise InputError(f"version {version}: 0..{_LARGEST} is allowed")
        newest = max(self._children(""), default=-1)
        if version <= newest:
            raise InputError(
                f"{self.folder}: version {version} is not above {newest}, which"
                " is there; a server would not take it: choose --version"
            )
        if version in self.aside():
            raise InputError(
                f"{self.folder}: version {version} was rolled back; choose"
                " another --version, or bring it back by serving.rollback"
                f" --to {version}"
            )

    def put(self, export: pathlib.Path, version: int) -> pathlib.Path:
        """Copies an export in: a sibling, fsync, one rename.

        Raises:
          InputError: the version is taken or not the newest.
        """
        self.check_free(version)
        target = self.folder / str(version)
        with atomic_directory(target) as staged:
            shutil.copytree(export, staged, dirs_exist_ok=True)
        return target

    def serve(self, version: int) -> None:
        """Makes a version the newest: newer ones go aside, it comes back.

        The newest of all goes last, so that a server that polls in between
        never takes up one of the others.

        Raises:
          InputError: there is no such version, or it is not whole.
        """
        served, aside = self._children(""), self._children(_ASIDE)
        path = served.get(version) or aside.get(version)
        if path is None:
            raise InputError(
                f"{self.folder}: no version {version}; {self.listing()}"
            )
        if not is_complete(path):
            raise InputError(
                f"{no_graph(path)}; a server would pass it over;"
                f" {self.listing()}"
            )
        if version not in served:
            path.rename(self.folder / str(version))
        for newer in sorted(v for v in served if v > version):
            served[newer].rename(self.folder / f"{_ASIDE}{newer}")
        sync(self.folder)

    def listing(self) -> str:
        """One line: versions in service and aside."""
        found = ", ".join(map(str, self.versions())) or "none"
        aside = ", ".join(map(str, self.aside())) or "none"
        return f"versions: {found}; rolled back: {aside}"

    def _children(self, prefix: str) -> dict[int, pathlib.Path]:
        try:
            names = [p for p in self.folder.iterdir() if p.is_dir()]
        except FileNotFoundError:
            return {}
        ends = {p: p.name.removeprefix(prefix) for p in names}
        return {
            int(end): path
            for path, end in ends.items()
            if path.name.startswith(prefix)
            and end.isascii()
            and end.isdecimal()
            and int(end) <= _LARGEST
        }


def check_export(path: pathlib.Path) -> int:
    """The version of an export BASE/<version>.

    Raises:
      InputError: it is no SavedModel, or its name is no version.
    """
    if not is_complete(path):
        raise InputError(f"{no_graph(path)}; is it an export?")
    name = path.name
    if not (name.isascii() and name.isdecimal()):
        raise InputError(f"{path}: its name is the version; a number needed")
    return int(name)

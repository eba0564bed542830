r"""Takes the newest version out of service, so that the one before is served.

    python -m serving.rollback --destination DIR [--to VERSION] [--list]

The version is renamed to `.rolled_back.<version>`, which servers pass over: a
server that watches DIR (policy latest, the default) loads the one before, then
drains and unloads it, so no request fails. `--to VERSION` goes back several
versions, or forward again to one that was rolled back. `--list` only tells
what is there.
"""

import pathlib

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from serving.destination import Destination

flags.DEFINE_string("destination", None, "folder that the server watches")
flags.DEFINE_integer(
    "to", None, "version to serve; else the one before the newest", 0
)
flags.DEFINE_bool("list", False, "print the versions and change nothing")
flags.mark_flags_as_required(["destination"])


def main() -> None:
    """Renames, and prints what is served now."""
    destination = Destination(pathlib.Path(flags.FLAGS.destination))
    if not destination.folder.is_dir():
        raise InputError(f"{destination.folder}: no such folder")
    if flags.FLAGS.list:
        print(destination.listing())
        return
    before = destination.versions()
    wanted = flags.FLAGS.to
    destination.serve(before_newest(destination) if wanted is None else wanted)
    now = destination.versions()[0]
    was = f"{before[0]}" if before else "none"
    print(f"{destination.path(now)}: newest version (was {was})")
    print(destination.listing())


def before_newest(destination: Destination) -> int:
    """The version before the newest.

    Raises:
      InputError: there is none.
    """
    found = destination.versions()
    if len(found) < 2:
        raise InputError(
            f"{destination.folder}: no version to go back to;"
            f" {destination.listing()}"
        )
    return found[1]


if __name__ == "__main__":
    program.run(main)

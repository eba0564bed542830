"""What programs that use a run say of a training that was stopped.

In: a run directory and the phases whose networks are used. Out: a line on
stderr for each that has not come to its end.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histogan_tf.run_dir import RunDir


def tell(run: "RunDir", phases: Iterable[str]) -> None:
    """Tells; a run that was stopped is used as it is, as when one looks."""
    from histogan_tf import run_progress

    for note in run_progress.unfinished(run, phases):
        print(note, file=sys.stderr)

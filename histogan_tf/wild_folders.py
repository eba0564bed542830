"""What tells files of one name apart: the folders of a pattern's wildcards.

In: a folder, glob pattern or file, as users state it, and one of its files.
Out: the folders that wildcards stand for: "p1/" of `cases/p1/images/a.png` for
`cases/*/images/*.png`.
"""

import os
import pathlib
import re
from collections.abc import Callable

from histogan_tf.files import composed

_WILD = re.compile(r"[*?\[]")


def wild_folders(source: str) -> Callable[[pathlib.Path], str]:
    """Gives a file's folders, each with its slash; "" where none is wild.

    The files must be of the source, as `files.list_files` finds them.
    """
    source = source if os.path.exists(source) else os.path.expanduser(source)
    if os.path.exists(source):  # a folder or a file
        return lambda path: ""
    pattern = pathlib.Path(source).parts
    if pattern[-1] != "**":
        pattern = pattern[:-1]
    deep = [place for place, part in enumerate(pattern) if part == "**"]

    def stood_for(path: pathlib.Path) -> str:
        parts, stated = path.parent.parts, pattern
        if deep:
            # However many: all between the first and the last such wildcard.
            more = len(parts) - deep[0] - (len(pattern) - 1 - deep[-1])
            after = pattern[deep[-1] + 1 :]
            stated = (*pattern[: deep[0]], *["**"] * more, *after)
        pairs = zip(parts, stated, strict=True)
        # A folder may have brackets in its own name.
        named = [n for n, part in pairs if n != part and _WILD.search(part)]
        return composed("".join(f"{name}/" for name in named))

    return stood_for

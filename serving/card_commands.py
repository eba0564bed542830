"""Command lines without the folders in them, for the model card.

In: lines as a shell takes them. Out: the same with the last part of each path:
`--data=/home/anna/records` becomes `--data=records`. Folders above it may name
users or patients, and say nothing on another machine.
"""

import re
import shlex

_FLAG = re.compile(r"-[^=/\s]*=")


def without_folders(line: str) -> str:
    """A command line with paths cut down to their last part."""
    try:
        words = shlex.split(line)
    except ValueError:  # a part of a line: a quoted line break
        words = line.split()
    return shlex.join(_short(word) for word in words)


def _short(word: str) -> str:
    flag = _FLAG.match(word)
    start = flag[0] if flag else ""
    # Up to the last slash, whatever else: what is in front may be a list of
    # paths, or a folder with commas in its name.
    path = word[len(start) :].rstrip("/")
    return start + (path.rpartition("/")[2] or word[len(start) :])

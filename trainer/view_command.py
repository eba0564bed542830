"""The command that shows a result, for programs to print.

In: the image and the flags of `trainer.view`. Out: one line to paste.
"""

import os
import pathlib
import shlex
from typing import Any


def folder(output: str | os.PathLike, name: str) -> pathlib.Path:
    """Where the page of one of `output`'s results goes: beside them all."""
    return pathlib.Path(f"{pathlib.Path(output)}_view") / name


def line(
    image: str | os.PathLike, output: str | os.PathLike, **values: Any
) -> str:
    """`to look at it: python -m trainer.view ...`; None leaves a flag out."""
    given = {"image": image, **values, "output": output}
    words = ["python", "-m", "trainer.view"]
    for name, value in given.items():
        if value is True:
            words.append(f"--{name}")
        elif value not in (None, False):
            words += [f"--{name}", str(value)]
    return f"to look at it: {shlex.join(words)}"

"""Runs a program inside the test's process, so TensorFlow loads but once.

Programs define flags of the same names, so a program's flags are taken away
again after it has run.
"""

import contextlib
import importlib
import io
import json
import shlex
import sys

from absl import flags

from histogan_tf import program


def run_program(name, capsys, monkeypatch, **values):
    """Runs `python -m <name> --key=value ...`.

    Fixtures of the whole session have no `capsys` and pass None.

    Returns:
      (exit code, stdout, stderr).
    """
    known = set(flags.FLAGS)
    module = importlib.import_module(name)
    arguments = [f"--{key}={value}" for key, value in values.items()]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    code = 0
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.ExitStack() as stack:
            if capsys is None:
                stack.enter_context(contextlib.redirect_stdout(out))
                stack.enter_context(contextlib.redirect_stderr(err))
            program.run(module.main)
    except SystemExit as error:
        code = error.code or 0
    finally:
        for flag in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, flag)
        del sys.modules[name]
    if capsys is None:
        return code, out.getvalue(), err.getvalue()
    return code, *capsys.readouterr()


def run_line(line, capsys, monkeypatch):
    """Runs a command that a program printed after `...: python -m`.

    Returns:
      (exit code, stdout, stderr).
    """
    name, *words = shlex.split(line.partition("python -m ")[2])
    values, place = {}, 0
    while place < len(words):
        key = words[place].removeprefix("--")
        bare = place + 1 == len(words) or words[place + 1].startswith("--")
        values[key] = True if bare else words[place + 1]
        place += 1 if bare else 2
    return run_program(name, capsys, monkeypatch, **values)


def segmented(folder):
    """All files of `trainer.segment`; of its record the images' entries."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    record = json.loads(found.pop("segmentation.json"))
    assert not record["skipped"]
    return found | {"images": json.dumps(record["images"])}

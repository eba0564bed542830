"""How programs fail: a small program, run as its users run it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from histogan_tf import program

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Stands for any program: required, enum and ranged flags; --do says how
# main() ends. The library would be imported inside main().
PROGRAM = '''"""Paints nothing.

More about nothing.
"""

import errno

from absl import flags

from histogan_tf.errors import InputError
from histogan_tf import program

flags.DEFINE_string("data", None, "records to read")
flags.DEFINE_enum("split", "train", ["train", "test"], "which part")
flags.DEFINE_integer("count", 1, "how many", lower_bound=0, upper_bound=5)
flags.DEFINE_string("do", "pass", "how main() ends")
flags.mark_flag_as_required("data")


def main():
    print("main", flags.FLAGS.data, flags.FLAGS.split)
    exec(flags.FLAGS.do)


if __name__ == "__main__":
    program.run(main)
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "paint.py"
    path.write_text(PROGRAM)
    return path


def start(script, *arguments):
    """Runs the program; returns (exit code, stdout, lines of stderr)."""
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_success(script):
    assert start(script, "--data=d", "--split=test") == (0, "main d test\n", [])


@pytest.mark.parametrize("flag", ["--help", "--helpshort", "-?", "--helpfull"])
def test_help_shows_the_flags_and_succeeds(script, flag):
    code, out, err = start(script, flag)
    assert (code, err) == (0, [])
    assert "Paints nothing." in out
    assert all(f"--{name}:" in out for name in ("data", "split", "count"))
    assert "main None" not in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--splat=1"], ["'splat'", "--count, --data, --do, --split"]),
        (["--data=d", "--split=x"], ["--split=x", "<train|test>"]),
        (["--data=d", "--count=9"], ["--count=9", "[0, 5]"]),
        (["--data=d", "--count=many"], ["--count=many"]),
        (["--data=d", "stray"], ["unknown argument 'stray'", "--"]),
        (["--data"], ["data"]),
        ([], ["--data", "None"]),
        (["--flagfile=/no/such", "--data=d"], ["/no/such"]),
    ],
)
def test_bad_flags(script, arguments, expected):
    code, out, err = start(script, *arguments)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("error: ")
    assert "ERROR" not in err[0]
    for part in expected:
        assert part in err[0]


def test_a_pattern_without_quotes(script, tmp_path):
    (tmp_path / "b.png").touch()
    code, _, err = start(script, "--data", "a.png", str(tmp_path / "b.png"))
    assert (code, len(err)) == (2, 1)
    assert "b.png': put patterns in quotes; flags start with --" in err[0]


@pytest.mark.parametrize(
    ("raising", "line"),
    [
        ("raise InputError('a.png: no mask')", "error: a.png: no mask"),
        ("raise InputError('a.png:\\n  bad')", "error: a.png: bad"),
        (
            "raise OSError(errno.ENOSPC, 'No space left on device', 'x.rec')",
            "error: x.rec: No space left on device",
        ),
        (
            "raise OSError(errno.ENOSPC, 'No space left on device')",
            "error: input/output: No space left on device",
        ),
        ("open('/no/such')", "error: /no/such: No such file or directory"),
        (
            # What a TFRecordWriter's ResourceExhaustedError looks like.
            "raise RuntimeError('x.rec;\\n No space left on device')",
            "error: x.rec; No space left on device",
        ),
    ],
)
def test_bad_input_is_one_line(script, raising, line):
    code, _, err = start(script, "--data=d", f"--do={raising}")
    assert (code, err) == (2, [line])


def test_interrupt(script):
    code, _, err = start(script, "--data=d", "--do=raise KeyboardInterrupt")
    assert (code, err) == (130, ["error: interrupted"])


WRITING = """
import pathlib, time
from histogan_tf import files
try:
    with files.atomic_directory('made') as folder:
        (folder / 'half').write_text('1')
        print('inside', flush=True)
        time.sleep(60)
finally:
    time.sleep({pause})
    pathlib.Path('cleaned').touch()
"""


def begin(script, folder, do):
    """The program as it is when `do` has printed "inside"."""
    child = subprocess.Popen(
        [sys.executable, str(script), "--data=d", f"--do={do}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "inside\n" in iter(child.stdout.readline, "")
    return child


@pytest.mark.parametrize("times", [1, 3])
def test_sigterm_removes_what_is_half_written(script, tmp_path, times):
    child = begin(script, tmp_path, WRITING.format(pause=0.5))
    assert len(list(tmp_path.glob(".made.*.tmp/half"))) == 1
    for _ in range(times):
        child.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    err = child.communicate(timeout=60)[1]
    assert (child.returncode, err) == (143, "error: stopped by SIGTERM\n")
    assert [path.name for path in tmp_path.iterdir()] == ["cleaned"]


def test_sigterm_waits_for_no_thread(script, tmp_path):
    sleeper = (
        "import threading, time;"
        "threading.Thread(target=time.sleep, args=[300]).start();"
        "print('inside', flush=True); time.sleep(300)"
    )
    child = begin(script, tmp_path, sleeper)
    child.terminate()
    assert child.wait(60) == 143
    child.communicate()


def test_a_program_may_mind_sigterm_itself(script, tmp_path):
    own = (
        "import signal, time;"
        "signal.signal(signal.SIGTERM, signal.default_int_handler);"
        "print('inside', flush=True); time.sleep(60)"
    )
    child = begin(script, tmp_path, own)
    child.terminate()
    assert child.communicate(timeout=60)[1] == "error: interrupted\n"
    assert child.returncode == 130


def test_a_handler_of_the_caller_stays(monkeypatch):
    def mine(*_):
        pass

    seen = []
    monkeypatch.setattr(sys, "argv", ["program"])
    for before in (mine, signal.SIG_IGN, signal.SIG_DFL):
        old = signal.signal(signal.SIGTERM, before)
        try:
            with pytest.raises(SystemExit):
                program.run(
                    lambda: seen.append(signal.getsignal(signal.SIGTERM))
                )
            assert signal.getsignal(signal.SIGTERM) is before
        finally:
            signal.signal(signal.SIGTERM, old)
    assert seen[:2] == [mine, signal.SIG_IGN]
    assert seen[2] not in (signal.SIG_DFL, mine)


def test_a_bug_keeps_its_traceback(script):
    code, _, err = start(script, "--data=d", "--do=raise ValueError('oops')")
    assert code == 1
    assert err[0].startswith("Traceback")
    assert err[-1] == "ValueError: oops"


@pytest.mark.parametrize("do", ["pass", "print('x' * 10**6)"])
@pytest.mark.parametrize("flags", [["--data=x"], ["--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(script, flags, do, unbuffered):
    gone, out = os.pipe()
    os.close(gone)
    done = subprocess.run(
        [sys.executable, str(script), *flags, f"--do={do}"],
        stdout=out,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": unbuffered,
        },
        timeout=60,
    )
    os.close(out)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_broken_pipe_elsewhere_is_an_error(script):
    code, _, lines = start(
        script, "--data=x", "--do=raise BrokenPipeError(errno.EPIPE, 'Broken')"
    )
    assert (code, lines) == (2, ["error: input/output: Broken"])


def test_flagfile(script, tmp_path):
    file = tmp_path / "flags.txt"
    file.write_text("# settings\n--data=from_file\n--split=test\n")
    assert start(script, f"--flagfile={file}")[1] == "main from_file test\n"


def test_flag_error_of_two_lines_is_folded(script):
    code, _, err = start(script, "--data=d", "--split=a\nb")
    assert (code, len(err)) == (2, 1)
    assert "--split=a b" in err[0]


PROGRAMS = sorted(
    f"{package}.{path.stem}"
    for package in ("trainer", "serving", "benchmarks")
    for path in (ROOT / package).glob("*.py")
    if "\n    program.run(" in path.read_text()
)


def test_the_programs_are_all_there():
    assert {"trainer.train", "serving.server", "benchmarks.fidelity"} <= set(
        PROGRAMS
    )
    assert len(PROGRAMS) >= 18


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_prints_help_quickly(name):
    """`--help` must not wait for TensorFlow, which takes many seconds.

    Without it help takes 0.1 to 0.3 s; the limit is for busy machines.
    """
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", name, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "\nflags:\n" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.split("\n")}
    assert not imported & {"tensorflow", "tensorflow_addons", "cv2"}
    assert time.monotonic() - before < 20

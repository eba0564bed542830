"""Trainings that are killed and go on, alone or two together, and one whole."""

import numpy as np
import pytest
import workers
from small_training import ingest_small, small_config, variables, write_config

PHASES = ("stages/0", "judge", "segmenter")

# Runs of the program: `one` by one process; `killed` by one that kills itself
# at a moment of its own, and the next; `lost` by two processes of which
# worker 1 is killed in the stage, then worker 0 in the segmenter, and started
# again. All segmenters are one class.
# Prints exit codes and what `state` and the last line say.
PROGRAM = '''
from tensorflow.python.ops import gen_io_ops

from histogan_tf import files, program
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel
from trainer import bars, loop, phases, strategies, train, watching

data, config = sys.argv[3:]


def start(run, strategy, prepare):
    prepare()
    words = [f"--data={data}", f"--run_dir={FOLDER / run}",
             f"--config={config}", f"--strategy={strategy}",
             "--precision=float32", "--save_every=2", "--log_every=1"]
    sys.argv = ["train", *words]
    # What a survivor becomes.
    sys.orig_argv = ["python", "-m", "trainer.train", *words]
    log = os.open(FOLDER / f"{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    program.run(train.main)


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def while_creating():
    """Before the third file of the run gets its name."""
    replace, calls = os.replace, []
    def counted(*args):
        calls.append(args)
        return die() if len(calls) == 3 else replace(*args)
    files.os.replace = counted


def between(kind, act):
    """Between two checkpoints of a model of that class."""
    make = loop.make_advance
    def made(model, strategy, totals, step, *more):
        advance = make(model, strategy, totals, step, *more)
        def counted(batch):
            advance(batch)
            if isinstance(model, kind) and int(step.numpy()) == 3:
                act()
        return counted
    loop.make_advance = made


def in_stage():
    between(StageModel, die)


def waiting():
    """In the segmenter, until the other has been killed."""
    def wait():
        if (FOLDER / "lost/segmenter/checkpoints/ckpt-2.index").exists():
            after(FOLDER / "was_killed")
    between(SegmenterModel, wait)


def at_save(phase, step, module, name):
    """When saving that step calls that function."""
    save = loop.Saves.save
    def counted(self, done):
        if (self.name, done) == (phase, step):
            setattr(module, name, die)
        save(self, done)
    loop.Saves.save = counted


def while_saving():
    """Parts of the checkpoint are written, none has its name."""
    at_save("judge", 2, gen_io_ops, "merge_v2_checkpoints")


def before_recording():
    """The checkpoint's files are whole, but not yet the newest by name."""
    at_save("segmenter", 4, tf.train.CheckpointManager, "_record_state")


def nothing():
    """The process lives."""


def state(run):
    """Whether the run has settings; newest step of each phase."""
    newest = [
        tf.train.latest_checkpoint(str(FOLDER / run / phase / "checkpoints"))
        for phase in ("stages/0", "judge", "segmenter")
    ]
    steps = [path and int(path.split("-")[-1]) for path in newest]
    return (FOLDER / run / "config.json").exists(), *steps


def alone(run, prepare):
    print(ended(fork(None, lambda: start(run, "one", prepare))), *state(run))


def worker(run, index, prepare=nothing):
    return fork(index, lambda: start(run, "multi_worker", prepare))


def after(path):
    limit = time.monotonic() + 900
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.05)


alone("one", nothing)
for moment in (
    while_creating, in_stage, while_saving, before_recording, nothing
):
    alone("killed", moment)
first, second = worker("lost", 0), worker("lost", 1, in_stage)
print(ended(second))
second = worker("lost", 1, waiting)
after(FOLDER / "lost/segmenter/checkpoints/ckpt-2.index")
os.kill(first, signal.SIGKILL)
(FOLDER / "was_killed").touch()
print(ended(first))
stage = FOLDER / "lost/stages/0/checkpoints/ckpt-4.index"
written = stage.stat().st_mtime_ns
print(ended(worker("lost", 0), second), stage.stat().st_mtime_ns == written)
'''


@pytest.fixture(scope="module")
def trained(phantom_files, tmp_path_factory):
    """The folder of the runs, and the lines that were printed."""
    folder = tmp_path_factory.mktemp("killed")
    ingest_small(phantom_files, folder / "records")
    config = write_config(folder / "config.json", small_config())
    out, err = workers.run(PROGRAM, folder, folder / "records", config)
    return folder, out.splitlines(), err


def logs(folder):
    names = ("one", "killed", "lost")
    return {name: (folder / f"{name}.log").read_text() for name in names}


def test_killed_runs_end_with_the_weights_of_a_whole_one(trained):
    folder, lines, err = trained
    assert lines[:6] == [
        "[0] True 4 4 4",
        "[-9] False None None None",
        "[-9] True 2 None None",
        "[-9] True 4 None None",
        "[-9] True 4 4 2",
        "[0] True 4 4 4",
    ], (logs(folder), err)
    whole, killed = folder / "one", folder / "killed"
    for phase in PHASES:
        one, two = variables(whole / phase), variables(killed / phase)
        assert one.keys() == two.keys() and len(one) >= 20
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)
        assert not list((killed / phase / "checkpoints").glob("*temp*"))
    assert len((killed / "command.txt").read_text().splitlines()) == 4
    first = [(r / "data.json").read_bytes() for r in (whole, killed)]
    assert first[0] == first[1]


def test_a_killed_worker_comes_back_and_nothing_is_trained_twice(trained):
    folder, lines, err = trained
    told = logs(folder)
    assert lines[6:] == ["[-9]", "[-9]", "[0, 0] True"], (told, err)
    assert told["lost"].count("a worker was lost; starting again") == 2
    # Worker 0 alone tells of progress, and alone writes.
    assert told["lost"].count("stages/0 4/4") == 1
    assert len(list((folder / "lost/judge/events").iterdir())) == 1
    for phase in PHASES:
        one, lost = (variables(folder / n / phase) for n in ("one", "lost"))
        assert one.keys() == lost.keys()
        for name, value in lost.items():
            np.testing.assert_allclose(
                value.astype(float),
                one[name],
                # The sums of squares of an optimiser are large.
                rtol=1e-5 if "optimizer" in name else 1e-7,
                atol=1e-5,
                err_msg=name,
            )

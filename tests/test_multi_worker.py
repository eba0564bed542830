"""Two processes on 127.0.0.1 train what one process trains."""

import json

import numpy as np
import pytest
import workers
from small_training import ingest_small, small_config, write_config
from test_train import variables

# Models of test_strategies, by one process and by two, for 5 steps. Prints exit
# codes; each process leaves its weights in the folder.
MODELS = """
def train_all(name, strategy_of):
    from trainer import strategies
    strategies.prepare("float32", 0)
    strategy = getattr(strategies, strategy_of)()
    from strategy_models import builds, train
    for model in sys.argv[3:]:
        kept = train(builds[model], strategy, FOLDER / strategy_of / model)
        values = {str(i): v.numpy() for i, v in enumerate(kept.model.variables)}
        losses = [value for _, value in sorted(kept.losses.items())]
        np.savez(FOLDER / f"{model}-{name}.npz", sizes=kept.sizes,
                 losses=losses, **values)


print(json.dumps([
    ended(fork(None, lambda: train_all("one", "one"))),
    ended(*[
        fork(k, lambda: train_all(f"worker{k}", "multi_worker"))
        for k in range(2)
    ]),
]))
"""

# What stage 0 has, stage 1 has too.
NAMES = ("stage 1", "segmenter")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    out, err = workers.run(MODELS, folder, *NAMES)
    assert json.loads(out.splitlines()[-1]) == [[0], [0, 0]], err[-3000:]
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_two_workers_give_the_weights_of_one(models, name):
    one = np.load(models / f"{name}-one.npz")
    assert one["sizes"].tolist() == [4]
    for worker in ("worker0", "worker1"):
        two = np.load(models / f"{name}-{worker}.npz")
        # Half of the batch each, traced once.
        assert two["sizes"].tolist() == [2]
        assert one.files == two.files and len(one.files) >= 10
        for key in one.files:
            if key not in ("sizes", "losses"):
                np.testing.assert_allclose(
                    one[key].astype(float), two[key], atol=1e-5, err_msg=key
                )
        losses = [found["losses"].astype(float) for found in (one, two)]
        np.testing.assert_allclose(*losses, atol=1e-4)


# The program: by one process; by two; by two of which first worker 1 and then
# worker 0 is killed and started again. Prints exit codes, and whether the
# stage was left alone once it was complete.
PROGRAM = """
from histogan_tf import program
from histogan_tf.models.stage import StageModel
from trainer import loop, train

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


def dies():
    make = loop.make_advance
    def made(model, strategy, totals, step, *more):
        advance = make(model, strategy, totals, step, *more)
        def counted(batch):
            advance(batch)
            if isinstance(model, StageModel) and int(step.numpy()) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        return counted
    loop.make_advance = made


def worker(run, index, prepare=lambda: None):
    return fork(index, lambda: start(run, "multi_worker", prepare))


def after(path):
    limit = time.monotonic() + 300
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.05)


print(ended(fork(None, lambda: start("one", "one", lambda: None))))
print(ended(*[worker("two", k) for k in range(2)]))
first, second = worker("killed", 0), worker("killed", 1, dies)
print(ended(second))
second = worker("killed", 1)
after(FOLDER / "killed/segmenter/checkpoints/ckpt-2.index")
os.kill(first, signal.SIGKILL)
print(ended(first))
stage = FOLDER / "killed/stages/0/checkpoints/ckpt-4.index"
written = stage.stat().st_mtime_ns
print(ended(worker("killed", 0), second), stage.stat().st_mtime_ns == written)
"""


def test_a_killed_worker_comes_back_and_nothing_changes(
    phantom_files, tmp_path
):
    ingest_small(phantom_files, tmp_path / "records")
    config = write_config(tmp_path / "config.json", small_config())
    out, err = workers.run(PROGRAM, tmp_path, tmp_path / "records", config)
    logs = {
        name: (tmp_path / f"{name}.log").read_text()
        for name in ("one", "two", "killed")
    }
    assert out.splitlines() == [
        "[0]",
        "[0, 0]",
        "[-9]",
        "[-9]",
        "[0, 0] True",
    ], (logs, err)
    assert "starting again" not in logs["two"]
    assert logs["killed"].count("a worker was lost; starting again") == 2
    # Worker 0 alone tells of progress, and alone writes.
    assert logs["two"].count("stages/0 4/4") == 1
    for phase in ("stages/0", "segmenter", "judge"):
        events = list((tmp_path / "two" / phase / "events").iterdir())
        assert len(events) == 1
        one, two, killed = (
            variables(tmp_path / name / phase)
            for name in ("one", "two", "killed")
        )
        assert one.keys() == two.keys() == killed.keys()
        for name, value in two.items():
            np.testing.assert_array_equal(value, killed[name], err_msg=name)
            np.testing.assert_allclose(
                value.astype(float),
                one[name],
                # The sums of squares of an optimiser are large.
                rtol=1e-5 if "optimizer" in name else 1e-7,
                atol=1e-5,
                err_msg=name,
            )

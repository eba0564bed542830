"""Two replicas, of one process or of two, learn what one learns."""

import json
import pathlib

import numpy as np
import pytest
import workers

from trainer import strategies

# Models of `strategy_models`, for 5 steps: by one replica, by two of a process
# (a CPU must be split before it is used), the first in bfloat16 too, and by two
# processes on 127.0.0.1.
# Prints exit codes; each process leaves its weights in the folder.
MODELS = """
def split():
    half = tf.config.LogicalDeviceConfiguration()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [half, half])


def train_all(name, strategy_of, prepare=lambda: None, precision="float32",
              models=sys.argv[3:]):
    prepare()
    from trainer import strategies
    strategies.prepare(precision, 0)
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    strategy = getattr(strategies, strategy_of)()
    # TensorFlow takes SIGTERM for itself where there are several workers.
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard
    from strategy_models import builds, train
    for model in models:
        kept = train(builds[model], strategy, FOLDER / name / model)
        values = {str(i): v.numpy() for i, v in enumerate(kept.model.variables)}
        moved = max(
            np.abs(a - values[str(i)]).max()
            for i, a in enumerate(kept.first) if a.dtype == np.float32
        )
        losses = [value for _, value in sorted(kept.losses.items())]
        np.savez(FOLDER / f"{model}-{name}.npz", sizes=kept.sizes,
                 losses=losses, moved=moved, **values)


print(json.dumps([
    ended(fork(None, lambda: train_all("one", "one"))),
    ended(fork(None, lambda: train_all("mirrored", "mirrored", split))),
    ended(*[
        fork(k, lambda: train_all(f"worker{k}", "multi_worker"))
        for k in range(2)
    ]),
    *[
        ended(fork(None, lambda: train_all(
            "half", "mirrored", split, "bfloat16", [model]
        )))
        for model in sys.argv[3:4] if HALF
    ],
]))
"""

# What stage 0 has, stage 1 has too.
NAMES = ("stage 1", "segmenter")
# The images of a batch that each call of `train_step` sees while it is traced:
# half of them, once for each replica of the process.
SIZES = {"mirrored": [2, 2], "worker0": [2], "worker1": [2]}


# Without such units TensorFlow's kernels may not know it; `auto` asks as well.
HALF = strategies.cpu_has_bfloat16(pathlib.Path("/proc/cpuinfo"))
CODES = [[0], [0], [0, 0]] + [[0]] * HALF


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    script = f"HALF = {HALF}\n{MODELS}"
    out, err = workers.run(script, folder, *NAMES)
    assert json.loads(out.splitlines()[-1]) == CODES, err[-3000:]
    return folder


@pytest.mark.parametrize("replica", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_give_the_weights_of_one(models, name, replica):
    one = np.load(models / f"{name}-one.npz")
    assert one["sizes"].tolist() == [4] and one["moved"] > 1e-3
    two = np.load(models / f"{name}-{replica}.npz")
    assert two["sizes"].tolist() == SIZES[replica]
    assert one.files == two.files and len(one.files) >= 10
    for key in one.files:
        if key not in ("sizes", "losses", "moved"):
            np.testing.assert_allclose(
                one[key].astype(float),
                two[key],
                rtol=0,
                atol=1e-5,
                err_msg=key,
            )
    losses = [found["losses"].astype(float) for found in (one, two)]
    np.testing.assert_allclose(*losses, atol=1e-4)


@pytest.mark.skipif(not HALF, reason="the processor has no bfloat16")
def test_two_replicas_learn_in_bfloat16(models):
    """What one learns in float32, to bfloat16's three digits."""
    one, half = (
        np.load(models / f"{NAMES[0]}-{n}.npz") for n in ("one", "half")
    )
    assert half["sizes"].tolist() == [2, 2]
    losses = half["losses"], one["losses"]
    np.testing.assert_allclose(*losses, rtol=0.01, atol=1e-3)
    weights = [key for key in one.files if key.isdecimal()]
    apart = max(np.abs(half[k] - one[k].astype(float)).max() for k in weights)
    # Of weights that have moved by 0.8; in float32 they part by less than 1e-5.
    assert 1e-4 < apart < 0.02

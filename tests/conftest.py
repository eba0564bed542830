"""Fixtures: real tissue, and a small run and its records, both untrained."""

import fcntl
import gc
import os
import pathlib
import shutil

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# As the programs do, so that both give the same.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
ROOT = pathlib.Path(__file__).resolve().parent.parent
# A file stays in one process, so the longest begin first: else one of two
# processes ends minutes after the other.
LONGEST = (
    "test_killed.py",
    "test_end_to_end.py",
    "test_replicas.py",
    "test_semi_methods.py",
    "test_benchmarks_scale.py",
    "test_dataset.py",
    "test_traces.py",
)


def pytest_collection_modifyitems(items) -> None:
    """Puts the longest files first, and leaves all else in its order."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_collection_finish() -> None:
    """Spares each search for garbage what the tests' modules have loaded.

    Those of TensorFlow are 300,000 objects, a tenth of a small training.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def bfloat16():
    """Mixed precision, for layers that are made inside."""
    import tensorflow as tf

    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    tf.keras.mixed_precision.set_global_policy(before)


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """Folder of real tissue; in CI its absence fails, elsewhere it skips."""
    default = ROOT.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get("HISTOGAN_DATA", default))
    if not folder.is_dir():
        message = f"{folder}: no such folder; set HISTOGAN_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def random_run(tmp_path_factory) -> pathlib.Path:
    """A run of two stages (10 and 5 um/px, 3 classes) with random weights."""
    from histogan_tf import run_dir, run_progress
    from histogan_tf.config import Config, NetworkConfig, StageConfig
    from histogan_tf.config import SegmenterConfig as Alone
    from histogan_tf.data import classes, phantom

    small = NetworkConfig((4, 6))
    stage = StageConfig(16, 4, generator=small, critic=small, segmenter=small)
    alone = Alone(16, 4, network=small)
    config = Config(
        finest_mpp=5.0,
        stages=(stage, stage),
        segmenter=alone,
        judge=alone.alone(),
    )
    rng = np.random.default_rng(0)
    styles = [
        {"name": f"train_{i}", "style": rng.normal(size=6).tolist()}
        for i in range(4)
    ]
    run = run_dir.create_run(
        tmp_path_factory.mktemp("run") / "random",
        config,
        classes.load(phantom.CLASSES_FILE),
        {"hash": "0" * 64, "styles": styles},
    )
    steps = run_progress.wanted(config)
    for place, (phase, model) in enumerate(random_models(config).items()):
        folder = run.phase(phase) / "checkpoints"
        save_random(model, folder, place, steps[phase])
    return run.root


def random_models(config) -> dict:
    """Models of every phase, by the phase's folder."""
    from histogan_tf import run_dir
    from histogan_tf.models.segmenter_model import SegmenterModel
    from histogan_tf.models.stage import StageModel

    weights = [1.0, 1.0, 1.0]
    models = {
        run_dir.stage_name(k): StageModel(config, k, weights)
        for k in range(len(config.stages))
    }
    for name in ("segmenter", "judge"):
        settings = getattr(config, name)
        models[name] = SegmenterModel(
            settings, config.optimizer, len(weights), ()
        )
    return models


def save_random(model, folder: pathlib.Path, seed: int, step: int) -> None:
    """Gives a model weights drawn by seed, and saves it as training does."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype.is_floating:
            fan = max(1, int(np.prod(variable.shape[:-1])))
            draws = rng.normal(0, fan**-0.5, variable.shape)
            if "variance" in variable.name:
                draws = 0.2 + np.abs(draws)
            variable.assign(draws.astype(np.float32))
    checkpoint = tf.train.Checkpoint(model=model, step=tf.Variable(0))
    manager = tf.train.CheckpointManager(checkpoint, str(folder), 1)
    manager.save(checkpoint_number=step)


@pytest.fixture
def stopped_run(random_run, tmp_path):
    """A copy of `random_run` whose segmenter stopped at step 10 of 1000."""
    from histogan_tf import run_dir

    run = run_dir.open_run(shutil.copytree(random_run, tmp_path / "stopped"))
    folder = run.phase("segmenter") / "checkpoints"
    for path in folder.glob("ckpt-1000.*"):
        path.rename(folder / path.name.replace("1000", "10"))
    state = folder / "checkpoint"
    state.write_text(state.read_text().replace("ckpt-1000", "ckpt-10"))
    return run


@pytest.fixture(scope="session")
def random_canvas(random_run):
    """The canvas of `random_run`; tracing its graphs takes seconds."""
    from histogan_tf import canvas, run_dir

    return canvas.Canvas(run_dir.load_pyramid(run_dir.open_run(random_run)))


@pytest.fixture(scope="session")
def random_painter(random_canvas):
    """Paints windows with the pyramid of `random_run`."""
    from histogan_tf.window_paint import WindowPainter

    return WindowPainter(random_canvas.pyramid)


@pytest.fixture(scope="session")
def random_networks(random_run):
    """The networks of `random_run`, as an export has them."""
    from histogan_tf import run_dir
    from serving import signatures

    return signatures.open_networks(run_dir.open_run(random_run))


@pytest.fixture(scope="session")
def random_export(random_run, tmp_path_factory, request) -> pathlib.Path:
    """BASE/7 of `serving.export`, warmed up for 40 x 48 px.

    Tests only read it, so that of several processes one makes it for all.
    """
    root = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        root = root.parent
    base = root / "served" / "tissue"
    with open(root / "served.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # A version gets its number once it is whole.
        if not (base / "7").exists():
            export_random(random_run, base)
    return base / "7"


def export_random(run: pathlib.Path, base: pathlib.Path) -> None:
    """BASE/7, as a user makes it."""
    from programs import run_program

    with pytest.MonkeyPatch.context() as patch:
        code, out, err = run_program(
            "serving.export",
            None,
            patch,
            run_dir=run,
            output=base,
            version=7,
            warmup_sizes="40x48",
            max_pixels=2**16,
            licence="none, random weights",
        )
    assert code == 0, err
    assert out == f"{base / '7'}\n"


@pytest.fixture(scope="session")
def phantom_files(tmp_path_factory) -> pathlib.Path:
    """Folder of images/ and masks/: five phantoms of 96 x 80 px, 2.5 um/px.

    The last is of odd size, and part of its mask is to be ignored by tables
    that say so.
    """
    from histogan_tf.data import images, phantom
    from histogan_tf.data.phantom_settings import PhantomSettings

    folder = tmp_path_factory.mktemp("phantoms")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for seed in range(5):
        height, width = (80, 96) if seed < 4 else (75, 91)
        settings = PhantomSettings(height=height, width=width, mpp=2.5)
        tile = phantom.paint(settings, seed)
        images.write_png(folder / "images" / f"tile_{seed}.png", tile.image)
        images.write_png(folder / "masks" / f"tile_{seed}.png", tile.mask)
    return folder


@pytest.fixture(scope="session")
def phantom_records(phantom_files, tmp_path_factory) -> pathlib.Path:
    """Records of the phantoms, all labelled, in the split `test`."""
    from histogan_tf.data import phantom
    from histogan_tf.data.ingest import ingest
    from histogan_tf.data.ingest_settings import IngestSettings

    folder = tmp_path_factory.mktemp("records") / "phantoms"
    ingest(
        IngestSettings(
            images=str(phantom_files / "images"),
            masks=str(phantom_files / "masks"),
            classes=str(phantom.CLASSES_FILE),
            output=str(folder),
            mpp=2.5,
            split="test",
        )
    )
    return folder

"""The benchmarks of steps and of replicas: tiny, and by hand."""

import dataclasses
import itertools
import json
import time

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import (
    large_gan,
    scaling,
    scaling_projection,
    step_cells,
    step_table,
    step_work,
    train_step,
)
from benchmarks.scaling_projection import Assumptions
from histogan_tf import presets
from histogan_tf.errors import InputError

TINY = {"steps": 1, "peak_seconds": 0.0}


def test_convolutions_are_counted_forward_and_backward():
    kernel = tf.Variable(tf.ones([3, 3, 4, 5]))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.conv2d(x, kernel, 2, "SAME")
        return y, tape.gradient(y, [x, kernel])

    graph = step.get_concrete_function(tf.TensorSpec([2, 8, 6, 4])).graph
    # 2 x 4 x 3 outputs of 5 channels, each 36 products and 36 sums.
    assert step_work.convolution_flops(graph) == 3 * 2 * (2 * 4 * 3 * 5) * 36


def test_convolutions_that_no_result_hangs_on_are_not_counted():
    kernel = tf.Variable(tf.ones([3, 3, 4, 5]))
    total = tf.Variable(0.0)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.conv2d(x, kernel, 2, "SAME")
        to_input, _ = tape.gradient(y, [x, kernel])  # the other is unwanted
        total.assign_add(tf.reduce_sum(tf.nn.conv2d(x, kernel, 2, "SAME")))
        return to_input

    graph = step.get_concrete_function(tf.TensorSpec([2, 8, 6, 4])).graph
    # Gradient to the input, and the forward one whose sum is kept.
    assert step_work.convolution_flops(graph) == 2 * 2 * (2 * 4 * 3 * 5) * 36


def test_the_peak_is_measured():
    assert step_work.peak_flops("float32", 0.0, side=8) > 0


def test_memory_is_counted_from_now_on():
    held = step_work.Memory()
    block = bytearray(64 << 20)
    del block
    assert 60 < held.peak() < 80


def test_a_cell_keeps_the_preset_but_for_precision_and_batch():
    cell = step_cells.Cell("tiny", 1, "bfloat16", 6)
    config, known = step_cells.config_of(cell), presets.tiny()
    assert (config.precision, config.stages[1].batch) == ("bfloat16", 6)
    assert config.stages[0] == known.stages[0]
    assert config.stages[1].crop == known.stages[1].crop


def test_a_cell_is_measured_in_a_process_of_its_own():
    cell = step_cells.Cell("tiny", 1, "float32", 2, side=40, **TINY)
    row = step_cells.measure_apart(cell)
    assert row["side"] == 40 and row["crop"] == 16
    assert row["convolution_gflop_per_step"] > 0
    assert row["step_memory_mib"] > 1
    assert row["process_memory_mib"] > row["step_memory_mib"]
    assert row["first_step_after_seconds"] > 0
    json.dumps(row)


def row(**changes):
    values = {
        "stage": 0,
        "precision": "float32",
        "batch": 2,
        "crop": 16,
        "side": 16,
        "megapixels_per_second": 1.0,
        "share_of_peak": 0.5,
        "step_memory_mib": 100.0,
        "process_memory_mib": 700.0,
        "first_step_after_seconds": 12.0,
    }
    return values | changes


def test_the_large_gan_is_the_published_one():
    gan = large_gan.LargeGan(3)
    rng = np.random.default_rng(0)
    mask = np.eye(3, dtype=np.float32)[rng.integers(0, 3, (1, 64, 64))]
    image = rng.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    batch = {"image": tf.constant(image), "labels": tf.constant(mask)}
    first = gan.train_step(batch)
    # By hand: per block its convolutions, then its norms' (67 channels in).
    convs = norms = 0
    widths = [1024, 1024, 1024, 512, 256, 128, 64]
    for one, two in itertools.pairwise(widths):
        middle = min(one, two)
        convs += 9 * middle * (one + two) + middle + two
        norms += sum(
            9 * 67 * 128 + 128 + 2 * (9 * 128 * width + width)
            for width in ([one, middle] + [one] * (one != two))
        )
        convs += (one * two + two) * (one != two)
    ends = 9 * 67 * 1024 + 1024 + 9 * 64 * 3 + 3
    assert large_gan.parameters(gan.generator) == convs + norms + ends
    assert 68e6 < convs + norms + ends < 72e6
    assert 21e6 < large_gan.parameters(gan.critic) < 23e6
    # Both learn: the same batch again has other losses.
    assert np.abs(first - gan.train_step(batch)).min() > 1e-6


def test_the_large_gan_paints_in_bfloat16():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        image = large_gan.LargeGenerator()(tf.ones([1, 64, 64, 3]))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert image.dtype == tf.float32 and image.shape == (1, 64, 64, 3)
    assert 0 < np.abs(image).max() <= 1


def test_cells():
    found = train_step.cells("tiny", ["float32"], [2, 4], False, TINY)
    assert [(c.stage, c.batch) for c in found] == [
        (0, 2), (0, 4), (1, 2), (1, 4)
    ]  # fmt: skip
    own = [stage.batch for stage in presets.PRESETS["tiny"]().stages]
    found = train_step.cells("tiny", ["float32"], [2], True, TINY)
    assert [c.batch for c in found] == [2, own[0], 2, own[1]]
    # Crops of 16 px do not fit into images of 8.
    found = train_step.side_cells("tiny", 2, [8, 32], TINY)
    assert [(c.stage, c.side) for c in found] == [(0, 8), (0, 32), (1, 32)]


def test_step_verdicts_table_and_chart(tmp_path):
    fast = row(precision="bfloat16", megapixels_per_second=1.5)
    sides = [row(), row(side=64, step_memory_mib=109.0)]
    sides[1]["process_memory_mib"] = 777.0
    sides.append(row(stage=1, crop=256, side=1024, process_memory_mib=1908.0))
    speeds = [row(), fast, row(stage=1, crop=256, megapixels_per_second=0.1)]
    large = [{"precision": "float32", "megapixels_per_second": 0.004}]
    assert step_table.verdicts(speeds, sides, large) == [
        "stage 0, bfloat16: 50% of the peak  PASS",
        "stage 0, bfloat16 over float32: 1.50  MISS",
        "stage 0, step's memory over images of 16 to 64 px: 1.09 times  PASS",
        "stage 0, process's memory over images of 16 to 64 px: 1.11 times"
        "  MISS",
        "crops of 256 px, images of 1024: 1908 MiB  MISS",
        "crops of 256 px, float32, batch 2: 0.100 Mpx/s, 25.0 times the"
        " large GAN's  MISS",
        # A quarter of a second a megapixel for stage 0, ten for stage 1.
        "  all stages over the same tissue: 0.098 Mpx/s, 24.4 times the large"
        " GAN's",
        "first step 12 s after start, at the most  PASS",
    ]
    assert len(step_table.table(speeds).splitlines()) == 4
    step_table.chart(tmp_path / "a.png", speeds, sides)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_shares_are_of_one_peak_a_precision(tmp_path, capsys):
    work = {"convolution_gflop_per_step": 30.0, "seconds_per_step": 0.5}
    speeds = [
        row(peak_gflops=100.0, share_of_peak=0.6, **work),
        row(stage=1, peak_gflops=150.0, share_of_peak=0.4, **work),
        row(precision="bfloat16", peak_gflops=80.0, **work),
    ]
    sides = [row(peak_gflops=200.0, **work)]
    # 60 GFLOP/s of 200, which a row of the sides measured; of 80.
    best = step_table.peaks(speeds + sides)
    assert best == {"float32": 200.0, "bfloat16": 80.0}
    found = step_table.shared(speeds, best)
    assert [r["share_of_peak"] for r in found] == [0.3, 0.3, 0.75]
    path = tmp_path / "step.json"
    whole = {"protocol": {}, "steps": speeds, "sides": sides, "large_gan": []}
    train_step.tell(path, whole)
    stored = json.loads(path.read_text())
    assert stored["steps"] == found
    assert stored["protocol"] == {"peak_gflops": best}
    assert path.with_suffix(".png").exists()
    text = capsys.readouterr().out
    assert "peak in float32, the best of all rows: 200 GFLOP/s" in text


def test_all_stages_need_all_stages():
    speeds = [row(), row(stage=1), row(stage=2, megapixels_per_second=0.5)]
    # 1 / 16 + 1 / 4 + 2 seconds a megapixel of the finest scale.
    found = step_table.all_stages(speeds, "float32", 2)
    assert found == pytest.approx(1 / 2.3125)
    assert step_table.all_stages(speeds[1:], "float32", 2) is None
    assert step_table.all_stages(speeds, "float32", 4) is None


def test_a_row_of_several_processes():
    rows = [
        row(step_memory_mib=step, process_memory_mib=whole)
        for step, whole in ((120.0, 900.0), (90.0, 950.0), (100.0, 800.0))
    ]
    assert train_step.median_row(rows) == row(
        step_memory_mib=100.0,
        process_memory_mib=950.0,
        repeats_step_memory_mib=[90.0, 100.0, 120.0],
    )


def test_lists_of_numbers():
    assert train_step.numbers("batches", ["2", "8"]) == [2, 8]
    with pytest.raises(InputError, match="--batches: '1'; use numbers from 2"):
        train_step.numbers("batches", ["1"])
    with pytest.raises(InputError, match="--precisions: 'half'; use a or b"):
        train_step.allowed("precisions", ["half"], ("a", "b"))


def test_two_processes_are_measured():
    work = {"preset": "tiny", "stage": 0, "precision": "float32", "steps": 1}
    found = scaling.run_workers([work | {"batch": 4}] * 2)
    assert found["step_seconds"] > 0 and found["sum_seconds"] > 0
    assert found["bytes"] > 4000
    # Three networks' gradients, the losses, and two or more a norm.
    assert found["messages"] > 3 + 1 + 2 * 5


def test_calls_are_timed_after_the_first():
    calls = []
    step_work.timed(lambda: calls.append(1), lambda: None, 3)
    assert len(calls) == 4


def test_the_fastest_take_counts():
    pauses = iter([0.3, 0.2, 0.1, 0.01, 0.02, 0.2, 0.1])
    found = step_work.timed(
        lambda: time.sleep(next(pauses)), lambda: None, 2, takes=3
    )
    assert 0.015 <= found < 0.1
    assert next(pauses, None) is None


ASSUMED = Assumptions(1e-3, 0.5, 1.0, 0.1, 0.0, 0.0)


def test_scaling_by_hand(tmp_path):
    one = {"step_seconds": 0.5, "sum_seconds": 0.0, "bytes": 1e6}
    two = {"step_seconds": 0.8, "sum_seconds": 0.2, "bytes": 1e6}
    two["messages"] = 50
    found = scaling.figures(3, 4, one, two) | {"flop": 1e6}
    assert found["images_per_second"] == [8.0, 10.0]
    assert found["speed_up"] == pytest.approx(1.25)
    assert found["communication_and_waiting_share"] == pytest.approx(0.375)
    assert found["sum_share"] == pytest.approx(0.25)
    # 1e6 at 0.5e9 a second take 2 ms; of two machines each sends 1 MB, at
    # 0.1 GB/s in 10 ms, eight GPUs 1.75 MB at 1 GB/s in 1.75 ms.
    there = scaling_projection.project(found, ASSUMED)
    assert there["machines"][0]["speed_up"] == 1
    assert there["machines"][1]["speed_up"] == pytest.approx(2 * 2 / 12)
    assert there["gpus"][3]["speed_up"] == pytest.approx(8 * 2 / 3.75)
    # 50 messages of 10 us among two take 1 ms more, of 8 GPUs 4 ms.
    slow = dataclasses.replace(
        ASSUMED, gpu_latency_us=10.0, network_latency_us=10.0
    )
    late = scaling_projection.project(found, slow)
    assert late["machines"][1]["speed_up"] == pytest.approx(2 * 2 / 13)
    assert late["gpus"][3]["speed_up"] == pytest.approx(8 * 2 / 7.75)
    text = scaling_projection.table([there], ASSUMED)
    assert "not measured" in text and "gpu_share 0.5" in text
    assert "37.5%" in scaling.table([found])
    scaling.chart(tmp_path / "a.png", [found], [there])
    assert (tmp_path / "a.png").stat().st_size > 1000

"""The step of a stage: three networks, each moved by its own loss only."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import Config, LossConfig, NetworkConfig, StageConfig
from histogan_tf.models import layers, losses, segmenter_loss
from histogan_tf.models.losses import total
from histogan_tf.models.other_stain import as_it_is
from histogan_tf.models.segmenter import no_opinion
from histogan_tf.models.stage import StageModel

SMALL = NetworkConfig((4, 6))
STAGE = StageConfig(
    8, 4, 20, 2.0, generator=SMALL, critic=SMALL, segmenter=SMALL
)
CONFIG = Config(stages=(STAGE, STAGE), noise_channels=2)
WEIGHTS = [0.5, 1.0, 2.0]
NETWORKS = ("generator", "critic", "segmenter")
AVERAGES = ("average_generator", "average_segmenter")


def make_batch(count=4, labelled=2):
    """Soft labels; the first image has a corner to ignore."""
    rng = np.random.default_rng(5)
    labels = np.eye(3)[rng.integers(0, 3, (count, 8, 8))]
    labels[:, 0, 0] = [0.25, 0.75, 0]
    labels[0, 6:, 6:] = 0
    labels[labelled:] = 0
    return {
        "image": tf.constant(rng.uniform(-1, 1, (count, 8, 8, 3)), tf.float32),
        "labels": tf.constant(labels, tf.float32),
        "style": tf.constant(rng.normal(size=(count, 6)), tf.float32),
        "seed": tf.constant([7, 8, 2**40, 9][:count], tf.int64),
    }


def state(model):
    """Every variable: weights, norms, averages, moments, counts."""
    optimizers = [getattr(model, f"{name}_optimizer") for name in NETWORKS]
    return [*model.variables, *(v for o in optimizers for v in o.variables())]


def values(model):
    return [v.numpy() for v in state(model)]


def restore(model, saved):
    for variable, value in zip(state(model), saved, strict=True):
        variable.assign(value)


def weights_of(model, name):
    return [v.numpy() for v in getattr(model, name).trainable_variables]


@pytest.fixture(scope="module")
def built():
    return {k: StageModel(CONFIG, k, WEIGHTS) for k in (0, 1)}


@pytest.fixture(params=[0, 1])
def model(request, built):
    model = built[request.param]
    saved = values(model)
    yield model
    restore(model, saved)


@pytest.fixture
def first(built):
    saved = values(built[0])
    yield built[0]
    restore(built[0], saved)


def test_a_step_moves_three_networks_and_two_averages(model):
    before = {n: weights_of(model, n) for n in NETWORKS + AVERAGES}
    terms = model.train_step(make_batch())
    assert tuple(sorted(terms)) == model.term_names
    for name, value in terms.items():
        assert np.isfinite(value) and value.shape == (), name
    for name, old in before.items():
        new = weights_of(model, name)
        pairs = zip(old, new, strict=True)
        assert any((a != b).any() for a, b in pairs), name
    for name in NETWORKS:
        optimizer = getattr(model, f"{name}_optimizer")
        assert int(optimizer.iterations) == 1


def test_the_segmenter_reads_real_images_through_the_view(first):
    batch, seen = make_batch(), []
    first.view = lambda given: (
        seen.append(given) or tf.zeros_like(given["image"])
    )
    try:
        teacher = first.teach(batch)
        mask, _ = first.complete(batch["labels"], teacher)
        dark = batch | {"image": tf.zeros_like(batch["image"])}
        found = first.segmenter_terms(batch, mask, batch["image"], teacher)
    finally:
        first.view = as_it_is
    assert len(seen) == 1 and seen[0] is batch
    wanted, bright = (
        first.segmenter_terms(b, mask, batch["image"], teacher)
        for b in (dark, batch)
    )
    for name in ("segmenter/labelled", "segmenter/consistency"):
        assert float(found[name]) == pytest.approx(float(wanted[name]))
        assert float(found[name]) != pytest.approx(float(bright[name]))
    # Painted images are read as they are.
    for other in (wanted, bright):
        assert float(found["segmenter/painted"]) == pytest.approx(
            float(other["segmenter/painted"])
        )


@pytest.mark.parametrize("index", [0, 1])
def test_only_stages_that_refine_learn_with_an_opinion(
    built, monkeypatch, index
):
    model, seen, batch = built[index], [], make_batch()
    read = model.segmenter.call

    def call(image, coarse=None, training=False):
        seen.append(coarse.numpy())
        return read(image, coarse, training)

    monkeypatch.setattr(model.segmenter, "call", call)
    model.test_step(batch)
    on_real, on_painted = seen
    none = no_opinion(batch["image"], 3).numpy()
    np.testing.assert_array_equal(on_painted, none)
    shown = segmenter_loss.simulated_opinion(batch).numpy()
    assert np.abs(shown - none).max() > 0.1
    np.testing.assert_allclose(on_real, shown if index else none, atol=1e-6)


def test_averages_start_as_their_networks_and_follow_by_hand(first):
    before = weights_of(first, "average_generator")
    for old, twin in zip(before, weights_of(first, "generator"), strict=True):
        np.testing.assert_array_equal(old, twin)
    first.train_step(make_batch())
    rate = 2 / 11  # after the first update: min(0.995, (1 + 1) / (10 + 1))
    for old, new, found in zip(
        before,
        weights_of(first, "generator"),
        weights_of(first, "average_generator"),
        strict=True,
    ):
        np.testing.assert_allclose(
            found, rate * old + (1 - rate) * new, atol=1e-6
        )


def test_a_test_step_changes_nothing_and_repeats(model):
    before = values(model)
    terms = model.test_step(make_batch())
    again = model.test_step(make_batch())
    assert tuple(sorted(terms)) == model.term_names
    assert {k: float(v) for k, v in terms.items()} == {
        k: float(v) for k, v in again.items()
    }
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_shares_of_two_halves_add_up(model):
    batch = make_batch()
    whole = model.test_step(batch)
    # Interleaved, so that each half has labelled and unlabelled images.
    halves = [
        model.test_step({k: v[i::2] for k, v in batch.items()}) for i in (0, 1)
    ]
    for name, value in whole.items():
        added = float(halves[0][name]) + float(halves[1][name])
        assert added == pytest.approx(float(value), rel=1e-4), name


def test_each_loss_moves_its_own_network_only(first):
    """Against gradients of each network's terms, from passes of their own."""
    model, batch = first, make_batch()
    sgd = tf.keras.optimizers.SGD
    saved, expected = values(model), {}
    opinion = model.teach(batch, True)
    restore(model, saved)
    mask, sure = model.complete(batch["labels"], opinion)
    for name in ("critic", "generator"):
        variables = getattr(model, name).trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            terms, painted = model.adversarial_losses(batch, mask, sure, True)
            loss = total(terms, f"{name}/")
        gradients = tape.gradient(loss, variables)
        # The pass itself normalises the critic's kernels.
        expected[name] = [
            v.numpy() - g.numpy()
            for v, g in zip(variables, gradients, strict=True)
        ]
        restore(model, saved)
    variables = model.segmenter.trainable_variables
    with tf.GradientTape() as tape:
        terms = model.segmenter_terms(
            batch, mask, tf.constant(painted.numpy()), opinion, True
        )
        loss = total(terms, "segmenter/")
    expected["segmenter"] = [
        v.numpy() - g.numpy()
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True)
    ]
    own = {n: getattr(model, f"{n}_optimizer") for n in NETWORKS}
    try:
        for name in NETWORKS:
            setattr(model, f"{name}_optimizer", sgd(1.0))
        model.train_step(batch)
        found = {name: weights_of(model, name) for name in NETWORKS}
    finally:
        for name, optimizer in own.items():
            setattr(model, f"{name}_optimizer", optimizer)
    for name in NETWORKS:
        for a, b in zip(expected[name], found[name], strict=True):
            np.testing.assert_allclose(b, a, atol=2e-5, err_msg=name)


def test_labelled_terms_are_means_over_labelled_images(first):
    batch = make_batch()
    terms = first.test_step(batch)
    logits = first.critic(batch["image"])
    each = losses.cross_entropy(
        logits, batch["labels"], tf.constant(WEIGHTS)
    ).numpy()
    assert float(terms["critic/classes"]) == pytest.approx(
        (each[0] + each[1]) / 2, rel=1e-4
    )


def test_full_labels_leave_nothing_to_the_teacher(first):
    batch = make_batch(labelled=4)
    ids = tf.ones([4, 8, 8], tf.int32)
    terms = first.test_step(batch | {"labels": tf.one_hot(ids, 3)})
    assert float(terms["critic/unlabelled"]) == pytest.approx(0, abs=1e-6)
    assert float(terms["segmenter/consistency"]) == pytest.approx(0, abs=1e-6)


def test_gaps_are_filled_by_the_teacher(first):
    opinion = tf.constant([[[[0.95, 0.05, 0], [0.3, 0.5, 0.2], [0, 0, 1.0]]]])
    labels = tf.constant([[[[0.0, 0, 0], [0, 0, 0], [0.25, 0.75, 0]]]])
    mask, sure = first.complete(labels, opinion)
    filled = [[1, 0, 0], [0, 1, 0], [0.25, 0.75, 0]]
    assert mask.numpy()[0, 0].tolist() == filled
    # 0.5 is less than the confidence of 0.9; the last pixel has a label.
    assert sure.numpy()[0, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_the_coarse_input_is_the_real_image_blurred_and_noisy(built):
    batch, model = make_batch(), built[1]
    assert built[0].coarse(batch) == (None, None)
    base, noisy = (x.numpy() for x in model.coarse(batch))
    np.testing.assert_array_equal(model.coarse(batch)[1], noisy)
    settings = model.loss_settings
    try:
        model.loss_settings = dataclasses.replace(settings, coarse_noise=0.0)
        clean = model.coarse(batch)[1].numpy()
    finally:
        model.loss_settings = settings
    # At most 0.15 * 1 * sqrt(3), and by the seed of each image.
    assert 0.01 < np.abs(noisy - clean).max() <= 0.26
    assert len(set((noisy - clean).std((1, 2, 3)).round(6))) == 4
    # Without noise: a share in (0, 1) of the way to the softened image.
    small = layers.halve(batch["image"])
    sharp = layers.double(small).numpy()
    np.testing.assert_array_equal(base, sharp)
    way = layers.double(layers.soften(small)).numpy() - sharp
    for found, start, full in zip(clean, sharp, way, strict=True):
        share = ((found - start) * full).sum() / (full**2).sum()
        assert 0 < share < 1
        np.testing.assert_allclose(found, start + share * full, atol=1e-5)


def test_the_teacher_gets_no_gradient(first):
    with tf.GradientTape() as tape:
        opinion = tf.reduce_sum(first.teach(make_batch()) ** 2)
    variables = first.average_segmenter.trainable_variables
    assert all(g is None for g in tape.gradient(opinion, variables))


def test_weights_of_terms_come_from_the_config(built):
    """A weight doubled doubles its term, and no other."""
    batch = make_batch()
    old = built[0].test_step(batch)
    settings = built[0].loss_settings
    doubled = {
        "consistency": "segmenter/consistency",
        "synthetic": "segmenter/painted",
        "unlabelled": "critic/unlabelled",
    }
    changed = {k: 2 * getattr(LossConfig(), k) for k in doubled}
    try:
        built[0].loss_settings = dataclasses.replace(settings, **changed)
        new = built[0].test_step(batch)
    finally:
        built[0].loss_settings = settings
    for name in old:
        factor = 2 if name in doubled.values() else 1
        assert float(new[name]) == pytest.approx(
            factor * float(old[name]), rel=1e-5
        ), name


def test_total_adds_by_prefix():
    terms = {"a/x": tf.constant(1.0), "a/y": tf.constant(2.0)}
    assert float(total(terms | {"b/x": tf.constant(4.0)}, "a/")) == 3


def test_critic_and_generator_take_every_thin_th_image():
    thin, small = (
        StageModel(
            dataclasses.replace(
                CONFIG, stages=(dataclasses.replace(STAGE, **changes),)
            ),
            0,
            WEIGHTS,
        )
        for changes in ({"thin": 2}, {"batch": 2})
    )
    for new, old in zip(small.variables, thin.variables, strict=True):
        new.assign(old)
    batch = make_batch()
    found = thin.test_step(batch)
    alone = small.test_step({k: v[::2] for k, v in batch.items()})
    whole = StageModel(CONFIG, 0, WEIGHTS)
    for new, old in zip(whole.variables, thin.variables, strict=True):
        new.assign(old)
    all_of_it = whole.test_step(batch)
    for name, value in found.items():
        kept = name not in ("segmenter/labelled", "segmenter/consistency")
        wanted = (alone if kept else all_of_it)[name]
        np.testing.assert_allclose(value, wanted, rtol=1e-5, err_msg=name)

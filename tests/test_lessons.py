"""What segmenters learn: each lesson's loss, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from test_segmenter_model import WEIGHTS, brighter, make_batch, paint

from histogan_tf.models import lessons, losses, patches


def reader(seen=None):
    """A student whose logits are two channels of the image."""

    def read(image):
        if seen is not None:
            seen.append(image.numpy())
        return 3.0 * image[..., :2]

    return read


def teacher(sure=0.8):
    """Sure of class 0 in the upper half, undecided below."""
    upper = np.broadcast_to([sure, 1 - sure], (4, 4, 8, 2))
    lower = np.full((4, 4, 8, 2), [0.45, 0.55])
    return tf.constant(np.concatenate([upper, lower], 1), tf.float32)


def test_labelled():
    batch = make_batch()
    found = lessons.labelled(WEIGHTS)(reader(), batch, teacher()).numpy()
    logits = 3.0 * batch["image"][..., :2]
    wanted = losses.cross_entropy(logits, batch["labels"], WEIGHTS).numpy()
    wanted[:2] += losses.soft_dice(logits, batch["labels"]).numpy()[:2]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert (found[2:] == 0).all()


def gap_of(batch, p):
    """Mean square difference to the teacher where no label is."""
    free = 1 - batch["labels"].numpy().sum(-1)
    assert 0 < free[0].mean() < 1  # an image with labels and a gap
    square = ((p - teacher().numpy()) ** 2).sum(-1)
    return (free * square).mean((1, 2))


def test_consistent_is_for_unlabelled_images_seen_with_noise():
    seen, batch = [], make_batch()
    found = lessons.consistent(0.1)(reader(seen), batch, teacher()).numpy()
    moved = seen[0] - batch["image"].numpy()
    assert moved.std() == pytest.approx(0.1, rel=0.1)
    p = tf.nn.softmax(3.0 * seen[0][..., :2]).numpy()
    np.testing.assert_allclose(found, gap_of(batch, p), rtol=1e-5)


def test_consistent_shows_its_view_to_the_student():
    seen, batch = [], make_batch()

    def view(batch):
        return 0.5 * batch["image"]

    lesson = lessons.consistent(0.0, view)
    found = lesson(reader(seen), batch, teacher()).numpy()
    np.testing.assert_allclose(seen[0], view(batch), atol=1e-6)
    p = tf.nn.softmax(1.5 * batch["image"][..., :2]).numpy()
    np.testing.assert_allclose(found, gap_of(batch, p), rtol=1e-5)


def test_labelled_images_are_read_as_their_view_shows_them():
    seen, batch = [], make_batch()

    def view(batch):
        return 0.5 * batch["image"]

    found = lessons.labelled(WEIGHTS, view)(reader(seen), batch, teacher())
    np.testing.assert_allclose(seen[0], view(batch), atol=1e-6)
    wanted = lessons.fit(
        1.5 * batch["image"][..., :2], batch["labels"], WEIGHTS
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def halves(seed, stream, like, channels, width):
    """Stands in for `patches.smooth`: paint left, real tissue right."""
    del seed, stream, channels, width
    left = tf.concat([tf.ones([8, 4, 1]), -tf.ones([8, 4, 1])], 1)
    return tf.repeat(left[None], like.shape[0], 0)


def test_paint_lies_in_patches_within_the_real_image(monkeypatch):
    monkeypatch.setattr(patches, "smooth", halves)
    calls, seen, batch = [], [], make_batch()

    def watched(mask, style, seed):
        calls.append((mask.numpy(), style.numpy(), seed.numpy()))
        return paint(mask, style, seed)

    lesson = lessons.painted(WEIGHTS, watched, brighter)
    found = lesson(reader(seen), batch, teacher()).numpy()
    ((mask, style, seed),) = calls
    valid = batch["labels"].numpy().sum(-1) > 0
    np.testing.assert_array_equal(mask[valid], batch["labels"].numpy()[valid])
    winners = np.eye(2)[teacher().numpy().argmax(-1)]
    np.testing.assert_array_equal(mask[~valid], winners[~valid])
    np.testing.assert_array_equal(style, batch["style"])
    np.testing.assert_array_equal(seed, [1, 2, 3, 4])
    image = np.repeat(mask[..., :1], 3, -1) * 2 - 1
    image[:, :, 4:] = batch["image"].numpy()[:, :, 4:] + 0.3
    np.testing.assert_array_equal(seen[0], image)
    logits = tf.constant(3.0 * image[..., :2])
    # Real tissue where nobody knows its class is in no loss.
    mask[:, :, 4:] *= valid[:, :, 4:, None]
    wanted = losses.cross_entropy(logits, mask, WEIGHTS).numpy()
    wanted += losses.soft_dice(logits, mask).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_painted_masks_are_of_one_class_a_pixel():
    """A judge's labels are soft; paint of a mean class would be blurred."""
    calls, batch = [], make_batch(4)
    soft = 0.8 * batch["labels"] + 0.1

    def watched(mask, style, seed):
        calls.append(mask.numpy())
        return paint(mask, style, seed)

    batch["labels"] = tf.where(batch["labels"][..., :1] >= 0, soft, 0.0)
    lessons.painted(WEIGHTS, watched)(reader(), batch, teacher())
    assert set(np.unique(calls[0])) == {0.0, 1.0}
    np.testing.assert_array_equal(calls[0].argmax(-1), soft.numpy().argmax(-1))


def test_every_other_mask_is_painted_and_counts_twice():
    batch, opinion = make_batch(), teacher()
    seen = []
    lesson = lessons.painted(WEIGHTS, paint, thin=2)
    found = lesson(reader(seen), batch, opinion)
    whole = lessons.painted(WEIGHTS, paint)(reader(), batch, opinion)
    assert seen[0].shape[0] == 2
    np.testing.assert_allclose(found, 2 * whole.numpy()[::2], rtol=1e-5)


def test_weights_ramp_up():
    plain = lessons.Lesson("a", 2.0, lessons.labelled(WEIGHTS))
    assert float(plain.weight_at(tf.constant(0.0))) == 2
    ramp = lessons.Lesson("a", 2.0, lessons.labelled(WEIGHTS), ramp=0.4)
    found = [
        float(ramp.weight_at(tf.constant(t))) for t in (0.0, 0.2, 0.4, 1.0)
    ]
    wanted = [2 * np.exp(-5), 2 * np.exp(-1.25), 2, 2]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

"""histogan_tf.styles: draws that programs and machines share."""

import collections

from histogan_tf import styles


def test_draws_stay_what_they_were():
    """Images that were made before must be made again alike."""
    assert [styles.drawn("a", seed, 10) for seed in range(5)] == [0, 0, 3, 8, 2]
    assert [styles.drawn(name, 3, 1000) for name in "abä"] == [812, 7, 789]


def test_every_style_is_drawn():
    found = collections.Counter(styles.drawn("a", n, 4) for n in range(400))
    assert sorted(found) == [0, 1, 2, 3]
    assert min(found.values()) > 65  # 100 less four standard errors
    assert styles.drawn("a", 2**62, 1) == 0

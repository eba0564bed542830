"""trainer.training_data: which tiles of the records a run reads."""

import pytest

from histogan_tf import run_dir
from histogan_tf.data import manifest
from trainer.training_data import TrainingData


@pytest.fixture(scope="module")
def source(random_run, phantom_records):
    run = run_dir.open_run(random_run)
    return TrainingData(run.config(), manifest.load(phantom_records), run)


def names(tiles):
    """Which tiles these are, by their sums."""
    read = list(tiles.dataset.as_numpy_iterator())
    assert len(read) == tiles.count
    return [int(tile["image"].sum()) for tile in read]


@pytest.mark.parametrize(
    "most, places",
    [
        (9, [0, 1, 2, 3, 4]),
        (5, [0, 1, 2, 3, 4]),
        (4, [0, 2, 4]),
        (2, [0, 3]),
        (1, [0]),
    ],
)
def test_a_sample_is_every_nth(source, most, places):
    all_tiles = names(source.sample("test", "labelled", 5.0, 5))
    assert len(set(all_tiles)) == 5
    found = names(source.sample("test", "labelled", 5.0, most))
    assert found == [all_tiles[place] for place in places]


def test_there_may_be_none(source):
    assert source.sample("validation", "labelled", 5.0, 4) is None
    assert source.sample("test", "unlabelled", 5.0, 4) is None
    assert source.fitting("unlabelled", 5.0) is None

"""What runs are made from, and whether the records can feed them."""

from dataclasses import replace

import numpy as np
import pytest
from small_training import ingest_small, small_config

from histogan_tf.data.dataset import Scale
from histogan_tf.data.manifest import ImageInfo, Kind, Split
from histogan_tf.errors import InputError
from histogan_tf.run_dir import RunDir
from trainer import sources


@pytest.fixture(scope="module")
def source(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    manifest = ingest_small(phantom_files, folder / "records")
    return sources.Source(small_config(2), manifest, RunDir(folder / "run"))


def test_without_unlabelled_images_all_are_labelled(source):
    manifest = source.manifest
    assert sources.effective(source.config, manifest) == source.config
    train = replace(manifest.split("train"), unlabelled=Kind())
    alone = replace(manifest, splits={"train": train})
    assert sources.effective(source.config, alone).labelled_share == 1


def test_weights_of_classes(source):
    pixels = np.array(source.manifest.class_pixels("train"), float)
    wanted = pixels.sum() / (3 * pixels)
    np.testing.assert_allclose(source.weights(), np.minimum(wanted, 10))


def test_cached_bytes():
    # 40 x 20 px at 2.5 um/px are 10 x 5 at 10; RGB and two classes.
    image = ImageInfo("a", 20, 40, 2.5, "", (1, 2), 0)
    scale = Scale(10.0, 10.0, 2)
    assert sources.cached_bytes(image, 10.0, scale) == 10 * 5 * 5


def one_image(source, **changes):
    values = {"name": "a", "height": 80, "width": 96, "mpp": 2.5, "group": ""}
    info = ImageInfo(**(values | changes), class_pixels=(1, 1, 1))
    split = Split(labelled=Kind(images=(info,)))
    return replace(source.manifest, splits={"train": split})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 16}, "gives 4 px at 10.0 um/px, less than a crop of 8"),
        ({"mpp": 6.0}, "a: 6.0 um/px is coarser than the 5.0"),
    ],
)
def test_images_that_cannot_be_used(source, changes, message):
    with pytest.raises(InputError, match=message):
        sources.check_data(source.config, one_image(source, **changes))


def test_the_smallest_image_that_can_be_used(source):
    sources.check_data(source.config, one_image(source, height=30))


def test_no_labelled_image(source):
    empty = replace(source.manifest, splits={"train": Split()})
    with pytest.raises(InputError, match="no labelled training image"):
        sources.check_data(source.config, empty)


def test_batches_that_replicas_cannot_share(source):
    sources.check_replicas(source.config, 2)
    with pytest.raises(InputError, match=r"stages.0.batch: 2 .* multiple of 4"):
        sources.check_replicas(source.config, 4)

"""The phantom: exact masks, Beer-Lambert by hand, density, tones, ranges."""

import json
import math

import cv2
import numpy as np
import pytest

from histogan_tf.data import phantom_layout, phantom_stain
from histogan_tf.data.phantom import CLASSES_FILE, PhantomSettings, paint
from histogan_tf.data.phantom_settings import grid_of
from histogan_tf.errors import InputError

SMALL = PhantomSettings(height=192, width=256)
RED_GREEN_BLUE = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def phantoms():
    return [paint(SMALL, seed) for seed in range(6)]


def test_shapes_and_types(phantoms):
    for image, mask, instances in phantoms:
        assert image.shape == (192, 256, 3) and image.dtype == np.uint8
        assert mask.shape == (192, 256) and mask.dtype == np.uint8
        assert instances.shape == (192, 256)
        assert instances.dtype == np.uint16


@pytest.mark.parametrize("mpp", [0.25, 0.62, 1.24, 2.5, 5.0])
def test_instances_cover_epithelium_and_lumen(mpp):
    phantom = paint(PhantomSettings(height=50, width=70, mpp=mpp), seed=4)
    assert set(np.unique(phantom.mask)) <= {0, 1, 2}
    np.testing.assert_array_equal(
        phantom.instances > 0, np.isin(phantom.mask, (1, 2))
    )
    ids = np.unique(phantom.instances)
    np.testing.assert_array_equal(ids[ids > 0], np.arange(1, ids.max() + 1))


def test_lumen_is_deeper_than_the_wall(phantoms):
    """No lumen pixel has stroma among its eight neighbours."""
    for phantom in phantoms:
        lumen = (phantom.mask == 2).astype(np.uint8)
        around = cv2.dilate(lumen, np.ones((3, 3), np.uint8))
        assert not (around & (phantom.mask == 0)).any()


def test_raster_of_a_known_gland():
    """A square of 40 um covers 64.5 x 64.5 px; its lumen is what is deep."""
    settings = PhantomSettings(height=64, width=64)
    grid = grid_of(settings)
    corner = np.array([[0, 0], [40, 0], [40, 40], [0, 40]]) + 48.0
    gland = phantom_layout.Gland(corner, 12.0, 0.0, 1.0, 0.0)
    rng = np.random.Generator(np.random.PCG64(0))
    made = phantom_layout.build_geometry(rng, grid, [gland], 0.0)
    side = 40 / grid.mpp
    assert (made.instances == 1).sum() == pytest.approx(side**2, rel=0.05)
    lumen = made.classes == phantom_layout.LUMEN
    assert lumen.sum() == pytest.approx((16 / grid.mpp) ** 2, rel=0.45)
    assert made.inside_um[lumen].min() > 0.5 * 12.0 - 3.0


def test_same_seed_same_bytes(phantoms):
    again = paint(SMALL, 3)
    for one, other in zip(phantoms[3], again, strict=True):
        assert one.tobytes() == other.tobytes()
    assert phantoms[3].image.tobytes() != phantoms[2].image.tobytes()


def test_coarser_is_the_average_of_finer():
    fine = paint(PhantomSettings(height=128, width=160, mpp=0.62), 5)
    coarse = paint(PhantomSettings(height=32, width=40, mpp=2.48), 5)
    blocks = fine.image.reshape(32, 4, 40, 4, 3).astype(float)
    gap = coarse.image - blocks.mean((1, 3))
    assert np.abs(gap).max() <= 1.0
    votes = (fine.mask.reshape(32, 4, 40, 4) > 0).mean((1, 3))
    clear = np.abs(votes - 0.5) > 0.01
    gland = coarse.mask > 0
    np.testing.assert_array_equal(gland[clear], (votes > 0.5)[clear])


def test_beer_lambert_by_hand():
    stain = phantom_stain.Stain(
        vectors=np.array([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]),
        strength=np.array([1.0, 2.0]),
        white=np.array([250.0, 240.0, 230.0]),
    )
    light = phantom_stain.transmit(
        np.full((1, 1), 0.5, np.float32),
        np.full((1, 1), 0.25, np.float32),
        stain,
    )
    # density: H 0.5 (0.6, 0.8, 0) + E 2 x 0.25 (0, 0.6, 0.8) = 0.3, 0.7, 0.4
    hand = [
        250 * math.exp(-0.3),
        240 * math.exp(-0.7),
        230 * math.exp(-0.4),
    ]
    np.testing.assert_allclose(light[0, 0], hand, rtol=1e-5)


def test_without_variation_the_stain_is_the_paper_s():
    rng = np.random.Generator(np.random.PCG64(0))
    stain = phantom_stain.draw_stain(rng, 0.0)
    paper = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    paper /= np.linalg.norm(paper, axis=1, keepdims=True)
    np.testing.assert_allclose(stain.vectors, paper)
    np.testing.assert_allclose(stain.strength, 1.0)
    np.testing.assert_allclose(stain.white, 246.0)


def test_stains_differ_between_images(phantoms):
    tones = [p.image[p.mask == 0].mean(0) for p in phantoms]
    assert np.std(tones, axis=0).max() > 8
    one_lab = PhantomSettings(height=192, width=256, stain_variation=0)
    same = [paint(one_lab, seed) for seed in range(4)]
    steady = [p.image[p.mask == 0].mean(0) for p in same]
    assert np.std(steady, axis=0).mean() < np.std(tones, axis=0).mean()


@pytest.mark.parametrize("density", [0.2, 0.45])
def test_gland_share_is_near_the_setting(density):
    # The layout alone, over 0.8 x 0.8 mm: some 50 glands.
    settings = PhantomSettings(
        height=160, width=160, mpp=5.0, gland_density=density
    )
    grid = grid_of(settings)
    shares = []
    for seed in range(3):
        rng = np.random.Generator(np.random.PCG64(seed))
        contours = phantom_layout.place_glands(rng, settings, grid, 0.4)
        canvas = np.zeros((grid.height // 4, grid.width // 4), np.uint8)
        for contour in contours:
            points = np.round(contour / grid.mpp / 4).astype(np.int32)
            before = canvas.copy()
            cv2.fillPoly(canvas, [points], 1)
            alone = np.zeros_like(canvas)
            cv2.fillPoly(alone, [points], 1)
            assert not (before & alone).any()  # glands do not overlap
        shares.append(canvas.mean())
    assert np.mean(shares) == pytest.approx(density, abs=0.04)


def test_no_glands_at_density_zero():
    settings = PhantomSettings(height=64, width=64, gland_density=0)
    phantom = paint(settings, 0)
    assert not phantom.mask.any() and not phantom.instances.any()


def test_tones_of_the_classes(phantoms):
    tones = []
    for image, mask, _ in phantoms:
        grey = image @ RED_GREEN_BLUE
        tones.append([grey[mask == c].mean() for c in range(3)])
    stroma, epithelium, lumen = np.mean(tones, axis=0)
    assert lumen > epithelium + 40
    assert epithelium < stroma - 5


def test_no_class_is_flat(phantoms):
    for image, mask, _ in phantoms:
        grey = image @ RED_GREEN_BLUE
        assert grey[mask == 0].std() > 10 and grey[mask == 1].std() > 10


@pytest.mark.parametrize(
    "field, value",
    [
        ("height", 0),
        ("width", 64.5),
        ("mpp", 0.0),
        ("mpp", math.nan),
        ("gland_density", 0.9),
        ("gland_radius_um", 5),
        ("nucleus_um", 40),
        ("irregularity", -0.1),
        ("goblets", 1.1),
        ("stroma_cells", -1),
        ("gaps", 2),
        ("stain_variation", "many"),
        ("noise", -1),
        ("blur_um", True),
    ],
)
def test_settings_out_of_range(field, value):
    with pytest.raises(InputError, match=f"{field} = .*allowed is") as error:
        PhantomSettings(**{field: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("height, width", [(4096, 4096), (8, 16384)])
def test_field_too_large(height, width):
    with pytest.raises(InputError, match="fine pixels"):
        PhantomSettings(height=height, width=width, mpp=5.0)


def test_threads_change_nothing(phantoms):
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        alone = paint(SMALL, 1).image
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(alone, phantoms[1].image)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="seed"):
        paint(SMALL, seed)


def test_class_table_lists_the_mask_s_ids():
    table = json.loads(CLASSES_FILE.read_text())
    ids = [entry["id"] for entry in table["classes"]]
    names = [entry["name"] for entry in table["classes"]]
    assert ids == [0, 1, 2]
    assert names == ["stroma", "epithelium", "lumen"]

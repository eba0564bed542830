"""Settings that all methods of the semi-supervised benchmark share.

Out: a `Config` per protocol: the pyramid (for the methods that have one) and
one segmenter: backbone, steps, optimiser and random augmentation are the same
for every method; see `semi_methods.py` for what is not.
"""

from dataclasses import replace

from histogan_tf import presets
from histogan_tf.config import (
    AugmentConfig,
    Config,
    NetworkConfig,
    SegmenterConfig,
    StageConfig,
)

# On every machine, so that cells of several machines compare.
PRECISION = "float32"
_PLAIN = AugmentConfig(scale=1.15, warp=0.02, stain=0.15)
# Whole images are never cut elsewhere, so zoom, warp and rotation must vary
# them. Chosen where the validation patients were held out.
_WHOLE = AugmentConfig(scale=1.4, warp=0.06, stain=0.15, rotation=45.0)
# The honest rival of synthesis: all that classical augmentation offers.
_CLASSIC = AugmentConfig(scale=1.4, warp=0.06, stain=0.5)


def _net(*widths: int) -> NetworkConfig:
    return NetworkConfig(widths)


# The demo's three stages, whose two coarsest segmenters are larger, and one
# more stage to 1.24 um/px; longer at fine scales.
_FIRST, _SECOND, _THIRD = presets.demo().stages
_STAGES = (
    replace(_FIRST, segmenter=_net(24, 48, 64)),
    replace(
        _SECOND, batch=8, thin=2, steps=900, segmenter=_net(24, 48, 64, 96)
    ),
    replace(_THIRD, steps=600),
    StageConfig(
        96, 2, 600, 10.0,
        _net(12, 16), _net(12, 16, 24), _net(8, 16, 24),
    ),
)  # fmt: skip


def native(seed: int) -> Config:
    """1.24 um/px: four stages, crops of 128 px (159 um)."""
    segmenter = SegmenterConfig(
        128,
        8,
        1400,
        network=_net(16, 32, 48, 64),
        augment=_PLAIN,
        patch=2,
        thin=2,
    )
    return Config(
        seed=seed,
        finest_mpp=1.24,
        stages=_STAGES,
        segmenter=segmenter,
        judge=segmenter.alone(),
        augment=AugmentConfig(scale=1.0, warp=0.0),
    )


def xnet128(seed: int) -> Config:
    """Whole images of 128 x 128 px; lengths are in pixels."""
    first, second, third, _ = _STAGES
    segmenter = SegmenterConfig(
        128,
        8,
        1400,
        network=_net(16, 32, 48, 64),
        augment=_WHOLE,
        thin=2,
    )
    return Config(
        seed=seed,
        finest_mpp=1.0,
        stages=(replace(first, crop=32, batch=8), second, third),
        segmenter=segmenter,
        judge=segmenter.alone(),
        augment=AugmentConfig(scale=1.0, warp=0.0),
    )


def classic(config: Config) -> Config:
    """The same with strong colour, scale and elastic augmentation."""
    segmenter = replace(config.segmenter, augment=_CLASSIC)
    return replace(config, segmenter=segmenter)

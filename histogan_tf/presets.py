"""Settings that work together, by size of machine.

Out: functions that give a `Config`. Each says its command, time, hardware
and what to expect. Start from the nearest and change single values with
`--set`.
"""

from collections.abc import Callable

from histogan_tf.config import (
    AugmentConfig,
    Config,
    NetworkConfig,
    SegmenterConfig,
    StageConfig,
)

_CALM = AugmentConfig(scale=1.0, warp=0.0)


def _net(*widths: int, blocks: int = 1) -> NetworkConfig:
    return NetworkConfig(widths, blocks)


def tiny() -> Config:
    """Seconds on any machine, for tests; paints nothing worth a look.

    python -m trainer.train --data D --run_dir R --preset tiny
    """
    small = _net(6, 8)
    stage = StageConfig(
        crop=8,
        batch=4,
        steps=6,
        reconstruction=1.0,
        generator=small,
        critic=small,
        segmenter=small,
    )
    segmenter = SegmenterConfig(crop=16, batch=4, steps=4, network=small)
    return Config(
        finest_mpp=5.0,
        noise_channels=2,
        stages=(
            stage,
            StageConfig(
                crop=16,
                batch=2,
                steps=4,
                reconstruction=10.0,
                generator=small,
                critic=small,
                segmenter=small,
            ),
        ),
        segmenter=segmenter,
        judge=segmenter.alone(),
        augment=_CALM,
    )


def demo() -> Config:
    """Three stages to 2.5 um/px, 8 to 14 minutes on two CPU cores.

    python -m trainer.train --data D --run_dir R --preset demo

    Phantom tissue: mean Dice on validation about 0.92.
    """
    segmenter = _net(12, 24, 32, 48)
    return Config(
        finest_mpp=2.5,
        stages=(
            StageConfig(
                crop=24,
                batch=16,
                steps=1200,
                reconstruction=1.0,
                generator=_net(24, 48, 64),
                critic=_net(24, 48, 64),
                segmenter=_net(12, 24, 32),
            ),
            StageConfig(
                crop=48,
                batch=4,
                steps=600,
                reconstruction=10.0,
                generator=_net(24, 32),
                critic=_net(24, 32, 48),
                segmenter=_net(12, 24, 32),
            ),
            StageConfig(
                crop=96,
                batch=2,
                steps=400,
                reconstruction=10.0,
                generator=_net(16, 24),
                critic=_net(16, 24, 32),
                segmenter=_net(8, 16, 32),
            ),
        ),
        segmenter=SegmenterConfig(
            crop=64, batch=8, steps=200, network=segmenter
        ),
        judge=SegmenterConfig(
            crop=64, batch=8, steps=300, network=segmenter
        ).alone(),
        augment=_CALM,
    )


def base() -> Config:
    """Four stages to 0.62 um/px (512x512 tiles), about 6 hours on one GPU.

    python -m trainer.train --data D --run_dir R --preset base

    The time is a projection, for want of a GPU. No score is known.
    """
    segmenter = _net(32, 64, 96, 128)
    return Config(
        finest_mpp=0.62,
        stages=(
            StageConfig(
                crop=48,
                batch=32,
                steps=30000,
                reconstruction=1.0,
                generator=_net(48, 96, 128, blocks=2),
                critic=_net(48, 96, 128),
                segmenter=_net(32, 64, 64),
            ),
            StageConfig(
                crop=64,
                batch=32,
                steps=20000,
                reconstruction=10.0,
                generator=_net(48, 64, blocks=2),
                critic=_net(96, 160, 160),
                segmenter=_net(32, 48, 64),
                critic_patch=2,
            ),
            StageConfig(
                crop=128,
                batch=16,
                steps=20000,
                reconstruction=10.0,
                generator=_net(32, 48),
                critic=_net(64, 128, 160),
                segmenter=_net(16, 32, 48),
                critic_patch=2,
            ),
            StageConfig(
                crop=256,
                batch=8,
                steps=20000,
                reconstruction=10.0,
                generator=_net(16, 32),
                critic=_net(48, 64, 96),
                segmenter=_net(32, 48, 64),
                critic_patch=2,
                segmenter_patch=2,
            ),
        ),
        segmenter=SegmenterConfig(
            crop=256, batch=16, steps=20000, network=segmenter, patch=2
        ),
        judge=SegmenterConfig(
            crop=256, batch=16, steps=10000, network=segmenter, patch=2
        ).alone(),
        augment=_CALM,
    )


def large() -> Config:
    """Five stages to 0.25 um/px (1024x1024 and more), for several GPUs.

    python -m trainer.train --data D --run_dir R --preset large \
        --strategy mirrored

    Never trained: time and score are unknown.
    """
    fine = StageConfig(
        crop=256,
        batch=16,
        steps=40000,
        reconstruction=10.0,
        generator=_net(32, 48),
        critic=_net(64, 96, 128),
        segmenter=_net(32, 64, 96),
        critic_patch=2,
        segmenter_patch=2,
    )
    coarse = StageConfig(
        crop=64,
        batch=64,
        steps=60000,
        reconstruction=1.0,
        generator=_net(96, 128, 192, blocks=2),
        critic=_net(96, 128, 192),
        segmenter=_net(32, 64, 96),
    )
    middle = StageConfig(
        crop=128,
        batch=32,
        steps=40000,
        reconstruction=10.0,
        generator=_net(64, 96, blocks=2),
        critic=_net(128, 192, 256),
        segmenter=_net(32, 64, 96),
        critic_patch=2,
    )
    segmenter = _net(32, 64, 96, 128, 160)
    return Config(
        finest_mpp=0.25,
        stages=(coarse, middle, middle, fine, fine),
        segmenter=SegmenterConfig(
            crop=512, batch=16, steps=40000, network=segmenter, patch=2
        ),
        judge=SegmenterConfig(
            crop=512, batch=16, steps=20000, network=segmenter, patch=2
        ).alone(),
        augment=_CALM,
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "tiny": tiny,
    "demo": demo,
    "base": base,
    "large": large,
}

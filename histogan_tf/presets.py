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
    stage = StageConfig(8, 4, 6, 1.0, small, small, small)
    segmenter = SegmenterConfig(16, 4, 4, network=small)
    return Config(
        finest_mpp=5.0,
        noise_channels=2,
        stages=(stage, StageConfig(16, 2, 4, 10.0, small, small, small)),
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
                24, 16, 1200, 1.0,
                _net(24, 48, 64), _net(24, 48, 64), _net(12, 24, 32),
            ),
            StageConfig(
                48, 4, 600, 10.0,
                _net(24, 32), _net(24, 32, 48), _net(12, 24, 32),
            ),
            StageConfig(
                96, 2, 400, 10.0,
                _net(16, 24), _net(16, 24, 32), _net(8, 16, 32),
            ),
        ),
        segmenter=SegmenterConfig(64, 8, 200, network=segmenter),
        judge=SegmenterConfig(64, 8, 300, network=segmenter).alone(),
        augment=_CALM,
    )  # fmt: skip


def base() -> Config:
    """Four stages to 0.62 um/px (512x512 tiles), about 6 hours on one GPU.

    python -m trainer.train --data D --run_dir R --preset base

    The time is a projection; no GPU was at hand to measure it. No score is
    known.
    """
    segmenter = _net(32, 64, 96, 128)
    return Config(
        finest_mpp=0.62,
        stages=(
            StageConfig(
                48, 32, 30000, 1.0,
                _net(48, 96, 128, blocks=2), _net(48, 96, 128),
                _net(32, 64, 64),
            ),
            StageConfig(
                64, 32, 20000, 10.0,
                _net(48, 64, blocks=2), _net(96, 160, 160), _net(32, 48, 64),
                critic_patch=2,
            ),
            StageConfig(
                128, 16, 20000, 10.0,
                _net(32, 48), _net(64, 128, 160), _net(16, 32, 48),
                critic_patch=2,
            ),
            StageConfig(
                256, 8, 20000, 10.0,
                _net(16, 32), _net(48, 64, 96), _net(32, 48, 64),
                critic_patch=2, segmenter_patch=2,
            ),
        ),
        segmenter=SegmenterConfig(256, 16, 20000, network=segmenter, patch=2),
        judge=SegmenterConfig(
            256, 16, 10000, network=segmenter, patch=2
        ).alone(),
        augment=_CALM,
    )  # fmt: skip


def large() -> Config:
    """Five stages to 0.25 um/px (1024x1024 and more), for several GPUs.

    python -m trainer.train --data D --run_dir R --preset large \
        --strategy mirrored

    Never trained: time and score are unknown.
    """
    fine = StageConfig(
        256, 16, 40000, 10.0,
        _net(32, 48), _net(64, 96, 128), _net(32, 64, 96),
        critic_patch=2, segmenter_patch=2,
    )  # fmt: skip
    coarse = StageConfig(
        64, 64, 60000, 1.0,
        _net(96, 128, 192, blocks=2), _net(96, 128, 192), _net(32, 64, 96),
    )  # fmt: skip
    middle = StageConfig(
        128, 32, 40000, 10.0,
        _net(64, 96, blocks=2), _net(128, 192, 256), _net(32, 64, 96),
        critic_patch=2,
    )  # fmt: skip
    segmenter = _net(32, 64, 96, 128, 160)
    return Config(
        finest_mpp=0.25,
        stages=(coarse, middle, middle, fine, fine),
        segmenter=SegmenterConfig(512, 16, 40000, network=segmenter, patch=2),
        judge=SegmenterConfig(
            512, 16, 20000, network=segmenter, patch=2
        ).alone(),
        augment=_CALM,
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "tiny": tiny,
    "demo": demo,
    "base": base,
    "large": large,
}

"""Settings of a run: frozen dataclasses, every range checked.

In: numbers from presets or from JSON (`config_json.py`).
Out: one `Config`; each part of the system receives only its own dataclass.

A field's range stands beside it (`ranged`), so that the check, the error and
the documentation cannot drift apart. Lengths are in pixels of the part's own
scale unless the name says otherwise; um/px is `mpp`.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from histogan_tf.errors import InputError

PRECISIONS = ("float32", "bfloat16")


def ranged(default: float | tuple[int, ...], low: float, high: float) -> Any:
    """A number field with its closed range of allowed values."""
    return field(default=default, metadata={"low": low, "high": high})


def check(settings: Any) -> None:
    """Raises InputError for the first field outside its range."""
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if "low" not in item.metadata:
            continue
        low, high = item.metadata["low"], item.metadata["high"]
        values = value if isinstance(value, tuple) else (value,)
        if not values or not all(low <= v <= high for v in values):
            raise InputError(
                f"{type(settings).__name__}.{item.name}: {value} is not"
                f" allowed; use {low} to {high}"
            )


def _check_thin(settings: Any) -> None:
    if settings.batch % settings.thin:
        raise InputError(
            f"{type(settings).__name__}.thin: {settings.thin} is not allowed;"
            f" use a divisor of batch, {settings.batch}"
        )


@dataclass(frozen=True)
class NetworkConfig:
    """One encoder-decoder: channels per level, finest first."""

    widths: tuple[int, ...] = ranged((24, 32, 48), 1, 1024)
    blocks: int = ranged(1, 1, 16)

    def __post_init__(self) -> None:
        check(self)

    @property
    def stride(self) -> int:
        """Sizes of inputs must be a multiple of this."""
        return 2 ** (len(self.widths) - 1)


@dataclass(frozen=True)
class StageConfig:
    """One stage of the pyramid; `batch` is global over all replicas.

    `reconstruction` is the weight of `losses.reconstruction`, which holds the
    painted image to the real one.
    Critic and generator take every `thin`-th image of it: they cost more than
    the segmenter, which at coarse scales learns most from seeing much tissue.
    `critic_patch` and `segmenter_patch` are the sides in pixels of what their
    finest levels take at once; the generator paints pixel by pixel.
    """

    crop: int = ranged(48, 8, 8192)
    batch: int = ranged(16, 2, 4096)
    steps: int = ranged(1000, 1, 100_000_000)
    reconstruction: float = ranged(10.0, 0, 1000)
    generator: NetworkConfig = NetworkConfig()
    critic: NetworkConfig = NetworkConfig()
    segmenter: NetworkConfig = NetworkConfig()
    thin: int = ranged(1, 1, 64)
    critic_patch: int = ranged(1, 1, 8)
    segmenter_patch: int = ranged(1, 1, 8)

    def __post_init__(self) -> None:
        check(self)
        _check_thin(self)
        for name in ("generator", "critic", "segmenter"):
            stride = self.stride(name)
            if self.crop % stride or self.crop % 2:
                raise InputError(
                    f"StageConfig.crop: {self.crop} is not allowed; use a"
                    f" multiple of {max(2, stride)} for {name}'s levels"
                )

    def stride(self, name: str) -> int:
        """Sides of what the network `name` works on divide by this, px."""
        patch = getattr(self, f"{name}_patch", 1)
        return patch * getattr(self, name).stride


@dataclass(frozen=True)
class AugmentConfig:
    """Random geometry and stain; lengths relative to the crop.

    `scale` is the largest zoom either way, `rotation` the largest turn either
    way in degrees, beside `flips`' quarter turns; the crop's mirror image
    fills the corners. `warp` is the elastic displacement as a share of the
    crop, `stain` the jitter of Lab mean (in standard units
    of `colour.STYLE_SCALE`) and of the logarithm of Lab deviation.
    """

    flips: bool = True
    scale: float = ranged(1.15, 1, 4)
    warp: float = ranged(0.03, 0, 0.5)
    stain: float = ranged(0.15, 0, 2)
    rotation: float = ranged(0.0, 0, 180)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SegmenterConfig:
    """A segmenter trained by itself at the finest scale.

    `synthetic` is the weight of crops that the pyramid paints in part, beside
    real ones' 1; it paints every `thin`-th mask of a batch. With
    `pseudo_labels` the judge labels the unlabelled images.
    `restain` is the share of real images that it reads in the stain of
    another training tile; where it is 1, `augment.stain` has no effect, as the
    new stain undoes it. `patch` is the side in pixels of what its finest
    level takes at once.
    """

    crop: int = ranged(96, 8, 8192)
    batch: int = ranged(16, 2, 4096)
    steps: int = ranged(1000, 1, 100_000_000)
    synthetic: float = ranged(0.5, 0, 1)
    pseudo_labels: bool = True
    restain: float = ranged(1.0, 0, 1)
    network: NetworkConfig = NetworkConfig((16, 32, 48, 64))
    augment: AugmentConfig = AugmentConfig()
    patch: int = ranged(1, 1, 8)
    thin: int = ranged(1, 1, 64)

    def __post_init__(self) -> None:
        check(self)
        _check_thin(self)
        stride = self.patch * self.network.stride
        if self.crop % stride:
            raise InputError(
                f"SegmenterConfig.crop: {self.crop} is not allowed; use a"
                f" multiple of {stride}"
            )

    def alone(self) -> "SegmenterConfig":
        """The same without the pyramid's help: real labels only."""
        return dataclasses.replace(
            self, synthetic=0.0, pseudo_labels=False, thin=1
        )


@dataclass(frozen=True)
class LossConfig:
    """Weights of the stages' loss terms (`models/stage.py`), and their bounds.

    A term without a weight here counts once. `unlabelled`: of the critic's
    terms on pixels without a label. `confidence`: the probability from which
    the teacher's class is a label for the critic there. `full_size`: of the L1
    of pixels beside that of 2x2 averages (`losses.reconstruction`).
    `coarse_noise`: largest deviation of the noise on the coarser image, in
    an image's [-1, 1] (`coarse_view.py`). `synthetic`: of painted pairs in
    the segmenter's loss; `consistency`: of its agreement with the teacher.
    `restain`: the share of real images that stages' segmenters read in the
    stain of another training tile. `class_weight_limit`: the largest weight
    of a rare class (`losses.class_weights`).
    """

    unlabelled: float = ranged(1.0, 0, 100)
    confidence: float = ranged(0.9, 0.5, 1)
    full_size: float = ranged(0.2, 0, 100)
    coarse_noise: float = ranged(0.15, 0, 2)
    synthetic: float = ranged(0.5, 0, 100)
    consistency: float = ranged(1.0, 0, 100)
    restain: float = ranged(1.0, 0, 1)
    class_weight_limit: float = ranged(10.0, 1, 1e6)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam for each of the three networks, and the average of weights.

    Rates are held, and fall to 0 over the last `decay_share` of a phase's
    steps. `ema` is the average's decay a step (`averages.decay`).
    """

    generator_rate: float = ranged(4e-4, 0, 1)
    critic_rate: float = ranged(4e-4, 0, 1)
    segmenter_rate: float = ranged(2e-3, 0, 1)
    beta_1: float = ranged(0.0, 0, 0.9999)
    beta_2: float = ranged(0.99, 0, 0.99999)
    ema: float = ranged(0.995, 0, 0.99999)
    decay_share: float = ranged(0.3, 0, 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's weights, beside its data.

    `labelled_share` is that of each batch, `noise_channels` are a level's of
    the generators; `augment` is the stages' (segmenters have their own).
    `cache_mb` is the memory, in MiB, for the decoded tiles of each set, so
    twice it where there are unlabelled tiles.
    """

    seed: int = ranged(0, 0, 2**31 - 1)
    finest_mpp: float = ranged(2.5, 0.01, 1000)
    precision: str = "float32"
    labelled_share: float = ranged(0.5, 0.01, 1)
    noise_channels: int = ranged(4, 1, 256)
    cache_mb: int = ranged(4096, 0, 10_000_000)
    stages: tuple[StageConfig, ...] = (StageConfig(),)
    segmenter: SegmenterConfig = SegmenterConfig()
    judge: SegmenterConfig = SegmenterConfig(synthetic=0.0, pseudo_labels=False)
    losses: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self) -> None:
        check(self)
        if self.precision not in PRECISIONS:
            raise InputError(
                f"Config.precision: {self.precision!r} is not allowed; use"
                f" {' or '.join(PRECISIONS)}"
            )
        if not self.stages:
            raise InputError("Config.stages: empty; use one stage or more")
        self._check_painted()

    def _check_painted(self) -> None:
        if self.judge.synthetic or self.judge.pseudo_labels:
            raise InputError(
                "Config.judge: synthetic and pseudo_labels are not allowed; the"
                " judge learns from real labels only"
            )
        multiple, crop = self.multiple("generator"), self.segmenter.crop
        if self.segmenter.synthetic and crop % multiple:
            raise InputError(
                f"Config.segmenter.crop: {crop} is not allowed; the stages"
                f" paint multiples of {multiple} px"
            )

    def multiple(self, *networks: str) -> int:
        """Sides, finest px, that all stages' named networks can work on."""
        count = len(self.stages)
        return max(
            2 ** (count - 1 - k) * stage.stride(name)
            for k, stage in enumerate(self.stages)
            for name in networks
        )

    def stage_mpp(self, index: int) -> float:
        """um/px of stage `index`; the coarsest is 0."""
        return self.finest_mpp * 2 ** (len(self.stages) - 1 - index)

"""The generator of one stage: a mask, noise and a style become tissue.

In: soft one-hot mask [B, H, W, N]; noise fields, one per level; style
[B, 6]; from stage 1 on, the coarser image enlarged to this stage's size.
Out: image [B, H, W, 3], about [-1, 1] (not clipped; callers clip).

Stage 0 makes the layout. Stages above add the detail that the coarser image
cannot hold (LAPGAN, Denton et al. 2015), none at the start of training: what
they predict is freed of its own 2x2 averages, enlarged bilinearly, so that a
stage can hardly undo, or exaggerate, what the one below has painted (nearest
neighbours would free it wholly, and print their grid). Blocks are modulated
per class (CLADE, Tan et al. 2021). Window-exact: see `layers`.
"""

import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import layers, noise
from histogan_tf.models.layers import double, levels_of
from histogan_tf.models.modulation import ModulatedBlock, Modulation

STREAMS_PER_STAGE = 16


def noise_fields(
    seed: tf.Tensor,
    stage: int,
    rows: tf.Tensor,
    columns: tf.Tensor,
    levels: int,
    channels: int,
) -> list[tf.Tensor]:
    """Noise for each level of a stage's generator, finest first.

    Args:
      seed: int64 [B].
      stage: index; every stage and level has a stream of its own.
      rows, columns: absolute positions of the window at the finest level,
        [H] and [W] or, of each image, [B, H] and [B, W]; both start at a
        multiple of 2 ** (levels - 1).
      levels: of the generator.
      channels: of the noise at each level.

    Returns:
      float32 [B, H / 2**l, W / 2**l, channels] for each level l.
    """
    first = stage * STREAMS_PER_STAGE
    return [
        noise.field(
            seed,
            first + level,
            rows[..., :: 2**level] // 2**level,
            columns[..., :: 2**level] // 2**level,
            channels,
        )
        for level in range(levels)
    ]


class Generator(tf.keras.Model):
    """Decoder with per-class modulation; `residual` for stages > 0.

    There is no encoder: mask, noise and coarser image enter at every level
    by averaging, which is all that an encoder would have to learn.
    """

    def __init__(self, config: NetworkConfig, residual: bool):
        super().__init__()
        self.residual, self.stride = residual, config.stride
        widths = config.widths
        self.inputs_in = [layers.Conv(w) for w in widths]
        self.up = [layers.Conv(w, 1) for w in widths[:-1]]
        self.blocks = [
            [ModulatedBlock(w) for _ in range(config.blocks)] for w in widths
        ]
        self.last_norm = Modulation(widths[0])
        # Detail has no mean for a bias to move: its gradient would be
        # rounding noise, which Adam makes full steps of.
        self.last = layers.Conv(
            3, gain=0.0 if residual else 1.0, bias=not residual
        )

    def call(
        self,
        mask: tf.Tensor,
        noises: list[tf.Tensor],
        style: tf.Tensor,
        coarse: tf.Tensor | None = None,
        seen: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """See the module. Returns float32 [B, H, W, 3].

        `seen` is what the network is shown of the coarser image, if other
        than the `coarse` to which detail is added.
        """
        count = len(noises)
        masks = self.surroundings(mask, count)
        return self.paint(masks, noises, style, coarse, seen)

    def surroundings(self, mask: tf.Tensor, count: int) -> list[tf.Tensor]:
        """Each level's mask beside its averages, finest first.

        [B, H, W, N] -> `count` maps [B, H / 2**k, W / 2**k, 3N].

        Apart from `paint`, because averages reach farther than networks: a
        window may crop them before the dear part begins.
        """
        return [layers.neighbourhood(m) for m in levels_of(mask, count)]

    def paint(
        self,
        masks: list[tf.Tensor],
        noises: list[tf.Tensor],
        style: tf.Tensor,
        coarse: tf.Tensor | None = None,
        seen: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """As the call, from masks with their `surroundings`.

        float32 [B, H, W, 3], H and W of `masks[0]`; in [-1, 1], but for what
        detail adds to a coarser image.
        """
        count, dtype = len(noises), masks[0].dtype
        shown = [
            [m, tf.cast(z, dtype)] for m, z in zip(masks, noises, strict=True)
        ]
        if coarse is not None:
            seen = coarse if seen is None else seen
            for maps, image in zip(
                shown, levels_of(tf.cast(seen, dtype), count), strict=True
            ):
                maps.append(image)
        h = None
        for level in reversed(range(count)):
            with layers.after(h):
                entry = self.inputs_in[level](tf.concat(shown[level], -1))
            # A 1x1 convolution before doubling is the same for a quarter.
            h = entry if h is None else double(self.up[level](h)) + entry
            for block in self.blocks[level]:
                h = block(h, masks[level], style)
        h = self.last_norm(h, masks[0], style)
        out = tf.cast(self.last(h), tf.float32)
        if self.residual:
            detail = out - double(layers.halve(out))
            return tf.cast(coarse, tf.float32) + detail
        return tf.tanh(out)

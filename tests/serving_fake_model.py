"""A model in numpy behind the fake server, with the export's signatures.

Its halo is 1 px (3x3 sums), its stride 4, so windows can be told apart from the
whole if they are cut wrongly.
"""

import json

import numpy as np
from serving_fake import Fake
from tensorflow.core.protobuf import meta_graph_pb2

from histogan_tf.data import png

CLASSES = ("stroma", "epithelium", "lumen")
MULTIPLE, HALO = 4, 4
CARD = {
    "classes": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
    "mpp": {"finest": 2.0, "coarsest": 8.0},
    "windows": {
        "segment": {"halo": HALO, "multiple": MULTIPLE},
        "generate": {"halo": HALO, "multiple": MULTIPLE},
    },
    "limits": {"max_pixels": 10**6},
    "styles": [
        {"name": f"train_{i}", "style": [float(i)] * 6} for i in range(4)
    ],
}


def box(values):
    """Sums of 3x3 of [H, W], mirrored at the border."""
    padded = np.pad(values.astype(np.int64), 1, mode="symmetric")
    height, width = values.shape
    return sum(
        padded[i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )


def classes_of(image):
    """uint8 [H, W, 3] -> class ids by the blurred red channel."""
    return (box(image[..., 0]) // (9 * 86)).astype(np.uint8)


def tissue(mask, row, column, seed, style):
    """[H, W] -> RGB: mask sums, a hash of the absolute place, style."""
    rows, columns = np.indices(mask.shape)
    rows, columns = rows + row, columns + column
    noise = (rows * 31 + columns * 17 + seed * 7) % 251
    stain = np.full(mask.shape, int(style[0]))
    return np.stack([box(mask), noise, stain], -1).astype(np.uint8)


class Model:
    """`limit`: most pixels of one request. `sizes` of what was asked."""

    def __init__(self, limit=10**9, card=CARD):
        self.limit, self.card, self.sizes = limit, card, []

    def fake(self):
        """A server of this model."""
        fake = Fake(
            {
                "": self.segment,
                "generate": self.generate,
                "generate_window": self.generate_window,
                "about": self.about,
            }
        )
        if self.card:
            signature = meta_graph_pb2.SignatureDef()
            signature.inputs["question"].name = "question:0"
            fake.signatures["about"] = signature
        fake.states = [[(4, "AVAILABLE", 0, "")]]
        return fake

    def _check(self, height, width):
        self.sizes.append((height, width))
        if height * width > self.limit:
            raise PermissionError(
                f"image of {height} x {width} pixels (height x width); 1 to"
                f" {self.limit} pixels are allowed, send larger ones in tiles"
            )

    def segment(self, image_bytes):
        image = png.decode(image_bytes[0])
        self._check(*image.shape[:2])
        mask = classes_of(image)
        areas = np.bincount(mask.ravel(), minlength=3) / mask.size
        return {
            "mask_bytes": [png.encode(mask)],
            "areas": areas[None].astype(np.float32),
        }

    def generate(self, mask_bytes, seed, style, reference_bytes):
        mask = png.decode(mask_bytes[0])
        self._check(*mask.shape)
        given = style[0]
        if reference_bytes[0]:
            given = png.decode(reference_bytes[0])[0, 0]
        return {"image_bytes": [png.encode(tissue(mask, 0, 0, seed[0], given))]}

    def generate_window(self, masks, row, column, seed, style):
        self._check(*masks.shape[1:])
        assert row[0] % MULTIPLE == column[0] % MULTIPLE == 0
        assert not any(n % MULTIPLE for n in masks.shape[1:])
        origin = (row[0] - HALO, column[0] - HALO)
        image = tissue(masks[0], *origin, seed[0], style[0])
        return {"images": image[None, HALO:-HALO, HALO:-HALO]}

    def about(self, question):
        return {"model_card": [json.dumps(self.card).encode()]}

"""Warm-up requests of an export: every signature at every size in use.

In: a run's networks and image sizes. Out: PredictRequests, and the file of
them (TFRecords of PredictionLog) that a server replays before it takes
requests, so that no client pays for a first run.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from histogan_tf import halo, preprocess
from histogan_tf.data import colour, png, records
from histogan_tf.errors import InputError
from serving import samples
from serving.export_layout import MOST_WARM_UP, WARM_UP
from serving.reach import Reach
from serving.signatures import Networks

_PER_SIZE = 8

Size = tuple[int, int]
Inputs = dict[str, np.ndarray]


def parse_sizes(texts: Sequence[str]) -> tuple[Size, ...]:
    """Sizes (height, width) of texts such as 512x512.

    Raises:
      InputError: a text of another form, or a side below 1.
    """
    sizes = []
    for text in texts:
        sides = text.strip().split("x")
        if len(sides) != 2 or not all(s.isdecimal() for s in sides):
            raise InputError(
                f"--warmup_sizes {text}: write HEIGHTxWIDTH, as in 512x512"
            )
        height, width = int(sides[0]), int(sides[1])
        if not height or not width:
            raise InputError(f"--warmup_sizes {text}: sides of 1 or more")
        sizes.append((height, width))
    return tuple(dict.fromkeys(sizes))


def check_sizes(
    sizes: Sequence[Size], networks: Networks, max_pixels: int
) -> None:
    """Refuses sizes that the model would refuse.

    Raises:
      InputError: too many sizes, or one that is too large, alone or, for
        `generate_window`, with the halo.
    """
    for height, width in sizes:
        tall, wide = _with_halo((height, width), networks.paint_reach)
        if tall * wide > max_pixels:
            raise InputError(
                f"--warmup_sizes {height}x{width}: with its halo a window of"
                f" {tall}x{wide} pixels; --max_pixels {max_pixels} allows less"
            )
    most = (MOST_WARM_UP - 1) // _PER_SIZE
    if len(sizes) > most:
        raise InputError(
            f"--warmup_sizes: {len(sizes)} sizes; {most} are allowed"
        )


def requests(
    networks: Networks, sizes: Sequence[Size], model: str
) -> Iterator[predict_pb2.PredictRequest]:
    """Requests of every signature at every size, a batch of one each."""
    yield _request(model, "about", {"question": _strings(b"")})
    for height, width in sizes:
        for name, inputs in _of_size(networks, height, width):
            yield _request(model, name, inputs)


def write(
    folder: pathlib.Path, logged: Iterable[predict_pb2.PredictRequest]
) -> int:
    """Writes the warm-up file of a SavedModel's folder.

    Returns:
      How many records it holds.
    """
    path = folder / WARM_UP
    path.parent.mkdir(exist_ok=True)
    count = 0
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for request in logged:
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString(deterministic=True))
            count += 1
    return count


def read(folder: pathlib.Path) -> Iterator[predict_pb2.PredictRequest]:
    """The Predict requests of a SavedModel's warm-up file, in order.

    Other kinds are passed over. Without a file there are none.
    """
    path = folder / WARM_UP
    if not path.is_file():
        return
    for record in tf.data.TFRecordDataset(os.fspath(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        if log.HasField("predict_log"):
            yield log.predict_log.request


def _of_size(
    networks: Networks, height: int, width: int
) -> list[tuple[str, Inputs]]:
    image = samples.image_of(height, width, 0)
    classes = networks.scale.classes
    mask = samples.mask_of(height, width, classes, 0)
    tile = records.Tile("warm-up", image, mask, networks.scale.mpp)
    encoded = _strings(png.encode(image))
    sides = _with_halo((height, width), networks.paint_reach)
    style = np.zeros((1, colour.STYLE_SIZE), np.float32)
    zero = np.zeros(1, np.int64)
    painting = {
        "mask_bytes": _strings(png.encode(mask)),
        "seed": zero,
        "style": style,
    }
    return [
        ("", {"image_bytes": encoded}),
        ("segment", {"image_bytes": encoded}),
        ("segment_tensor", {"images": image[None]}),
        ("segment_float", {"images": preprocess.to_unit(image[None]).numpy()}),
        ("examples", {"examples": _strings(records.encode(tile))}),
        ("generate", painting | {"reference_bytes": _strings(b"")}),
        ("generate", painting | {"reference_bytes": encoded}),
        (
            "generate_window",
            {
                "masks": samples.mask_of(*sides, classes, 0)[None],
                "row": zero,
                "column": zero,
                "seed": zero,
                "style": style,
            },
        ),
    ]


def _with_halo(size: Size, reach: Reach) -> Size:
    """A window's size with its halo, once it is enlarged to the grid."""
    tall, wide = (
        halo.aligned(0, side, reach.multiple)[1] + 2 * reach.halo
        for side in size
    )
    return tall, wide


def _strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def _request(
    model: str, signature: str, inputs: Inputs
) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request

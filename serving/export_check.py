"""Is the saved model the library's? Asked at every export, before it appears.

In: the folder of a SavedModel, the networks that it was made from. Out:
nothing, or an `InputError` that names the signature and the difference.

Every signature is called on fixed random images and masks of odd sizes and
compared with the library: masks and counts must be equal, floats to 1e-5.
Painted bytes are rounded floats, so few may be off by one (`pixels.py`). PNGs
are compared decoded: the library encodes by OpenCV, the graph by TensorFlow.
Then the warm-up requests are replayed, as a server will do.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess, rescale
from histogan_tf.data import colour, dataset, png, records
from histogan_tf.data.png import decode
from histogan_tf.errors import InputError
from histogan_tf.metrics.segmentation import confusion_matrix
from serving import pixels, samples, warmup_records
from serving.signatures import Networks

TOLERANCE = 1e-5
_DTYPES = (tf.float32, tf.uint8, tf.string)
Outputs = dict[str, np.ndarray]
Call = Callable[..., Outputs]


def check(folder: pathlib.Path, networks: Networks, card: str) -> None:
    """Compares every signature with the library.

    Args:
      folder: of the SavedModel, with its warm-up requests.
      networks: what it was made from.
      card: what `about` must answer.

    Raises:
      InputError: an answer is another, or a request fails.
    """
    model = tf.saved_model.load(str(folder))
    calls = {
        name: signature_call(name, f) for name, f in model.signatures.items()
    }
    check_segment(calls["segment"], networks)
    check_segment(calls["serving_default"], networks)
    check_tensors(calls, networks)
    check_examples(calls["examples"], networks)
    check_generate(calls["generate"], networks)
    check_window(calls["generate_window"], networks)
    about = calls["about"](question=np.array([b""], object))
    _equal("about", about["model_card"][0], card.encode())
    for request in warmup_records.read(folder):
        name = request.model_spec.signature_name or "serving_default"
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        calls[name](**inputs)


def check_segment(call: Call, networks: Networks) -> None:
    """Two images in one batch, of other sizes, one of them grey."""
    colour_image, grey = (
        samples.image_of(45, 61, 1),
        samples.image_of(32, 27, 2)[..., 0],
    )
    found = call(
        image_bytes=_strings(png.encode(colour_image), png.encode(grey))
    )
    images = [colour_image, np.repeat(grey[..., None], 3, axis=2)]
    for place, image in enumerate(images):
        mask = _class_ids(networks.reader(image))
        _equal("segment", decode(found["mask_bytes"][place]), mask)
        counts = np.bincount(mask.ravel(), minlength=networks.scale.classes)
        _close("segment", found["areas"][place], counts / mask.size)


def check_tensors(calls: dict[str, Call], networks: Networks) -> None:
    """Bytes and floats of the same images."""
    images = np.stack([samples.image_of(45, 61, n) for n in (1, 2)])
    wanted = np.stack([networks.reader(image) for image in images])
    units = preprocess.to_unit(images).numpy()
    for name, values in (("segment_tensor", images), ("segment_float", units)):
        _close(name, calls[name](images=values)["probabilities"], wanted)


def check_examples(call: Call, networks: Networks) -> None:
    """A tile of another um/px, scored."""
    scale = networks.scale
    tile = records.Tile(
        "check",
        samples.image_of(64, 80, 3),
        samples.mask_of(64, 80, scale.classes, 3),
        scale.mpp / 1.5,
    )
    serialized = records.encode(tile)
    small = dataset.at_scale(records.decode(tf.constant(serialized)), scale)
    truth = preprocess.hard_mask(tf.cast(small["labels"], tf.float32) / 255.0)
    found = _class_ids(networks.reader(small["image"].numpy()))
    wanted = confusion_matrix(truth.numpy(), found, scale.classes)
    answer = call(examples=_strings(serialized))
    _equal("examples", answer["confusion"][0], wanted.astype(np.float32))


def check_generate(call: Call, networks: Networks) -> None:
    """By style and by reference, masks of two sizes in one batch."""
    canvas, classes = networks.canvas, networks.scale.classes
    masks = [
        samples.mask_of(45, 61, classes, 1),
        samples.mask_of(32, 27, classes, 2),
    ]
    reference = samples.image_of(90, 70, 4)
    config = canvas.pyramid.config
    measured = rescale.style_of(
        reference, config.finest_mpp, config.stage_mpp(0)
    )
    stated = np.linspace(-1, 1, colour.STYLE_SIZE, dtype=np.float32)
    seeds = np.array([3, -(2**40)], np.int64)
    found = call(
        mask_bytes=_strings(*(png.encode(mask) for mask in masks)),
        seed=seeds,
        style=np.stack([stated, np.zeros_like(stated)]),
        reference_bytes=_strings(b"", png.encode(reference)),
    )["image_bytes"]
    for place, style in enumerate((stated, measured)):
        wanted = canvas.synthesise(masks[place], style, int(seeds[place]))[-1]
        _same_pixels("generate", decode(found[place]), wanted)


def check_window(call: Call, networks: Networks) -> None:
    """A window against the crop of a larger one, by the library."""
    canvas, reach = networks.canvas, networks.paint_reach
    classes, multiple = networks.scale.classes, reach.multiple
    row, column = 5 * multiple, -3 * multiple
    side = 3 * multiple + 2 * reach.halo
    mask = samples.mask_of(side, side, classes, 5)
    style = np.linspace(1, -1, colour.STYLE_SIZE, dtype=np.float32)[None]
    seed = np.array([7], np.int64)
    first = [
        np.array([n - reach.halo - multiple], np.int64) for n in (row, column)
    ]
    soft = preprocess.one_hot(mask[None], classes)
    larger = canvas.paint(soft, style, seed, *first)[-1][0]
    middle = slice(multiple, side - multiple)
    found = call(
        masks=mask[None, middle, middle],
        row=np.array([row], np.int64),
        column=np.array([column], np.int64),
        seed=seed,
        style=style,
    )["images"][0]
    inside = slice(reach.halo + multiple, reach.halo + 2 * multiple)
    wanted = preprocess.unit_to_uint8(larger[inside, inside]).numpy()
    _same_pixels("generate_window", found, wanted)


def signature_call(name: str, function: Any) -> Call:
    """A signature as a function of arrays, its outputs' types checked."""
    kinds = {k: spec.dtype for k, spec in function.structured_outputs.items()}
    for output, kind in kinds.items():
        if kind not in _DTYPES:
            raise InputError(
                f"signature {name}: output {output} is {kind.name}; allowed"
                f" are {', '.join(d.name for d in _DTYPES)}"
            )

    def call(**inputs: np.ndarray) -> Outputs:
        tensors = {k: tf.constant(v) for k, v in inputs.items()}
        try:
            found = function(**tensors)
        except tf.errors.OpError as error:
            raise InputError(f"signature {name}: {error.message}") from error
        return {k: v.numpy() for k, v in found.items()}

    return call


def _strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def _class_ids(probabilities: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=-1).astype(np.uint8)


def _equal(name: str, found: Any, wanted: Any) -> None:
    if not np.array_equal(found, wanted):
        raise InputError(f"signature {name}: its answer is not the library's")


def _close(name: str, found: np.ndarray, wanted: np.ndarray) -> None:
    gap = np.abs(found - wanted).max()
    if not gap <= TOLERANCE:
        raise InputError(
            f"signature {name}: {gap:.2g} away from the library;"
            f" {TOLERANCE:g} is allowed"
        )


def _same_pixels(name: str, found: np.ndarray, wanted: np.ndarray) -> None:
    text = pixels.painted(found, wanted)
    if text:
        raise InputError(f"signature {name}: not the library's pixels: {text}")

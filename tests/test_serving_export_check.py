"""The check of an export notices every answer that is not the library's."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import png
from histogan_tf.errors import InputError
from serving import export_check, signatures


@pytest.fixture(scope="module")
def calls(random_networks):
    graphs = signatures.graphs_of(random_networks, 2**16)
    return {
        name: export_check.signature_call(name, graph.get_concrete_function())
        for name, graph in graphs.items()
    }


def altered(call, output, change):
    """The signature with one output changed."""

    def answer(**inputs):
        found = call(**inputs)
        return found | {output: change(found[output].copy())}

    return answer


def one_pixel(data):
    """PNGs, one pixel of the last of which is another."""
    pixels = png.decode(data[-1])
    pixels[3, 4] = (pixels[3, 4].astype(int) + 2) % 3
    data[-1] = png.encode(pixels)
    return data


def swapped(values):
    return values[::-1].copy()


def many_by_one(values):
    values[:, ::2] ^= 1
    return values


CHECKS = {
    "segment": export_check.check_segment,
    "examples": export_check.check_examples,
    "generate": export_check.check_generate,
    "generate_window": export_check.check_window,
}


@pytest.mark.parametrize(
    ("name", "output", "change"),
    [
        ("segment", "mask_bytes", one_pixel),
        ("segment", "mask_bytes", swapped),
        ("segment", "areas", lambda areas: areas + 2e-5),
        ("segment", "areas", lambda areas: areas * np.nan),
        ("examples", "confusion", lambda counts: counts + np.eye(3)),
        ("generate", "image_bytes", one_pixel),
        ("generate", "image_bytes", swapped),
        ("generate_window", "images", many_by_one),
    ],
)
def test_other_answers(calls, random_networks, name, output, change):
    CHECKS[name](calls[name], random_networks)
    with pytest.raises(InputError, match=f"signature {name}:"):
        CHECKS[name](altered(calls[name], output, change), random_networks)


@pytest.mark.parametrize("name", ["segment_tensor", "segment_float"])
def test_other_probabilities(calls, random_networks, name):
    export_check.check_tensors(calls, random_networks)
    other = altered(calls[name], "probabilities", lambda p: p + 2e-5)
    with pytest.raises(InputError, match=f"signature {name}: 2e-05 away"):
        export_check.check_tensors(calls | {name: other}, random_networks)


def test_types_that_clients_cannot_take():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def half(x):
        return {"half": tf.cast(x, tf.bfloat16)}

    with pytest.raises(InputError, match="output half is bfloat16; allowed"):
        export_check.signature_call("half", half.get_concrete_function())

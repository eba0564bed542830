"""serving.batch_merge: inputs joined, outputs taken apart."""

import numpy as np
import pytest

from serving import batch_merge
from serving.batch_scheduler import Task
from serving.limits import RequestLimits
from serving.status import ServingError

LIMITS = RequestLimits()


def tasks(*arrays, name="x:0"):
    return [Task({name: array}, ["y:0"], len(array)) for array in arrays]


def fails(function, *args):
    with pytest.raises(ServingError) as caught:
        function(*args)
    return caught.value.code.name, caught.value.message


def test_size_of_a_batch():
    assert batch_merge.batch_size({"a": np.zeros((3, 2)), "b": np.ones(3)}) == 3
    assert fails(batch_merge.batch_size, {"a": np.array(1.0)}) == (
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have at least one dimension",
    )
    arrays = {"a": np.zeros(3), "b": np.zeros((5, 7))}
    assert fails(batch_merge.batch_size, arrays) == (
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have equal 0th-dimension size",
    )
    assert fails(batch_merge.batch_size, {})[0] == "INVALID_ARGUMENT"


def test_allowed_sizes():
    allowed = (2, 4, 16)
    found = [batch_merge.padded_size(size, allowed) for size in (1, 2, 3, 16)]
    assert found == [2, 2, 4, 16]
    assert batch_merge.padded_size(5, ()) == 5


def test_rows_one_after_the_other_and_copies_of_the_last_task():
    made = tasks(np.array([[1], [2]]), np.array([[3], [4]]))
    found = batch_merge.merge(made, 6, False, LIMITS)["x:0"]
    assert found.tolist() == [[1], [2], [3], [4], [3], [3]]


def test_strings_and_a_single_task():
    made = tasks(np.array([b"a\0", b"b"], object))
    found = batch_merge.merge(made, 3, False, LIMITS)["x:0"]
    assert found.tolist() == [b"a\0", b"b", b"a\0"]
    alone = batch_merge.merge(made, 2, False, LIMITS)["x:0"]
    assert alone is made[0].feeds["x:0"]


def test_copies_when_the_last_task_has_no_row():
    made = tasks(np.ones((1, 2)), np.ones((0, 2)))
    assert batch_merge.merge(made, 4, False, LIMITS)["x:0"].shape == (4, 2)


def test_mixed_shapes():
    made = tasks(np.zeros((1, 2, 3)), np.zeros((1, 3, 3)))
    found = fails(batch_merge.merge, made, 2, False, LIMITS)
    assert found == (
        "FAILED_PRECONDITION",
        "Tensors with name 'x:0' from different tasks have different shapes"
        " and padding is turned off.Set pad_variable_length_inputs to true, or"
        " ensure that all tensors with the same namehave equal dimensions"
        " starting with the first dim.",
    )
    made = tasks(np.zeros((1, 2)), np.zeros((1, 2, 2)))
    assert fails(batch_merge.merge, made, 2, True, LIMITS)[1] == found[1]


def test_padding_with_the_first_element():
    made = tasks(np.array([[[1, 2]]]), np.array([[[3], [4]], [[5], [6]]]))
    found = batch_merge.merge(made, 3, True, LIMITS)["x:0"]
    assert found.tolist() == [
        [[1, 2], [1, 1]],
        [[3, 3], [4, 3]],
        [[5, 3], [6, 3]],
    ]


def test_padding_has_its_bounds():
    made = tasks(np.zeros((1, 0)), np.zeros((1, 3)))
    assert fails(batch_merge.merge, made, 2, True, LIMITS) == (
        "INVALID_ARGUMENT",
        "Got empty tensor in batch of non-empty tensors.",
    )
    made = tasks(np.zeros([1] * 7), np.zeros([1] * 6 + [2]))
    assert fails(batch_merge.merge, made, 2, True, LIMITS) == (
        "INVALID_ARGUMENT",
        "Only tensors with rank from 1 to 6 can be padded.",
    )
    made = tasks(np.zeros((1, 1000)), np.zeros((1000, 1)))
    code, text = fails(
        batch_merge.merge, made, 1001, True, RequestLimits(tensor_elements=5000)
    )
    assert code == "INVALID_ARGUMENT" and "x:0 has 1001000 elements" in text


def test_outputs_are_taken_apart():
    made = [
        Task({}, ["b:0", "a:0"], 1),
        Task({}, ["a:0", "b:0"], 2),
    ]
    outputs = {"a:0": np.arange(4), "b:0": np.arange(8).reshape(4, 2)}
    first, second = batch_merge.split(made, 4, outputs)
    assert [part.tolist() for part in first] == [[[0, 1]], [0]]
    assert [part.tolist() for part in second] == [[1, 2], [[2, 3], [4, 5]]]


def test_outputs_that_are_no_batch():
    made = tasks(np.zeros(2))
    assert fails(batch_merge.split, made, 2, {"y:0": np.array(1)}) == (
        "FAILED_PRECONDITION",
        "Batched output tensor has 0 dimensions",
    )
    assert fails(batch_merge.split, made, 2, {"y:0": np.zeros(3)}) == (
        "FAILED_PRECONDITION",
        "Batched output tensor's 0th dimension does not equal the sum of the"
        " 0th dimension sizes of the input tensors",
    )

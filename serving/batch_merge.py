"""Runs joined into one along dimension 0, and its outputs taken apart.

In: the feeds of waiting tasks, then the outputs of their joint run. Out: the
joint feeds, then each task's own outputs. Rules and texts are those of
tensorflow/serving's batching_session.cc and batching_util.cc.
"""

from collections.abc import Sequence

import numpy as np

from serving import status
from serving.batch_scheduler import Task
from serving.limits import RequestLimits

_RANKS = range(1, 7)  # that TensorFlow can pad


def batch_size(feeds: dict[str, np.ndarray]) -> int:
    """Dimension 0 of all feeds.

    Raises:
      ServingError: INVALID_ARGUMENT: they differ, or there is none.
    """
    if not feeds:
        raise status.invalid(
            "Batching Run() must have at least one input tensor"
        )
    for array in feeds.values():
        if not array.ndim:
            raise status.invalid(
                "Batching Run() input tensors must have at least one dimension"
            )
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) > 1:
        raise status.invalid(
            "Batching Run() input tensors must have equal 0th-dimension size"
        )
    return sizes.pop()


def padded_size(size: int, allowed: Sequence[int]) -> int:
    """The smallest allowed batch size that holds `size` rows.

    Args:
      size: rows.
      allowed: sizes, ascending; empty: every size is.
    """
    return next((one for one in allowed if one >= size), size)


def merge(
    tasks: list[Task], rows: int, pad_inputs: bool, limits: RequestLimits
) -> dict[str, np.ndarray]:
    """Feeds of all tasks, one after the other.

    Args:
      tasks: at least one; all feed the same tensors.
      rows: of the result; rows that are missing are copies of the last
        task's first row.
      pad_inputs: enlarge tensors to the largest of their name, with copies
        of their own first element.
      limits: `tensor_elements` bounds a tensor that was enlarged.

    Raises:
      ServingError: the tensors do not fit together.
    """
    return {
        name: _join(
            name, [task.feeds[name] for task in tasks], rows, pad_inputs, limits
        )
        for name in tasks[0].feeds
    }


def _join(
    name: str,
    arrays: list[np.ndarray],
    rows: int,
    pad_inputs: bool,
    limits: RequestLimits,
) -> np.ndarray:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        if not pad_inputs or len({len(shape) for shape in shapes}) > 1:
            raise _mixed(name)
        arrays = _enlarge(name, arrays, limits)
    missing = rows - sum(len(array) for array in arrays)
    if missing:
        # Only a batch without any row has none to copy.
        source = next((a for a in reversed(arrays) if len(a)), None)
        if source is not None:
            arrays.append(np.repeat(source[:1], missing, axis=0))
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _mixed(name: str) -> status.ServingError:
    # Word for word, with the blanks that it lacks.
    return status.failed_precondition(
        f"Tensors with name '{name}' from different tasks have different"
        " shapes and padding is turned off.Set pad_variable_length_inputs to"
        " true, or ensure that all tensors with the same namehave equal"
        " dimensions starting with the first dim."
    )


def _enlarge(
    name: str, arrays: list[np.ndarray], limits: RequestLimits
) -> list[np.ndarray]:
    shape = tuple(np.max([array.shape[1:] for array in arrays], axis=0))
    if arrays[0].ndim not in _RANKS:
        raise status.invalid(
            "Only tensors with rank from 1 to 6 can be padded."
        )
    count = sum(len(array) for array in arrays)
    for size in shape:
        count *= int(size)
    limits.check_elements(name, count)
    return [_pad(array, shape) for array in arrays]


def _pad(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    if not array.size:
        raise status.invalid("Got empty tensor in batch of non-empty tensors.")
    padded = np.full((len(array), *shape), array.flat[0], array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def split(
    tasks: list[Task], rows: int, outputs: dict[str, np.ndarray]
) -> list[list[np.ndarray]]:
    """Each task's outputs, as views of the joint ones.

    Args:
      tasks: as they were merged.
      rows: of the joint run, copies included.
      outputs: of the joint run by tensor name.

    Raises:
      ServingError: FAILED_PRECONDITION: an output is not a row an input.
    """
    for array in outputs.values():
        if not array.ndim:
            raise status.failed_precondition(
                "Batched output tensor has 0 dimensions"
            )
        if len(array) != rows:
            raise status.failed_precondition(
                "Batched output tensor's 0th dimension does not equal the sum"
                " of the 0th dimension sizes of the input tensors"
            )
    found, start = [], 0
    for task in tasks:
        end = start + task.size
        found.append([outputs[name][start:end] for name in task.fetches])
        start = end
    return found

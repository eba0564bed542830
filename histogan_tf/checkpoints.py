"""Checkpoints into objects whose variables are already made.

In: a TensorFlow checkpoint's path prefix. Out: its values in the objects, or
an error: never a part of them.
"""

import tensorflow as tf

from histogan_tf.errors import InputError


def restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    """Reads a value for everything in `checkpoint`; the file may hold more.

    Raises:
      InputError: it is damaged, lacks a variable, or has one of another
        shape.
    """
    try:
        status = checkpoint.restore(path)
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        raise InputError(
            f"{path}: holds other networks than this histogan_tf makes; use"
            " the version that trained it, or train anew"
        ) from error
    except (tf.errors.OpError, IndexError) as error:
        reason = getattr(error, "message", error)
        raise InputError(
            f"{path}: damaged or not whole ({reason}); copy the run again"
        ) from error

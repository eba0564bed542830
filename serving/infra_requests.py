"""The requests of infra validation: what is sent, and what must come back.

In: an export, its warm-up records (assets.extra), a client of a server that
has it. Out: how many requests were answered as the SavedModel answers in this
process (`infra_answers.py`); else `AnswerError`, which names record, output
and difference.
"""

import pathlib

import tensorflow as tf

from serving import infra_answers, warmup_records
from serving.client_api import ServingClient
from serving.export_layout import WARM_UP


class AnswerError(Exception):
    """The server does not answer as the SavedModel does."""


def check_answers(
    export: pathlib.Path, client: ServingClient, tolerance: float
) -> int:
    """Sends every record and compares.

    Args:
      export: BASE/<version>; called in this process.
      client: of a server that serves it.
      tolerance: for floats, absolute and relative.

    Returns:
      Number of requests.

    Raises:
      AnswerError: an answer is another, or there is nothing to send.
      RequestError: the server refuses a request.
    """
    model = tf.saved_model.load(str(export))
    count = 0
    for place, request in enumerate(warmup_records.read(export)):
        name = request.model_spec.signature_name
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        found = client.predict(name, inputs).outputs
        call = model.signatures[name or "serving_default"]
        expected = call(**{k: tf.constant(v) for k, v in inputs.items()})
        values = {k: v.numpy() for k, v in expected.items()}
        text = infra_answers.difference(found, values, tolerance)
        if text:
            raise AnswerError(f"warm-up record {place} ({name}): {text}")
        count += 1
    if not count:
        raise AnswerError(f"{export / WARM_UP}: no Predict request to send")
    return count

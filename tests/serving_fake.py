"""A gRPC server in the test's process that answers as it is told to.

It speaks the official stubs and knows no model, so the client is tested
without our server.
"""

import contextlib
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class Fake(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """`answers` maps a signature to a function of its inputs.

    The first `failures` calls of any kind abort with `code`.
    """

    def __init__(self, answers=None, failures=0, code="UNAVAILABLE"):
        self.answers, self.failures = answers or {}, failures
        self.code, self.requests = grpc.StatusCode[code], []
        self.states, self.signatures = [], {}

    def _begin(self, request, context):
        self.requests.append(request)
        if len(self.requests) <= self.failures:
            context.abort(self.code, "not now")

    def Predict(self, request, context):  # noqa: N802
        self._begin(request, context)
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        try:
            outputs = self.answers[request.model_spec.signature_name](**inputs)
        except PermissionError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = 4
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def GetModelStatus(self, request, context):  # noqa: N802
        """`states`: one list of (version, state, error code, text) a call."""
        self._begin(request, context)
        rows = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state, code, text in rows:
            added = response.model_version_status.add(
                version=version,
                state=getattr(get_model_status_pb2.ModelVersionStatus, state),
            )
            added.status.error_code = code
            added.status.error_message = text
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802
        self._begin(request, context)
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self.signatures.items():
            found.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(found)
        return response


@contextlib.contextmanager
def serve(fake, credentials=None, limit=-1):
    """Yields `127.0.0.1:PORT`, or `localhost:PORT` with TLS."""
    server = grpc.server(
        futures.ThreadPoolExecutor(2),
        options=[("grpc.max_receive_message_length", limit)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        fake, server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(fake, server)
    if credentials is None:
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
        address = f"localhost:{port}"
    server.start()
    try:
        yield address
    finally:
        server.stop(0).wait()


def answer(**outputs):
    """A signature that gives the same for every input."""
    return lambda **_: outputs

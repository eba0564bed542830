"""PredictionService and ModelService over gRPC.

In: requests of the official stubs. Out: their responses, or a status with
TensorFlow Serving's code and text, cut to 1,024 characters. A client's
deadline bounds the run of the model; its `x-request-id` is taken for the log
and sent back.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import logs, status
from serving.calls import Call, Calls
from serving.methods import Methods

Answer = TypeVar("Answer")
_ID = "x-request-id"


def _run(
    calls: Calls,
    api: str,
    spec: model_pb2.ModelSpec,
    context: grpc.ServicerContext,
    answer: Callable[[Any, float | None], Answer],
) -> Answer:
    """Runs `answer(manager, seconds left)`; aborts the call on errors."""
    sent = {
        item.key: item.value
        for item in context.invocation_metadata() or ()
        if isinstance(item.value, str)
    }
    identity = logs.request_id(sent.get(_ID))
    context.set_trailing_metadata(((_ID, identity),))
    try:
        return calls.run(
            Call("GRPC", api, identity),
            spec,
            lambda manager: answer(manager, _seconds_left(context)),
        )
    except status.ServingError as error:
        context.abort(error.code, error.text)
        raise  # abort has raised already


def _seconds_left(context: grpc.ServicerContext) -> float | None:
    left = context.time_remaining()
    if left is not None and left <= 0:
        raise status.ServingError(
            grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
        )
    return left


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference."""

    def __init__(self, calls: Calls, methods: Methods):
        self._calls, self._methods = calls, methods

    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Tensors to tensors."""
        return _run(
            self._calls,
            "Predict",
            request.model_spec,
            context,
            lambda manager, left: self._methods.predict(manager, request, left),
        )

    def Classify(  # noqa: N802
        self,
        request: classification_pb2.ClassificationRequest,
        context: grpc.ServicerContext,
    ) -> classification_pb2.ClassificationResponse:
        """Examples to labels and scores."""
        return _run(
            self._calls,
            "Classify",
            request.model_spec,
            context,
            lambda manager, left: self._methods.classify(
                manager, request, left
            ),
        )

    def Regress(  # noqa: N802
        self,
        request: regression_pb2.RegressionRequest,
        context: grpc.ServicerContext,
    ) -> regression_pb2.RegressionResponse:
        """Examples to values."""
        return _run(
            self._calls,
            "Regress",
            request.model_spec,
            context,
            lambda manager, left: self._methods.regress(manager, request, left),
        )

    def MultiInference(  # noqa: N802
        self,
        request: inference_pb2.MultiInferenceRequest,
        context: grpc.ServicerContext,
    ) -> inference_pb2.MultiInferenceResponse:
        """Examples through several signatures."""
        first = model_pb2.ModelSpec()
        if request.tasks:
            first = request.tasks[0].model_spec
        return _run(
            self._calls,
            "MultiInference",
            first,
            context,
            lambda manager, left: self._methods.multi_inference(
                manager, request, left
            ),
        )

    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model."""
        return _run(
            self._calls,
            "GetModelMetadata",
            request.model_spec,
            context,
            lambda manager, _: self._methods.get_model_metadata(
                manager, request
            ),
        )


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """States of models, and changes of which are served."""

    def __init__(self, calls: Calls):
        self._calls = calls

    def GetModelStatus(  # noqa: N802
        self,
        request: get_model_status_pb2.GetModelStatusRequest,
        context: grpc.ServicerContext,
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """States of a model's versions."""

        def answer(_: Any, left: float | None) -> Any:
            if not request.HasField("model_spec"):
                raise status.invalid("Missing ModelSpec")
            return self._calls.manager.status(request.model_spec)

        return _run(
            self._calls, "GetModelStatus", request.model_spec, context, answer
        )

    def HandleReloadConfigRequest(  # noqa: N802
        self,
        request: model_management_pb2.ReloadConfigRequest,
        context: grpc.ServicerContext,
    ) -> model_management_pb2.ReloadConfigResponse:
        """Takes a whole config; returns when its new models are served."""

        def answer(_: Any, left: float | None) -> Any:
            kind = request.config.WhichOneof("config")
            if kind != "model_config_list":
                raise status.invalid(
                    "ServerModelConfig type not supported by"
                    " HandleReloadConfigRequest. Only ModelConfigList is"
                    " currently supported"
                )
            self._calls.manager.reload(request.config, left)
            return model_management_pb2.ReloadConfigResponse()

        return _run(
            self._calls,
            "HandleReloadConfigRequest",
            model_pb2.ModelSpec(),
            context,
            answer,
        )

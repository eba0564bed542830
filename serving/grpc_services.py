"""PredictionService and ModelService over gRPC.

In: requests of the official stubs, and who waits (`grpc_gate.py`). Out: their
responses, or a ServingError with TensorFlow Serving's code and text. A
client's deadline bounds the run of the model; its `x-request-id` is taken for
the log.
"""

from collections.abc import Callable
from typing import Any, TypeVar

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

from serving import status
from serving.calls import Call, Calls
from serving.grpc_gate import Caller
from serving.methods import Methods

Answer = TypeVar("Answer")


def _run(
    calls: Calls,
    api: str,
    spec: model_pb2.ModelSpec,
    caller: Caller,
    answer: Callable[[Any, float | None], Answer],
) -> Answer:
    """Runs `answer(manager, seconds left)`."""
    return calls.run(
        Call("GRPC", api, caller.request_id),
        spec,
        lambda manager: answer(manager, caller.seconds_left()),
    )


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference."""

    def __init__(self, calls: Calls, methods: Methods):
        self._calls, self._methods = calls, methods

    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, caller: Caller
    ) -> predict_pb2.PredictResponse:
        """Tensors to tensors."""
        return _run(
            self._calls,
            "Predict",
            request.model_spec,
            caller,
            lambda manager, left: self._methods.predict(manager, request, left),
        )

    def Classify(  # noqa: N802
        self,
        request: classification_pb2.ClassificationRequest,
        caller: Caller,
    ) -> classification_pb2.ClassificationResponse:
        """Examples to labels and scores."""
        return _run(
            self._calls,
            "Classify",
            request.model_spec,
            caller,
            lambda manager, left: self._methods.classify(
                manager, request, left
            ),
        )

    def Regress(  # noqa: N802
        self,
        request: regression_pb2.RegressionRequest,
        caller: Caller,
    ) -> regression_pb2.RegressionResponse:
        """Examples to values."""
        return _run(
            self._calls,
            "Regress",
            request.model_spec,
            caller,
            lambda manager, left: self._methods.regress(manager, request, left),
        )

    def MultiInference(  # noqa: N802
        self,
        request: inference_pb2.MultiInferenceRequest,
        caller: Caller,
    ) -> inference_pb2.MultiInferenceResponse:
        """Examples through several signatures."""
        first = model_pb2.ModelSpec()
        if request.tasks:
            first = request.tasks[0].model_spec
        return _run(
            self._calls,
            "MultiInference",
            first,
            caller,
            lambda manager, left: self._methods.multi_inference(
                manager, request, left
            ),
        )

    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        caller: Caller,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model."""
        return _run(
            self._calls,
            "GetModelMetadata",
            request.model_spec,
            caller,
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
        caller: Caller,
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """States of a model's versions."""

        def answer(_: Any, left: float | None) -> Any:
            if not request.HasField("model_spec"):
                raise status.invalid("Missing ModelSpec")
            return self._calls.manager.status(request.model_spec)

        return _run(
            self._calls, "GetModelStatus", request.model_spec, caller, answer
        )

    def HandleReloadConfigRequest(  # noqa: N802
        self,
        request: model_management_pb2.ReloadConfigRequest,
        caller: Caller,
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
            manager = self._calls.manager
            caller.gone.add_done_callback(lambda _: manager.wake())
            manager.reload(request.config, left, caller.gone.done)
            return model_management_pb2.ReloadConfigResponse()

        return _run(
            self._calls,
            "HandleReloadConfigRequest",
            model_pb2.ModelSpec(),
            caller,
            answer,
        )

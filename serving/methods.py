"""The methods of PredictionService, with the server's settings in them.

In: a manager and a request. Out: its response, or a ServingError. gRPC and
REST both end here.
"""

from typing import TYPE_CHECKING

from google.protobuf.message import Message
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.classify import classify
from serving.limits import RequestLimits
from serving.metadata import get_model_metadata
from serving.metrics import Metrics
from serving.multi_inference import multi_inference
from serving.predict import predict
from serving.regress import regress

if TYPE_CHECKING:
    from serving.manager import ModelManager


class Methods:
    """Answers requests; timeouts are in seconds, None: for ever."""

    def __init__(
        self,
        limits: RequestLimits,
        metrics: Metrics,
        as_content: bool = False,
        check_method_name: bool = False,
    ):
        self._limits, self._metrics = limits, metrics
        self._as_content, self._check_name = as_content, check_method_name

    def predict(
        self,
        manager: "ModelManager",
        request: predict_pb2.PredictRequest,
        timeout: float | None,
    ) -> predict_pb2.PredictResponse:
        """Tensors to tensors."""
        self._check_size(request)
        return predict(
            manager,
            request,
            self._limits,
            self._as_content,
            self._check_name,
            timeout,
        )

    def classify(
        self,
        manager: "ModelManager",
        request: classification_pb2.ClassificationRequest,
        timeout: float | None,
    ) -> classification_pb2.ClassificationResponse:
        """Examples to labels and scores."""
        self._check_size(request)
        response = classify(
            manager, request, self._limits, self._check_name, timeout
        )
        self._count(request.model_spec.name, request.input)
        return response

    def regress(
        self,
        manager: "ModelManager",
        request: regression_pb2.RegressionRequest,
        timeout: float | None,
    ) -> regression_pb2.RegressionResponse:
        """Examples to values."""
        self._check_size(request)
        response = regress(
            manager, request, self._limits, self._check_name, timeout
        )
        self._count(request.model_spec.name, request.input)
        return response

    def multi_inference(
        self,
        manager: "ModelManager",
        request: inference_pb2.MultiInferenceRequest,
        timeout: float | None,
    ) -> inference_pb2.MultiInferenceResponse:
        """Examples through several signatures of one model."""
        self._check_size(request)
        response = multi_inference(
            manager, request, self._limits, self._check_name, timeout
        )
        self._count(request.tasks[0].model_spec.name, request.input)
        return response

    def get_model_metadata(
        self,
        manager: "ModelManager",
        request: get_model_metadata_pb2.GetModelMetadataRequest,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model; needs no run of it."""
        return get_model_metadata(manager, request)

    def _check_size(self, request: Message) -> None:
        self._limits.check_message(request.ByteSize())

    def _count(self, model: str, examples: input_pb2.Input) -> None:
        kind = examples.WhichOneof("kind")
        found: list[example_pb2.Example] = getattr(examples, kind).examples
        self._metrics.examples(model, len(found))

"""The REST API: HTTP requests to the calls that gRPC has, JSON both ways.

In: a Request. Out: a Response; errors as `{"error": text}` with the HTTP
status that belongs to their code. Metrics for Prometheus are at a path of
their own.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import (
    inference,
    json_answer,
    json_examples,
    json_request,
    logs,
    metrics,
    rest_routes,
    status,
)
from serving.calls import Call, Calls
from serving.http_message import Request, Response
from serving.methods import Methods

_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
)
_METHODS = {
    "classify": "Classify",
    "regress": "Regress",
    "predict": "Predict",
    "status": "GetModelStatus",
    "metadata": "GetModelMetadata",
}
# From a manager, a model and a body to a body.
Action = Callable[[Any, model_pb2.ModelSpec, bytes], bytes]


@dataclass(frozen=True)
class RestSettings:
    """`timeout`: seconds that a model may take, None: for ever.

    `metrics_path`: where Prometheus reads; None: nowhere.
    """

    timeout: float | None = 30.0
    cors: bool = False
    metrics_path: str | None = None


class RestApi:
    """A handler of HTTP requests, for any number of threads."""

    def __init__(self, calls: Calls, methods: Methods, settings: RestSettings):
        self._calls, self._methods = calls, methods
        self._settings = settings
        self._actions: dict[str, Action] = {
            "classify": self._classify,
            "regress": self._regress,
            "predict": self._predict,
            "status": self._status,
            "metadata": self._metadata,
        }

    def __call__(self, request: Request) -> Response:
        """Answers a request; raises nothing."""
        identity = logs.request_id(request.headers.get("x-request-id"))
        extra: tuple[tuple[str, str], ...] = (("X-Request-Id", identity),)
        if self._settings.cors:
            extra += _CORS
        if request.path == self._settings.metrics_path:
            page = self._calls.metrics.page()
            return Response(200, page, metrics.CONTENT_TYPE, extra)
        if self._settings.cors and request.method == "OPTIONS":
            return Response(200, b"", headers=extra)
        if not rest_routes.is_api(request.path):
            text = f"Not found: {request.method} {request.path}"
            body = json_answer.error(text)
            return Response(HTTPStatus.NOT_FOUND, body, headers=extra)
        try:
            body = self._answer(request, identity)
        except status.ServingError as error:
            # Whole: only gRPC cuts texts.
            body = json_answer.error(error.message)
            return Response(error.http_status, body, headers=extra)
        return Response(200, body, headers=extra)

    def _answer(self, request: Request, identity: str) -> bytes:
        try:
            route = rest_routes.route(request.method, request.path)
        except status.ServingError as error:
            self._calls.log.info(
                "request",
                id=identity,
                entrypoint="REST",
                method=f"{request.method} {request.path}",
                code=error.code.name,
                error=error.message,
            )
            raise
        call = Call("REST", _METHODS[route.action], identity)
        action = self._actions[route.action]
        return self._calls.run(
            call, route.spec, lambda m: action(m, route.spec, request.body)
        )

    def _predict(
        self, manager: Any, spec: model_pb2.ModelSpec, body: bytes
    ) -> bytes:
        request = predict_pb2.PredictRequest(model_spec=spec)
        types_of = functools.partial(_input_types, manager, spec)
        in_rows = json_request.fill_predict(body, types_of, request)
        response = self._methods.predict(
            manager, request, self._settings.timeout
        )
        if in_rows:
            return json_answer.rows(response.outputs)
        return json_answer.columns(response.outputs)

    def _classify(
        self, manager: Any, spec: model_pb2.ModelSpec, body: bytes
    ) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        json_examples.fill_examples(body, request)
        response = self._methods.classify(
            manager, request, self._settings.timeout
        )
        return json_answer.classifications(response.result)

    def _regress(
        self, manager: Any, spec: model_pb2.ModelSpec, body: bytes
    ) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        json_examples.fill_examples(body, request)
        response = self._methods.regress(
            manager, request, self._settings.timeout
        )
        return json_answer.regressions(response.result)

    def _status(
        self, manager: Any, spec: model_pb2.ModelSpec, body: bytes
    ) -> bytes:
        return json_answer.message(self._calls.manager.status(spec))

    def _metadata(
        self, manager: Any, spec: model_pb2.ModelSpec, body: bytes
    ) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        return json_answer.metadata(
            self._methods.get_model_metadata(manager, request)
        )


def _input_types(
    manager: Any, spec: model_pb2.ModelSpec, name: str
) -> Mapping[str, int]:
    """Types of a signature's inputs, in the order of their names."""
    name = name or inference.DEFAULT_SIGNATURE
    with manager.handle(spec) as handle:
        signatures = handle.servable.signatures
        if name not in signatures:
            raise status.ServingError(
                StatusCode.INVALID_ARGUMENT,
                f'Serving signature name: "{name}" not found in signature def',
            )
        inputs = signatures[name].inputs
        return {alias: inputs[alias].dtype for alias in sorted(inputs)}

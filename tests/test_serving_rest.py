"""serving.rest and rest_routes: TensorFlow Serving's REST rules."""

import gzip
import json

import pytest
import serving_models
from serving_running import running

from serving import rest_routes
from serving.status import ServingError

CONFIG = """model_config_list {
  config {
    name: "m" base_path: "BASE/m" model_platform: "tensorflow"
    model_version_policy { all {} }
    version_labels { key: "stable" value: 1 }
  }
  config { name: "heads" base_path: "BASE/heads" model_platform: "tensorflow" }
  config { name: "a b" base_path: "BASE/m" model_platform: "tensorflow" }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.half_plus(base / "m" / "1", 2)
    serving_models.half_plus(base / "m" / "2", 3)
    serving_models.heads(base / "heads" / "1")
    config, monitoring = base / "config.txt", base / "monitoring.txt"
    config.write_text(CONFIG.replace("BASE", str(base)))
    monitoring.write_text('prometheus_config {enable: true path: "/metrics"}')
    with running(
        model_config_file=str(config),
        monitoring_config_file=str(monitoring),
        allow_version_labels_for_unavailable_models=True,
        rest_api_enable_cors_support=True,
        max_request_bytes=2**20,
    ) as found:
        yield found


PREDICTED = [
    ("/v1/models/m:predict", {"instances": [1, 2]}, {"predictions": [3.5, 4]}),
    ("/V1/Models/m:predict", {"inputs": [1]}, {"outputs": [3.5]}),
    ("/v1/models/m/versions/1:predict", {"inputs": [1]}, {"outputs": [2.5]}),
    ("/v1/models/m/labels/stable:predict", {"inputs": [1]}, {"outputs": [2.5]}),
    ("/v1/models/a%20b:predict", {"inputs": [1]}, {"outputs": [3.5]}),
    ("/v1/models/m:predict?x=y", {"inputs": [1]}, {"outputs": [3.5]}),
    (
        "/v1/models/m:predict",
        {"instances": [{"x": 1}, {"x": 2}]},
        {"predictions": [3.5, 4]},
    ),
    (
        "/v1/models/m:predict",
        {
            "signature_name": "two",
            "instances": [{"a": [[1, 2, 3]], "b": 4}, {"a": [[0] * 3], "b": 1}],
        },
        {
            "predictions": [
                {"shape": [2, 1, 3], "sum": 10},
                {"shape": [2, 1, 3], "sum": 1},
            ]
        },
    ),
    (
        "/v1/models/m:predict",
        {"signature_name": "two", "inputs": {"a": [[[1, 2, 3]]], "b": [4]}},
        {"outputs": {"shape": [[1, 1, 3]], "sum": [10]}},
    ),
    (
        # "hi" in base64, for an input of any name; bytes out by `_bytes`.
        "/v1/models/m:predict",
        {"signature_name": "text", "instances": [{"b64": "aGk="}, "ho"]},
        {
            "predictions": [
                {"upper_bytes": {"b64": "SEk="}, "length": 2},
                {"upper_bytes": {"b64": "SE8="}, "length": 2},
            ]
        },
    ),
    (
        "/v1/models/heads:classify",
        {"examples": [{"x": 0.25}]},
        {"results": [[["low", 0.75], ["high", 0.25]]]},
    ),
    (
        "/v1/models/heads:regress",
        {"signature_name": "regress", "examples": [{"x": 0.5}, {"x": 0.25}]},
        {"results": [2.25, 2.125]},
    ),
]


@pytest.mark.parametrize(("path", "body", "expected"), PREDICTED)
def test_predictions(server, path, body, expected):
    assert server.json(path, body) == (200, expected)


def test_not_a_number_and_shortest_decimals(server):
    body = b'{"instances": [NaN, Infinity, -Infinity, 0.2, 5.2]}'
    code, headers, text = server.http("POST", "/v1/models/m:predict", body)
    assert code == 200 and headers["Content-Type"] == "application/json"
    assert text == b'{"predictions": [NaN, Infinity, -Infinity, 3.1, 5.6]}'


FAILED = [
    ("POST", "/v1/models/none:predict", 404, "Servable not found for request:"),
    (
        "POST",
        "/v1/models/m/versions/9:predict",
        404,
        "Servable not found for request: Specific(m, 9)",
    ),
    (
        "POST",
        "/v1/models/m/labels/x:predict",
        400,
        "Unrecognized servable version label: x",
    ),
    (
        "POST",
        "/v1/models/m/versions/99999999999999999999:predict",
        400,
        "Failed to convert version: 99999999999999999999 to numeric.",
    ),
    ("POST", "/v1/models/m", 400, "Malformed request: POST /v1/models/m"),
    ("POST", "/v1/models/m:Predict", 400, "Malformed request: POST /v1/models"),
    ("POST", "/v1/models/m:fly", 400, "Malformed request: POST /v1/models/m"),
    ("GET", "/v1/models/m:predict", 400, "Malformed request: GET /v1/models/m"),
    ("PUT", "/v1/models/m:predict", 400, "Malformed request: PUT /v1/models/m"),
    ("GET", "/v1/models/a/b", 400, "Malformed request: GET /v1/models/a/b"),
    ("GET", "/v1/models", 400, "Missing model name in request."),
    ("GET", "/v1/models/%ff", 400, "Failed to decode model name:%ff"),
    ("GET", "/v1/models/none", 404, "Could not find any versions of model non"),
    ("GET", "/v1/models/none/metadata", 404, "Servable not found for request"),
    (
        "GET",
        "/v1/models/m/versions/9",
        404,
        "Could not find version 9 of model m",
    ),
    ("GET", "/", 404, "Not found: GET /"),
    ("GET", "/v1/../../etc/passwd", 400, "Malformed request: GET /v1/../../et"),
    ("GET", "/v1/models/..%2f..%2fetc", 404, "Could not find any versions of"),
]


@pytest.mark.parametrize(("method", "path", "status", "text"), FAILED)
def test_errors(server, method, path, status, text):
    body = b'{"inputs": [1]}' if method == "POST" else None
    code, headers, answer = server.http(method, path, body)
    assert code == status and headers["Content-Type"] == "application/json"
    assert json.loads(answer)["error"].startswith(text)


def test_an_unknown_signature_is_another_error_than_by_grpc(server):
    body = {"signature_name": "S", "inputs": 1}
    assert server.json("/v1/models/m:predict", body) == (
        400,
        {"error": 'Serving signature name: "S" not found in signature def'},
    )


def test_status(server):
    code, answer = server.json("/v1/models/m")
    fine = {"error_code": "OK", "error_message": ""}
    assert code == 200 and answer == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": fine},
            {"version": "1", "state": "AVAILABLE", "status": fine},
        ]
    }
    code, answer = server.json("/v1/models/m/versions/1")
    assert [row["version"] for row in answer["model_version_status"]] == ["1"]


def test_metadata(server):
    code, answer = server.json("/v1/models/m/labels/stable/metadata")
    assert code == 200 and answer["model_spec"]["version"] == "1"
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    found = signatures["serving_default"]
    assert found["method_name"] == "tensorflow/serving/predict"
    assert found["inputs"]["x"]["dtype"] == "DT_FLOAT"
    shape = found["inputs"]["x"]["tensor_shape"]
    assert shape["dim"][0]["size"] == "-1" and not shape["unknown_rank"]


def test_compressed_bodies(server):
    path, body = "/v1/models/m:predict", gzip.compress(b'{"inputs": [1]}')
    headers = {"Content-Encoding": "gzip"}
    code, _, text = server.http("POST", path, body, headers)
    assert (code, json.loads(text)) == (200, {"outputs": [3.5]})
    bomb = gzip.compress(b"[" * 2**24)
    assert len(bomb) < 2**15
    assert server.http("POST", path, bomb, headers)[0] == 413
    assert server.http("POST", path, body[:-4], headers)[0] == 400
    assert server.http("POST", path, b"{}", headers)[0] == 400
    other = {"Content-Encoding": "br"}
    assert server.http("POST", path, b"{}", other)[0] == 415


def test_cors(server):
    code, headers, _ = server.http("OPTIONS", "/v1/models/m:predict")
    assert code == 200 and headers["Access-Control-Allow-Origin"] == "*"
    _, headers, _ = server.http("GET", "/v1/models/m")
    assert headers["Access-Control-Allow-Methods"] == "POST, GET"


def test_the_page_of_metrics(server):
    server.json("/v1/models/m:predict", {"inputs": [1]})
    server.json("/v1/models/invented:predict", {"inputs": [1]})
    code, headers, page = server.http("GET", "/metrics")
    assert code == 200 and headers["Content-Type"] == "text/plain"
    text = page.decode()
    name = ":tensorflow:serving:request_count"
    assert f"# TYPE {name} counter" in text
    assert f'{name}{{model_name="m",status="OK"}} ' in text
    # Names that clients invent are no labels.
    assert f'{name}{{model_name="",status="NOT_FOUND"}} ' in text
    assert "invented" not in text
    labels = 'model_name="m",API="predict",entrypoint="REST"'
    assert f":tensorflow:serving:request_latency_count{{{labels}}} " in text


def test_ids_of_requests(server):
    headers = {"X-Request-Id": "an-id"}
    _, answer, _ = server.http("GET", "/v1/models/m", headers=headers)
    assert answer["X-Request-Id"] == "an-id"
    headers = {"X-Request-Id": 'forged" id'}
    _, answer, _ = server.http("GET", "/v1/models/m", headers=headers)
    assert len(answer["X-Request-Id"]) == 16


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/models/m", ("status", "m", 0, "")),
        ("GET", "/v1/models/m/METADATA", ("status", "m", 0, "")),
        ("GET", "/v1/models/m/metadata", ("metadata", "m", 0, "")),
        ("POST", "/V1/MODELS/m:regress", ("regress", "m", 0, "")),
        ("POST", "/v1/models/m/versions/03:predict", ("predict", "m", 3, "")),
        ("POST", "/v1/models/m/labels/%41:predict", ("predict", "m", 0, "A")),
        ("POST", "/v1/models/%2e%2E:predict", ("predict", "..", 0, "")),
    ],
)
def test_routes(method, path, expected):
    found = rest_routes.route(method, path)
    spec = found.spec
    assert expected == (
        found.action,
        spec.name,
        spec.version.value,
        spec.version_label,
    )


def test_a_version_is_written_in_plain_digits():
    with pytest.raises(ServingError, match="Malformed request: POST"):
        rest_routes.route("POST", "/v1/models/m/versions/٣:predict")

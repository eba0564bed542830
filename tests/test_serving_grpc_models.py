"""ModelService as TensorFlow Serving: status, reload, labels, ports."""

import io
import time

import pytest
import serving_models
from google.protobuf import text_format
from serving_running import error_of, predict_request, running
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
)

from histogan_tf.errors import InputError
from serving.logs import Log
from serving.manager import ModelManager
from serving.server_app import ModelServer
from serving.server_settings import ServerSettings
from serving.settings import ManagerSettings
from serving.status import ServingError

INVALID = "INVALID_ARGUMENT"
X = {"x": [1.0, 2.0]}
CONFIG = """model_config_list {
  config {
    name: "m" base_path: "BASE/m" model_platform: "tensorflow"
    model_version_policy { all {} }
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1", 2)
    serving_models.half_plus(folder / "m" / "2", 3)
    config = CONFIG.replace("BASE", str(folder))
    (folder / "config.txt").write_text(config + "} }")
    return folder


@pytest.fixture(scope="module")
def server(base):
    with running(model_config_file=str(base / "config.txt")) as found:
        # The second version may come a moment later.
        call, request = found.models.GetModelStatus, status_request()
        for _ in range(100):
            rows = call(request).model_version_status
            if [row.state for row in rows] == [30, 30]:
                break
            time.sleep(0.1)
        yield found


def status_request():
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    return request


def test_status(server):
    request = status_request()
    request.model_spec.version_label = "not looked at"
    rows = server.models.GetModelStatus(request).model_version_status
    assert [(row.version, row.state) for row in rows] == [(2, 30), (1, 30)]
    request.model_spec.version.value = 9
    text = "Could not find version 9 of model m"
    call = server.models.GetModelStatus
    assert error_of(call, request) == ("NOT_FOUND", text)
    request.model_spec.name = "none"
    request.model_spec.ClearField("version")
    text = "Could not find any versions of model none"
    assert error_of(call, request) == ("NOT_FOUND", text)


LIST = "model_config_list { %s }"
ENTRY = 'config { name: "m" base_path: "%s" model_platform: "%s" %s }'


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "custom_model_config {}",
            INVALID,
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported",
        ),
        (
            LIST % (ENTRY % ("/a", "tensorflow", "") * 2),
            INVALID,
            "Illegal to list model m multiple times in config list",
        ),
        (
            LIST % ENTRY % ("a/b", "tensorflow", ""),
            INVALID,
            "Expected model m to have an absolute path or URI; got"
            " base_path()=a/b",
        ),
        (
            LIST % ENTRY % ("/a", "other", ""),
            INVALID,
            "Illegal to change a model's platform.",
        ),
    ],
)
def test_reload_errors(server, text, code, message):
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text, request.config)
    call = server.models.HandleReloadConfigRequest
    found = error_of(call, request)
    assert found[0] == code and found[1].startswith(message)
    # Nothing has changed.
    server.predictions.Predict(predict_request(inputs=X))


def test_labels(server, base):
    config = CONFIG.replace("BASE", str(base))
    entry = 'version_labels { key: "L" value: %d } } }'
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(config + entry % 5, request.config)
    call = server.models.HandleReloadConfigRequest
    assert error_of(call, request) == (
        "FAILED_PRECONDITION",
        "Request to assign label to version 5 of model m, which is not"
        " currently available for inference",
    )
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(config + entry % 1, request.config)
    call(request)
    answer = server.predictions.Predict(
        predict_request(inputs=X, version_label="L")
    )
    assert answer.model_spec.version.value == 1


def test_labels_before_the_first_config():
    # Ports open later: this is seen in the process only.
    request = predict_request(version_label="L")
    manager = ModelManager(ManagerSettings())
    with (
        pytest.raises(ServingError) as error,
        manager.handle(request.model_spec),
    ):
        pass
    assert error.value.code.name == "UNAVAILABLE"
    assert error.value.message == "Model labels does not init yet.L"


def test_a_port_is_not_shared(server, base):
    settings = ServerSettings(
        port=server.settings.port, model_base_path=str(base / "m")
    )
    second = ModelServer(settings, Log("json", io.StringIO()))
    with pytest.raises(InputError, match="cannot listen on 127"):
        second.start()
    assert second.stop()
    server.predictions.Predict(predict_request(inputs=X))

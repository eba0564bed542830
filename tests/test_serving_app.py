"""serving.server_app: what it asks of the system."""

import resource

import serving_models
from serving_running import predict_request, running


def test_open_files_are_allowed_without_rest_too(tmp_path):
    serving_models.half_plus(tmp_path / "m" / "1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 600
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        with running(
            model_name="m",
            model_base_path=str(tmp_path / "m"),
            rest_api_port=0,
            max_connections=100,
        ) as server:
            found, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            # 100 connections of each kind, and 512 for the rest.
            assert found == min(712, hard)
            server.predictions.Predict(predict_request(inputs={"x": [1.0]}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

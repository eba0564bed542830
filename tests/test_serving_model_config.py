"""Model configs: files, checks, the server's own texts."""

import pathlib

import pytest
from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from histogan_tf.errors import InputError
from serving import model_config
from serving.status import ServingError

EMPTY = model_server_config_pb2.ModelServerConfig()

SEVERAL = """
# As in the documentation of TensorFlow Serving.
model_config_list {
  config {
    name: 'first'
    base_path: '/models/first'
    model_platform: 'tensorflow'
    model_version_policy { specific { versions: 42 versions: 43 } }
    version_labels { key: 'stable' value: 42 }
    version_labels { key: 'canary' value: 43 }
  }
  config: < name: "second", base_path: "/models/second"
            model_type: TENSORFLOW >
}
"""


def parse(tmp_path, text):
    path = tmp_path / "models.config"
    path.write_text(text)
    return model_config.read(str(path))


def listed(*models):
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.SetInParent()
    for model in models:
        model = {"model_platform": "tensorflow", **model}
        config.model_config_list.config.add(**model)
    return config


def refused(text, new, old=EMPTY):
    with pytest.raises(ServingError) as caught:
        model_config.check(new, old)
    assert caught.value.code == StatusCode.INVALID_ARGUMENT
    assert caught.value.message == text


def test_file(tmp_path):
    config = parse(tmp_path, SEVERAL)
    model_config.check(config, EMPTY)
    first, second = config.model_config_list.config
    assert list(first.model_version_policy.specific.versions) == [42, 43]
    assert dict(first.version_labels) == {"stable": 42, "canary": 43}
    assert second.base_path == "/models/second"


def test_single():
    config = model_config.single("m", "/models/m")
    model_config.check(config, config)
    assert config == listed({"name": "m", "base_path": "/models/m"})


def test_unparsable_file(tmp_path):
    for text in (
        "model_config_list {",
        "model_config_list { config { nam: 'a' } }",
        "model_config_list { config { model_type: CAFFE } }",
        "{}",
        "\0",
        "model_config_list { config { version_labels { value: 'x' } } }",
    ):
        with pytest.raises(InputError) as caught:
            parse(tmp_path, text)
        start = (
            f"{tmp_path}/models.config: Error parsing text-format"
            " tensorflow.serving.ModelServerConfig: 1:"
        )
        assert str(caught.value).startswith(start)


def test_unreadable_files(tmp_path):
    (tmp_path / "latin").write_bytes(b"# \xe9")
    for name in ("none", "", "latin", "a\0b"):
        path = str(tmp_path / name)
        with pytest.raises(InputError) as caught:
            model_config.read(path)
        assert str(caught.value).startswith(path)


def test_config_is_no_list():
    text = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest."
        " Only ModelConfigList is currently supported"
    )
    custom = model_server_config_pb2.ModelServerConfig()
    custom.custom_model_config.SetInParent()
    refused(text, custom)
    model_config.check(listed(), EMPTY)  # empty, but a list


def test_empty_configs():
    assert model_config.is_empty(EMPTY, EMPTY)
    assert not model_config.is_empty(listed(), EMPTY)
    with pytest.raises(ServingError, match="from one ModelConfigList to ano"):
        model_config.is_empty(EMPTY, listed())


def test_name_listed_twice():
    refused(
        "Illegal to list model m multiple times in config list",
        listed(
            {"name": "m", "base_path": "/a"}, {"name": "m", "base_path": "/b"}
        ),
    )


@pytest.mark.parametrize("path", ["", "models/m", "./m", "../m", "~/m", "c:m"])
def test_relative_paths(path):
    refused(
        "Expected model m to have an absolute path or URI; got"
        f" base_path()={path}",
        listed({"name": "m", "base_path": path}),
    )


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a\0b", "/a/.."])
def test_path_tricks(path):
    refused(
        "Expected model m to have a path without NUL and '..'; got"
        f" base_path()={path!r}",
        listed({"name": "m", "base_path": path}),
    )


def test_remote_paths():
    refused(
        "Expected model m to have a local path: this server reads no gs://;"
        " got base_path()=gs://bucket/m",
        listed({"name": "m", "base_path": "gs://bucket/m"}),
    )


def test_dots_in_names_are_fine():
    model_config.check(listed({"name": "m", "base_path": "/a..b/.c"}), EMPTY)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_bad_names(name):
    refused(
        f"Expected a model name, without NUL; got name()={name!r}",
        listed({"name": name, "base_path": "/m"}),
    )


def test_platforms():
    m = {"name": "m", "base_path": "/m"}
    start = "Illegal setting "
    refused(
        start + "neither ModelServerConfig::model_type (deprecated) nor"
        " ModelServerConfig::model_platform.",
        listed({**m, "model_platform": ""}),
    )
    refused(
        start + "both ModelServerConfig::model_type (deprecated) and"
        " ModelServerConfig::model_platform.",
        listed({**m, "model_type": 1}),
    )
    refused(
        "ModelServerConfig::model_type choice 2 not supported.",
        listed({**m, "model_type": 2, "model_platform": ""}),
    )
    refused(
        "Model m requests unsupported platform caffe",
        listed({**m, "model_platform": "caffe"}),
    )


def test_platform_may_not_change():
    m = {"name": "m", "base_path": "/m"}
    other = listed({**m, "model_platform": "caffe"})
    refused(
        "Illegal to change a model's platform. For model m platform was"
        " tensorflow and new platform requested is caffe",
        other,
        old=listed(m),
    )
    # The same platform in the deprecated field is no change.
    old_field = listed({**m, "model_type": 1, "model_platform": ""})
    model_config.check(old_field, listed(m))


def test_folder_of_the_file_does_not_matter(tmp_path, monkeypatch):
    config = parse(tmp_path, SEVERAL)
    monkeypatch.chdir(tmp_path)
    assert model_config.read("models.config") == config
    assert pathlib.Path("models.config").exists()

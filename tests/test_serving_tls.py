"""serving.tls and ssl_config: TLS and mutual TLS by gRPC and REST."""

import contextlib
import datetime
import http.client
import ipaddress
import ssl

import grpc
import pytest
import serving_models
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from programs import run_program
from serving_running import predict_request, running
from tensorflow_serving.apis import prediction_service_pb2_grpc

from histogan_tf.errors import InputError
from serving import tls


class Party:
    """A key and its certificate, signed by `issuer` or by itself."""

    def __init__(self, name, issuer=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        now = datetime.datetime.now(datetime.UTC)
        hosts = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        authority = x509.BasicConstraints(ca=issuer is None, path_length=None)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(hosts, critical=False)
            .add_extension(authority, critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    def save(self, folder, name):
        """Writes name.key and name.pem; returns their paths."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.pem").write_bytes(pem)
        return folder / f"{name}.key", folder / f"{name}.pem"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("tls")
    authority = Party("authority")
    authority.save(found, "authority")
    Party("server", authority).save(found, "server")
    Party("client", authority).save(found, "client")
    Party("stranger").save(found, "stranger")
    serving_models.half_plus(found / "m" / "1")
    return found


@pytest.fixture
def write(folder, tmp_path, capsys, monkeypatch):
    """Writes a config by the program; returns its path."""

    def make(mutual=False, **changed):
        output = tmp_path / "ssl.config"
        given = {
            "key": folder / "server.key",
            "certificate": folder / "server.pem",
            "output": output,
        }
        if mutual:
            given["authority"] = folder / "authority.pem"
        found = run_program(
            "serving.ssl_config", capsys, monkeypatch, **(given | changed)
        )
        return output, found

    return make


def grpc_call(folder, port, client=None):
    """A predict call over TLS, as `client` or as nobody."""
    parts = [(folder / "authority.pem").read_bytes(), None, None]
    if client:
        parts[1:] = [
            (folder / f"{client}.key").read_bytes(),
            (folder / f"{client}.pem").read_bytes(),
        ]
    credentials = grpc.ssl_channel_credentials(*parts)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(predict_request(inputs={"x": [2.0]}), timeout=10)
    return list(answer.outputs["y"].float_val)


def http_call(folder, port, client=None):
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    if client:
        context.load_cert_chain(
            folder / f"{client}.pem", folder / f"{client}.key"
        )
    link = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=10, context=context
    )
    with contextlib.closing(link):
        link.request("POST", "/v1/models/m:predict", b'{"inputs": [2]}')
        return link.getresponse().read()


def start(folder, config):
    return running(
        model_name="m",
        model_base_path=str(folder / "m"),
        ssl_config_file=str(config),
    )


def test_tls(folder, write):
    path, (code, _, _) = write()
    assert code == 0 and path.stat().st_mode & 0o777 == 0o600
    with start(folder, path) as server:
        settings = server.settings
        assert grpc_call(folder, settings.port) == [3.0]
        found = http_call(folder, settings.rest_api_port)
        assert found == b'{"outputs": [3.0]}'
        # Without encryption there is no answer.
        with pytest.raises(grpc.RpcError):
            server.predictions.Predict(
                predict_request(inputs={"x": [2.0]}), timeout=5
            )
        with pytest.raises((OSError, http.client.HTTPException)):
            server.http("GET", "/v1/models/m", timeout=5)


def test_mutual_tls(folder, write):
    path, _ = write(mutual=True)
    with start(folder, path) as server:
        settings = server.settings
        assert grpc_call(folder, settings.port, "client") == [3.0]
        found = http_call(folder, settings.rest_api_port, "client")
        assert found == b'{"outputs": [3.0]}'
        for client in (None, "stranger"):
            with pytest.raises(grpc.RpcError) as error:
                grpc_call(folder, settings.port, client)
            assert error.value.code().name == "UNAVAILABLE"
            with pytest.raises(OSError):
                http_call(folder, settings.rest_api_port, client)


def test_key_and_certificate_must_belong_together(folder, write):
    path, (code, _, text) = write(key=folder / "client.key")
    assert code == 2 and "must be PEM texts that belong together" in text
    assert not path.exists()
    _, (code, _, text) = write(key=folder / "nowhere.key")
    assert code == 2 and "nowhere.key: No such file" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server_key: 1", "Invalid protobuf file"),
        ("key: 'a'", "SSLConfig"),
        ("server_cert: 'a'", "server_key is empty"),
        ("server_key: 'a' server_cert: 'b'", "must be PEM texts"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "ssl.config"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        tls.read(str(path))
    assert str(error.value).startswith(f"{path}: ")

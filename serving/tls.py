"""TLS and mutual TLS from TensorFlow Serving's ssl config file.

In: a text file of an SSLConfig: PEM texts of key and certificate, of the
authority that signs clients' certificates, and whether those are required.
Out: credentials for gRPC and a context for REST (the real server encrypts
gRPC only). Without `custom_ca`, clients are held against the system's
authorities.
"""

import os
import ssl
import tempfile

import grpc
from google.protobuf import text_format

from histogan_tf.errors import InputError
from serving.protos import ssl_config_pb2


def read(path: str) -> ssl_config_pb2.SSLConfig:
    """Reads and checks a config.

    Raises:
      InputError: names the file and the field that is wrong.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        config = text_format.Parse(text, ssl_config_pb2.SSLConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: Invalid protobuf file: {error}; an SSLConfig is needed"
        ) from error
    check(config, path)
    return config


def check(config: ssl_config_pb2.SSLConfig, source: str) -> None:
    """Raises InputError, which names `source` and field, for a bad config."""
    for name in ("server_key", "server_cert"):
        if not getattr(config, name):
            raise InputError(f"{source}: {name} is empty; it holds a PEM text")
    try:
        http_context(config)
    except (ssl.SSLError, ValueError) as error:
        raise InputError(
            f"{source}: server_key, server_cert and custom_ca must be PEM"
            f" texts that belong together: {error}"
        ) from error


def grpc_credentials(
    config: ssl_config_pb2.SSLConfig,
) -> grpc.ServerCredentials:
    """Credentials of a gRPC port."""
    authority = config.custom_ca.encode() or None
    if config.client_verify and authority is None:
        authority = _system_authorities()
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=authority if config.client_verify else None,
        require_client_auth=config.client_verify,
    )


def _system_authorities() -> bytes:
    context = ssl.create_default_context()
    found = context.get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()


def http_context(config: ssl_config_pb2.SSLConfig) -> ssl.SSLContext:
    """The context of an HTTP port.

    Raises:
      ssl.SSLError: key and certificates are broken or no pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python loads keys from files only; this one is gone at once, and nobody
    # else may read it. A key with a password would ask for it on a terminal.
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0o600)
        file.write(f"{config.server_key}\n{config.server_cert}".encode())
        file.flush()
        context.load_cert_chain(file.name, password=lambda: b"")
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
        if config.custom_ca:
            context.load_verify_locations(cadata=config.custom_ca)
        else:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    return context

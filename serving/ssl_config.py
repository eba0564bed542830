r"""PEM files -> the ssl config file of TensorFlow Serving.

    python -m serving.ssl_config --key server.key --certificate server.pem \
        [--authority clients.pem] --output ssl.config

With --authority, clients must show a certificate that it has signed. The
output holds the private key: only its owner may read it.
"""

import os
import pathlib

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError

flags.DEFINE_string("key", None, "PEM of the server's private key")
flags.DEFINE_string("certificate", None, "PEM of its certificate, and chain")
flags.DEFINE_string("authority", None, "PEM of who signs clients' certificates")
flags.DEFINE_string("output", None, "file to write")
flags.mark_flags_as_required(["key", "certificate", "output"])


def main() -> None:
    """Writes the file, once it is found to be sound."""
    from google.protobuf import text_format

    from histogan_tf.files import atomic_write
    from serving import tls
    from serving.protos import ssl_config_pb2

    config = ssl_config_pb2.SSLConfig(
        server_key=_text("key"), server_cert=_text("certificate")
    )
    if flags.FLAGS.authority:
        config.custom_ca = _text("authority")
        config.client_verify = True
    output = flags.FLAGS.output
    tls.check(config, "--key, --certificate, --authority")
    previous = os.umask(0o077)
    try:
        atomic_write(output, text_format.MessageToString(config).encode())
    finally:
        os.umask(previous)
    print(output)


def _text(flag: str) -> str:
    path = pathlib.Path(str(flags.FLAGS[flag].value))
    try:
        return path.read_text("ascii")
    except UnicodeDecodeError as error:
        raise InputError(f"--{flag} {path}: not a PEM text") from error


if __name__ == "__main__":
    program.run(main)

"""Are the ports free? Asked before models are loaded, which takes a while.

In: settings. Out: nothing, or an error that names the flag. The ports are let
go again: gRPC listens as soon as it binds, and probes of a port that listens
would send requests to a server without models. Who takes a port meanwhile is
found when it is opened.
"""

import contextlib
import os
import socket

from histogan_tf.errors import InputError
from serving.server_settings import ServerSettings


def check_free(settings: ServerSettings) -> None:
    """Raises InputError for a port that is taken or not to be had."""
    for flag, port in (
        ("port", settings.port),
        ("rest_api_port", settings.rest_api_port),
    ):
        if not port:
            continue
        try:
            _try(settings.host, port)
        except OSError as error:
            raise refused(flag, settings.address(port), error) from error


def refused(flag: str, address: str, error: OSError) -> InputError:
    """How it is said that an address cannot be listened on."""
    # asyncio's errors have a long text of their own around that.
    number = error.errno or 0  # below 0: of looking a name up
    cause = os.strerror(number) if number > 0 else error.strerror or error
    return InputError(
        f"--{flag}, --host: cannot listen on {address}: {cause}; a free port"
        " of an address of this machine is needed"
    )


def _try(host: str, port: int) -> None:
    """Binds to one of the host's addresses; raises OSError if none works."""
    failed = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with contextlib.closing(socket.socket(family, kind, protocol)) as one:
            # As servers do: connections that have ended do not count.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                one.bind(address)
                return
            except OSError as error:
                failed = error
    if failed:
        raise failed

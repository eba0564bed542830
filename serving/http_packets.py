"""Head and body of HTTP messages as TCP packets, without needless waits.

In: the stream of a connection. Out: bytes on the wire. asyncio itself sets
TCP_NODELAY on every connection, so what is written here leaves at once.
"""

import asyncio
import contextlib
import socket

JOINED = 2**16  # bytes of a body that leaves in one piece with its head
QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


def acknowledge(writer: asyncio.StreamWriter) -> None:
    """Acknowledges what has come so far, where the system can.

    To be called between head and body. Many clients write them one after the
    other: by Nagle's rule the body then waits for the head's acknowledgement,
    which Linux delays by 40 ms. The option does not last (tcp(7)).
    """
    if QUICK_ACK is not None:
        link = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # gone: reading will tell
            link.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)


def write(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    """Hands over an answer; a small one as one packet, not two."""
    if len(body) <= JOINED:
        writer.write(head + body)
    else:  # without a copy
        writer.write(head)
        writer.write(body)

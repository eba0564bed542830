"""What the clients of an HTTP port may ask of it, and for how long.

In: the server's settings. Out: frozen bounds, which `http_server.py` keeps.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpLimits:
    """Bounds of one server; seconds and bytes, all above 0.

    `idle`: seconds between requests, and between the pieces of one. `head`:
    seconds for request line and headers. `rate`: bytes a second below which a
    client is too slow, after the seconds of `head`. `held_bytes`: of all
    bodies at once; `parsed_bytes`, about, of all values that bodies become;
    `answer_bytes`: of all answers that clients have not taken yet. One alone is
    always let through.
    """

    body_bytes: int = 2**28
    held_bytes: int = 2**30
    parsed_bytes: int = 2**31
    answer_bytes: int = 2**30
    connections: int = 4096
    threads: int = 8
    idle: float = 60.0
    head: float = 10.0
    rate: float = 2**16

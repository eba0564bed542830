"""ProfilerService: traces of the running server, for TensorBoard.

In: requests of TensorBoard's "capture profile" and of
`tf.profiler.experimental.client.trace`. Out: a trace of all that the process
does in that time, `<repository_root>/<session_id>/<host_name>.xplane.pb`,
written by the server as TensorFlow's own service does (codes and texts are
its own, too; tsl/profiler/rpc/profiler_service_impl.cc). Unlike it, a
session and a host are names, not paths, and a trace has a longest duration:
it is held in memory.
"""

import asyncio
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import profiler_options_pb2, xplane_pb2

from serving import status
from serving.logs import Log
from serving.protos import profiler_service_pb2 as protos

SERVICE = "tensorflow.ProfilerService"
# Milliseconds of a trace, and of the wait for its beginning.
LONGEST = 60_000
_ACTIVE = "Another profiler session active."


@dataclass
class _Session:
    """A trace; when `over` is set it ends, `wanted` or thrown away."""

    name: str
    over: threading.Event = field(default_factory=threading.Event)
    wanted: bool = True


class ProfilerServicer:
    """One trace at a time, in a thread of its own; for one event loop."""

    def __init__(self, log: Log):
        self._log = log
        self._session: _Session | None = None

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a grpc.aio server takes."""
        methods = {
            "Profile": (self._profile, protos.ProfileRequest.FromString),
            "Terminate": (self._terminate, protos.TerminateRequest.FromString),
            "Monitor": (self._monitor, protos.MonitorRequest.FromString),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method,
                    request_deserializer=parse,
                    response_serializer=_serialized,
                )
                for name, (method, parse) in methods.items()
            },
        )

    async def _profile(
        self, request: protos.ProfileRequest, _: grpc.aio.ServicerContext
    ) -> protos.ProfileResponse:
        target, delay = _target(request), _delay(request.opts)
        if self._session:
            raise status.internal(_ACTIVE)
        session = self._session = _Session(request.session_id)
        work = asyncio.ensure_future(
            asyncio.to_thread(_trace, session, delay, request.opts, target)
        )
        work.add_done_callback(self._ended)
        try:
            empty = await asyncio.shield(work)
        except asyncio.CancelledError:  # the client is gone
            session.wanted = False
            session.over.set()
            raise
        self._log.info("profile", path=target, ms=request.opts.duration_ms)
        return protos.ProfileResponse(empty_trace=empty)

    def _ended(self, work: asyncio.Task) -> None:
        self._session = None
        if not work.cancelled():
            work.exception()  # seen, also when nobody waits

    async def _terminate(
        self, request: protos.TerminateRequest, _: grpc.aio.ServicerContext
    ) -> protos.TerminateResponse:
        if self._session and self._session.name == request.session_id:
            self._session.over.set()
        return protos.TerminateResponse()

    async def _monitor(
        self, request: protos.MonitorRequest, _: grpc.aio.ServicerContext
    ) -> protos.MonitorResponse:
        raise status.ServingError(
            grpc.StatusCode.UNIMPLEMENTED, "unimplemented."
        )


def _serialized(message: protos.ProfileResponse) -> bytes:
    return message.SerializeToString()


def _target(request: protos.ProfileRequest) -> str:
    """Where the trace goes, a path of TensorFlow's.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    if not request.repository_root:
        raise status.invalid("ProfileRequest.repository_root is empty")
    names = {"session_id": request.session_id, "host_name": request.host_name}
    for place, name in names.items():
        if "/" in name or "\0" in name or name in ("", ".", ".."):
            raise status.invalid(
                f"ProfileRequest.{place} must be a plain name: {name!r}"
            )
    host = request.host_name.replace(":", "_")
    root = request.repository_root.rstrip("/")
    return f"{root}/{request.session_id}/{host}.xplane.pb"


def _delay(options: profiler_options_pb2.ProfileOptions) -> float:
    """Seconds until a trace begins, so that several servers begin together.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    if options.duration_ms > LONGEST:
        raise status.invalid(
            f"ProfileOptions.duration_ms is {options.duration_ms}; at most"
            f" {LONGEST} are allowed"
        )
    # 0: at once.
    delay = options.start_timestamp_ns / 1e9 - time.time()
    if delay * 1e3 > LONGEST:
        raise status.invalid(
            f"ProfileOptions.start_timestamp_ns is {delay:.0f} s away; at"
            f" most {LONGEST // 1000} are allowed"
        )
    return max(delay, 0.0)


def _trace(
    session: _Session,
    delay: float,
    options: profiler_options_pb2.ProfileOptions,
    target: str,
) -> bool:
    """Traces, and says whether nothing happened.

    Raises:
      ServingError: INTERNAL: another trace of this process, or no space.
    """
    session.over.wait(delay)
    folder = Path(tempfile.mkdtemp(prefix="profile-"))
    try:
        tf.profiler.experimental.start(str(folder), _levels(options))
        session.over.wait(options.duration_ms / 1e3)
        tf.profiler.experimental.stop(session.wanted)
        return not session.wanted or _publish(folder, target)
    except tf.errors.AlreadyExistsError as error:
        raise status.internal(_ACTIVE) from error
    except (tf.errors.OpError, OSError) as error:
        raise status.internal(str(error)) from error
    finally:
        shutil.rmtree(folder)


def _levels(
    options: profiler_options_pb2.ProfileOptions,
) -> tf.profiler.experimental.ProfilerOptions:
    """What to trace; options of version 0 say nothing."""
    if not options.version:
        return tf.profiler.experimental.ProfilerOptions()
    return tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=options.host_tracer_level,
        python_tracer_level=options.python_tracer_level,
        device_tracer_level=options.device_tracer_level,
    )


def _publish(folder: Path, target: str) -> bool:
    """A trace comes to `target` whole or not at all; is it empty?"""
    (trace,) = folder.rglob("*.xplane.pb")
    part = f"{target}.part"
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    try:
        tf.io.gfile.copy(str(trace), part, overwrite=True)
        tf.io.gfile.rename(part, target, overwrite=True)
    finally:
        if tf.io.gfile.exists(part):
            tf.io.gfile.remove(part)
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    return not any(line.events for p in space.planes for line in p.lines)

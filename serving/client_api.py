"""A client of one model on a TensorFlow Serving server, ours or the real one.

In: numpy arrays and encoded images. Out: numpy arrays; class masks uint8
[H, W], images uint8 RGB [H, W, 3]. Signatures are those of `serving.export`;
`predict` serves any model's. Errors are `RequestError`, one line each.

    with ServingClient(ChannelSettings("127.0.0.1:8500"), "tissue") as client:
        client.wait_ready(60)
        mask = client.segment(png_bytes).mask
"""

import json
import time
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from histogan_tf.data import png
from histogan_tf.errors import InputError
from serving import client_channel
from serving.client_answers import (
    Answer,
    Painted,
    Segmentation,
    VersionStatus,
)
from serving.client_channel import ChannelSettings, RequestError

STYLE_SIZE = 6
_State = get_model_status_pb2.ModelVersionStatus.State
_NOT_YET = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)


class ServingClient:
    """Requests to one model; safe to share between threads."""

    def __init__(
        self,
        channel: ChannelSettings,
        model: str,
        deadline: float = 60.0,
        version: int | None = None,
        label: str | None = None,
    ):
        """Connects at the first request.

        Args:
          channel: where the server is.
          model: its name there.
          deadline: seconds for each request, retries included.
          version: a version; None: the label's or the newest.
          label: a version label, like "stable".
        """
        if version is not None and label:
            raise InputError("--version and --label: give one of them")
        self.server, self.deadline = channel.server, deadline
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        elif label:
            self._spec.version_label = label
        self._channel = client_channel.open_channel(channel)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def predict(self, signature: str, inputs: dict[str, Any]) -> Answer:
        """Runs a signature.

        Args:
          signature: its name; "" is `serving_default`.
          inputs: arrays by input name; object arrays or lists of bytes for
            strings.
        """
        request = predict_pb2.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._predictions.Predict, request)
        found = {k: tf.make_ndarray(v) for k, v in response.outputs.items()}
        return Answer(found, response.model_spec.version.value)

    def segment(self, encoded: bytes) -> Segmentation:
        """Class mask of one image.

        Args:
          encoded: PNG or JPEG bytes of an image at the model's um/px.
        """
        answer = self.predict("", {"image_bytes": [encoded]})
        found = answer.outputs
        mask = png.decode(found["mask_bytes"][0])
        return Segmentation(mask, found["areas"][0], answer.version)

    def generate(
        self,
        mask: np.ndarray,
        seed: int,
        style: np.ndarray | None = None,
        reference: bytes = b"",
    ) -> Painted:
        """Tissue for a mask.

        Args:
          mask: uint8 [H, W] class ids.
          seed: the same seed gives the same pixels.
          style: float32 [6], as of `histogan_tf.data.colour`; not read where
            `reference` is given.
          reference: PNG or JPEG bytes of a tile whose stain is taken.
        """
        style = np.zeros(STYLE_SIZE) if style is None else style
        answer = self.predict(
            "generate",
            {
                "mask_bytes": [png.encode(mask)],
                "seed": np.array([seed], np.int64),
                "style": np.asarray(style, np.float32)[None],
                "reference_bytes": [reference],
            },
        )
        image = png.decode(answer.outputs["image_bytes"][0])
        return Painted(image, answer.version)

    def generate_window(
        self,
        mask: np.ndarray,
        row: int,
        column: int,
        seed: int,
        style: np.ndarray,
    ) -> Painted:
        """One window of the tissue for a mask of any size.

        Args:
          mask: uint8 [H, W] class ids of the window and its halo.
          row, column: origin of the window, without halo, on the canvas.
          seed: as of the whole.
          style: float32 [6].

        Returns:
          The window without its halo.
        """
        answer = self.predict(
            "generate_window",
            {
                "masks": mask[None],
                "row": np.array([row], np.int64),
                "column": np.array([column], np.int64),
                "seed": np.array([seed], np.int64),
                "style": np.asarray(style, np.float32)[None],
            },
        )
        return Painted(answer.outputs["images"][0], answer.version)

    def about(self) -> dict[str, Any] | None:
        """The model card that an export of this project tells, else None."""
        signature = self.metadata().get("about")
        if signature is None:
            return None
        nothing = {name: [b""] for name in signature.inputs}
        answer = self.predict("about", nothing)
        (text,) = answer.outputs.values()
        return json.loads(text.item())

    def metadata(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The model's signatures by name."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        response = self._call(self._predictions.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return dict(found.signature_def)

    def status(self) -> list[VersionStatus]:
        """States of the model's versions, newest first.

        A label is ignored, as TensorFlow Serving does here.
        """
        request = get_model_status_pb2.GetModelStatusRequest(
            model_spec=self._spec
        )
        response = self._call(self._models.GetModelStatus, request)
        return [
            VersionStatus(
                found.version,
                _State.Name(found.state),
                found.status.error_message if found.status.error_code else "",
            )
            for found in response.model_version_status
        ]

    def wait_ready(self, timeout: float, poll: float = 0.2) -> None:
        """Returns once every version is AVAILABLE.

        Versions that ended without an error, as after a swap, do not count,
        nor do failed ones that are older than one that serves.

        Raises:
          RequestError: a version failed to load; or `timeout` seconds passed.
        """
        end = time.monotonic() + timeout
        while True:
            last = self._not_ready()
            if last is None:
                return
            if time.monotonic() + poll > end:
                raise RequestError(
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    f"not ready after {timeout:g} s: {last}",
                    self.server,
                )
            time.sleep(poll)

    def is_ready(self) -> bool:
        """Whether every version is AVAILABLE now; raises as `wait_ready`."""
        return self._not_ready() is None

    def _not_ready(self) -> str | None:
        try:
            versions = self.status()
        except RequestError as error:
            if error.code not in _NOT_YET:
                raise
            return error.details
        served = [v.version for v in versions if v.state == "AVAILABLE"]
        newest = max(served, default=-1)
        failed = [v for v in versions if v.error and v.version > newest]
        if failed:
            raise RequestError(
                grpc.StatusCode.UNAVAILABLE,
                f"version {failed[0].version}: {failed[0].error}",
                self.server,
            )
        current = [v for v in versions if v.state != "END"]
        if current and all(v.state == "AVAILABLE" for v in current):
            return None
        states = ", ".join(f"{v.version} is {v.state}" for v in versions)
        return states or "no version"

    def _call(self, method: Any, request: Any) -> Any:
        return client_channel.call(method, request, self.deadline, self.server)

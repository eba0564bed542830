"""Counters and latencies, in TensorFlow Serving's names for Prometheus.

In: what happened, from any thread. Out: the page that Prometheus reads. Names,
labels and buckets are those of tensorflow/serving (servables/tensorflow/
util.cc, batching_session.cc) and so is the page (util/prometheus_exporter.cc):
colons for the slashes of names, and no `_total` behind counters.

Sizes of batches are histograms here; there, they are samplers that its
Prometheus page leaves out.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from serving.batching import BatchRecord

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain"
_PREFIX = ":tensorflow:serving:"
_MICROS = 1e6


def exponential(first: float, growth: float, count: int) -> list[float]:
    """Upper limits of buckets; the last one, infinity, comes by itself."""
    return [first * growth**place for place in range(count)]


_LATENCY = exponential(10, 1.8, 33)  # microseconds: up to 20 minutes
_QUEUING = exponential(100, 1.2, 52)  # up to one second
_SIZES = exponential(1, 2, 15)


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(self):
        self._registry = CollectorRegistry()
        self._counters: set[str] = set()
        api = ("model_name", "API")
        self._requests = self._counter(
            "request_count", "Requests.", ("model_name", "status")
        )
        self._request_latency = self._histogram(
            "request_latency",
            "Wall time of requests in microseconds.",
            (*api, "entrypoint"),
            _LATENCY,
        )
        self._runtime_latency = self._histogram(
            "runtime_latency",
            "Wall time of TensorFlow's part in microseconds.",
            (*api, "runtime"),
            _LATENCY,
        )
        self._example_counts = self._histogram(
            "request_example_counts",
            "tensorflow.Examples of a request.",
            ("model",),
            _SIZES,
        )
        self._example_total = self._counter(
            "request_example_count_total", "tensorflow.Examples.", ("model",)
        )
        self._warmup_latency = self._histogram(
            "model_warmup_latency",
            "Wall time of warming up a model in microseconds.",
            ("model_path", "status"),
            _LATENCY,
        )
        self._make_batching()

    def _make_batching(self) -> None:
        self._queuing_latency = self._histogram(
            "batching_session:queuing_latency",
            "Wall time in the batching queue in microseconds.",
            ("thread_pool_name",),
            _QUEUING,
        )
        self._wrapped_runs = self._counter(
            "batching_session:wrapped_run_count", "Runs of batches.", ()
        )
        self._batch_sizes = {
            name: self._histogram(
                f"batching_session:{name}", "Rows.", (), _SIZES
            )
            for name in (
                "input_batch_size",
                "processed_batch_size",
                "padding_size",
            )
        }

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Gauge:
        # The library's Counter would write `_total` behind the name.
        self._counters.add(_PREFIX + name)
        return Gauge(_PREFIX + name, text, labels, registry=self._registry)

    def _histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        buckets: list[float],
    ) -> Histogram:
        return Histogram(
            _PREFIX + name,
            text,
            labels,
            registry=self._registry,
            buckets=buckets,
        )

    def request(
        self, model: str, api: str, entrypoint: str, code: str, seconds: float
    ) -> None:
        """One request was answered.

        Args:
          model: its name; "" for names of no model, which clients choose.
          api: Predict, Classify, Regress, MultiInference ...
          entrypoint: GRPC or REST.
          code: name of its status.
          seconds: from its arrival; failed ones are only counted.
        """
        self._requests.labels(model, code).inc()
        if code == "OK":
            self._request_latency.labels(model, api, entrypoint).observe(
                seconds * _MICROS
            )

    @contextlib.contextmanager
    def runtime(self, model: str, api: str) -> Iterator[None]:
        """Measures a run of a model, with its wait for a batch."""
        start = time.monotonic()
        yield
        taken = (time.monotonic() - start) * _MICROS
        self._runtime_latency.labels(model, api, "TF1").observe(taken)

    def examples(self, model: str, count: int) -> None:
        """A request held so many examples."""
        self._example_counts.labels(model).observe(count)
        self._example_total.labels(model).inc(count)

    def warmup(self, path: str, code: str, seconds: float) -> None:
        """A model was warmed up, or failed to be."""
        self._warmup_latency.labels(path, code).observe(seconds * _MICROS)

    def batch(self, record: BatchRecord, pool: str) -> None:
        """A batch was run."""
        self._wrapped_runs.inc()
        for wait in record.waits:
            self._queuing_latency.labels(pool).observe(wait * _MICROS)
        for size in record.input_sizes:
            self._batch_sizes["input_batch_size"].observe(size)
        self._batch_sizes["processed_batch_size"].observe(record.size)
        self._batch_sizes["padding_size"].observe(record.padding)

    def page(self) -> bytes:
        """The text that Prometheus reads, UTF-8."""
        lines: list[str] = []
        for family in self._registry.collect():
            if any(not _is_time(sample) for sample in family.samples):
                lines += self._family(family)
        return "\n".join([*lines, ""]).encode()

    def _family(self, family: Metric) -> list[str]:
        kind = "counter" if family.name in self._counters else family.type
        samples = [_line(s) for s in family.samples if not _is_time(s)]
        return [f"# TYPE {family.name} {kind}", *samples]


def _is_time(sample: Sample) -> bool:
    # When the series began: the library's own addition.
    return sample.name.endswith("_created")


def _line(sample: Sample) -> str:
    labels = ",".join(
        f'{name}="{_escape(name, value)}"'
        for name, value in sample.labels.items()
    )
    return f"{sample.name}{{{labels}}} {sample.value:.15g}"


def _escape(name: str, value: str) -> str:
    if name == "le" and value != "+Inf":
        return f"{float(value):.6g}"
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return value.replace("\n", "\\n")

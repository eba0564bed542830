"""Settings of the model manager, by the names of TensorFlow Serving's flags.

In: values of flags. Out: a frozen `ManagerSettings` whose ranges are checked.
"""

import dataclasses

from serving.servable import TAGS, Threads


@dataclasses.dataclass(frozen=True)
class ManagerSettings:
    """How models are found and loaded.

    Attributes:
      file_system_poll_wait_seconds: between two polls of the base paths; 0:
        polled at start and at a reload only.
      max_num_load_retries: attempts after the first failed one.
      load_retry_interval_micros: between two attempts; below 0: none.
      num_load_threads: versions that load at the same time; 0: one.
      allow_version_labels_for_unavailable_models: a new label may name a
        version that is not available yet. An old one may not move there.
      saved_model_tags: of the graph to load.
      threads: of each model's session.
    """

    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    num_load_threads: int = 0
    allow_version_labels_for_unavailable_models: bool = False
    saved_model_tags: tuple[str, ...] = TAGS
    threads: Threads = dataclasses.field(default_factory=Threads)

    def __post_init__(self) -> None:
        for name in (
            "file_system_poll_wait_seconds",
            "max_num_load_retries",
            "num_load_threads",
        ):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name}: {value}; allowed: 0 or more")

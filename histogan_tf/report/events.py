"""Training curves out of TensorBoard's event files.

In: a folder of event files, possibly of several runs of one phase: a run that
was killed and resumed writes some steps again. Out: one `Curve` per scalar
tag, each step once, its value the one written last (newest wall time).
"""

import pathlib

import numpy as np

from histogan_tf.report.facts import Curve


def read(folder: pathlib.Path) -> dict[str, Curve]:
    """Scalars by tag; empty where there is no folder or no event file.

    Values that are not finite are left out. A last record that a kill cut
    short is passed over.
    """
    if not any(folder.glob("*tfevents*")):
        return {}
    # Late: takes two seconds, and a page without curves needs none of it.
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    # TensorBoard's own purge trusts the order of files, and drops steps that
    # the resumed run has not reached again.
    events = event_accumulator.EventAccumulator(
        str(folder),
        size_guidance={event_accumulator.TENSORS: 0},
        purge_orphaned_data=False,
    ).Reload()
    out = {}
    for tag in events.Tags()["tensors"]:
        kind = events.SummaryMetadata(tag).plugin_data.plugin_name
        if kind == "scalars":
            points = [
                (
                    event.wall_time,
                    event.step,
                    float(tensor_util.make_ndarray(event.tensor_proto)),
                )
                for event in events.Tensors(tag)
            ]
            out[tag] = newest(points)
    return out


def newest(points: list[tuple[float, int, float]]) -> Curve:
    """A curve of (wall time, step, value); the last written value wins."""
    by_step = {step: value for _, step, value in sorted(points)}
    kept = [(s, v) for s, v in sorted(by_step.items()) if np.isfinite(v)]
    return Curve(tuple(s for s, _ in kept), tuple(v for _, v in kept))

"""The parts of the method that the ablation leaves out, one at a time.

Out: a `Part`: how the settings change. A part that only the segmenter feels
takes over stages and judge of the whole method's run of the same labels and
seed, which saves their training and keeps them out of the difference.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks import semi_methods
from benchmarks.semi_methods import Method, Work
from histogan_tf.config import Config
from histogan_tf.files import atomic_directory
from histogan_tf.models.segmenter import Segmenter


@dataclass(frozen=True)
class Part:
    """What is left out, and whether pyramid and judge stay the same."""

    change: Callable[[Config], Config]
    same_teachers: bool


def _segmenter(**changes: float) -> Part:
    def change(config: Config) -> Config:
        segmenter = replace(config.segmenter, **changes)  # type: ignore
        return replace(config, segmenter=segmenter)

    return Part(change, same_teachers=True)


def _losses(**changes: float) -> Part:
    def change(config: Config) -> Config:
        losses = replace(config.losses, **changes)
        return replace(config, losses=losses)

    return Part(change, same_teachers=False)


def _finest_stages(count: int) -> Part:
    def change(config: Config) -> Config:
        return replace(config, stages=config.stages[-count:])

    return Part(change, same_teachers=False)


def _own_stains(config: Config) -> Config:
    """Every network reads the labelled images as they are."""
    return replace(
        config,
        losses=replace(config.losses, restain=0.0),
        segmenter=replace(config.segmenter, restain=0.0),
        judge=replace(config.judge, restain=0.0),
    )


PARTS: dict[str, Part] = {
    "no_painting": _segmenter(synthetic=0.0),
    "no_pseudo_labels": _segmenter(pseudo_labels=False),
    "no_restain": Part(_own_stains, same_teachers=False),
    "no_unlabelled_critic": _losses(unlabelled=0.0),
    "two_stages": _finest_stages(2),
}


def method(part: Part) -> Method:
    """The whole method with a part changed."""

    def train(work: Work) -> Segmenter:
        changed = replace(work, config=part.change(work.config))
        whole = work.supervised.with_name(
            work.supervised.name.replace("_supervised", "_histogan")
        )
        if part.same_teachers:
            # Makes the run first: its settings must be in place.
            changed.source(changed.config, changed.folder)
            for name in ("stages", "judge"):
                target = changed.folder / name
                if not target.exists():
                    with atomic_directory(target) as draft:
                        shutil.copytree(whole / name, draft, dirs_exist_ok=True)
        return semi_methods.histogan(changed)

    return train

"""The exact protocol of the semi-supervised benchmark, told with its results.

In: the settings that a cell's run directory keeps, as JSON values; the cells'
results. Out: a cell's `setup`: what decides it beside the images' names; a
paragraph a protocol, which says it in words.
"""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

Values = dict[str, Any]

SELECTION = (
    "last averaged weights after a fixed number of steps; nothing is chosen"
)
# What only a pyramid's stages and judge feel.
_PYRAMID = ("judge", "losses", "augment", "noise_channels")
_ANY = ("precision", "labelled_share")
_WIDTH = 79


def setup(
    config: Values,
    own: Values,
    patients: Iterable[str],
    reading: Values,
) -> Values:
    """What decides a cell, beside its images and seed.

    Args:
      config: the run's settings (`config_json.to_dict`).
      own: the method's own constants.
      patients: whose images are held out for validation.
      reading: `threshold` of the probability (None: the likeliest class),
        `image_side_px` (None: images are read at the settings' um/px).
    """
    segmenter, rates = config["segmenter"], config["optimizer"]
    small = reading["image_side_px"] is not None
    taught = bool(segmenter["synthetic"] or segmenter["pseudo_labels"])
    found = {
        "um_per_px": None if small else config["finest_mpp"],
        **reading,
        "selection": SELECTION,
        "validation_patients": sorted(set(patients), key=_by_number),
        "segmenter": segmenter,
        "optimizer": {
            name: value
            for name, value in rates.items()
            if taught or name not in ("generator_rate", "critic_rate")
        },
        **{name: config[name] for name in _ANY},
        "method": own,
    }
    if not taught:
        return found
    count = len(config["stages"])
    stages = [
        {"reduced_by": 2 ** (count - 1 - k), **stage}
        for k, stage in enumerate(config["stages"])
    ]
    # The judge reads no unlabelled image (trainer/phases.py).
    judge = {**config["judge"], "labelled_share": 1.0}
    rest = {name: config[name] for name in _PYRAMID}
    return found | rest | {"judge": judge, "stages": stages}


def paragraph(results: list[Values], protocol: str) -> Iterator[str]:
    """The protocol in words, and the labelled images by seed.

    A setting that cells do not share is told with the cells that have it.
    """
    cells = [r for r in results if r["protocol"] == protocol]
    known = [r for r in cells if r.get("setup")]
    yield f"\nprotocol {protocol}"
    if not known:
        yield "no cell tells its settings"
        return
    parts = [_uses(cells), _reading(known)]
    for tell in (_segmenter, _augmentation, _stains, _own, _stages, _judge):
        parts += _told(known, tell)
    yield from textwrap.wrap(" ".join(parts), _WIDTH)
    if len(known) < len(cells):
        yield f"{len(cells) - len(known)} cells do not tell their settings"
    yield from _labelled(cells)


def _uses(cells: list[Values]) -> str:
    """How many images of each use."""
    counts = {
        tuple(len(r["names"][u]) for u in ("labelled", "unlabelled"))
        for r in cells
    }
    pairs = ", ".join(f"{n} + {m}" for n, m in sorted(counts))
    held = max(len(r["names"]["validation"]) for r in cells)
    test = max(len(r["images"]) for r in cells)
    return (
        f"Images labelled + unlabelled: {pairs}; validation {held}, test"
        f" {test} a cell."
    )


def _reading(known: list[Values]) -> str:
    one = known[0]["setup"]
    held = ", ".join(one["validation_patients"]) or "none"
    limit = one["threshold"]
    cut = "the likeliest class" if limit is None else f"threshold {limit}"
    scale = f"at {one['um_per_px']} um/px"
    if side := one["image_side_px"]:
        scale = f"resized to {side} x {side} px"
    return (
        f"Validation patients: {held}. Images {scale}, {cut}. Selection:"
        f" {one['selection']}."
    )


def _told(known: list[Values], tell: Any) -> Iterator[str]:
    """Every text of `tell`, with the cells it is true of where it has to."""
    texts: dict[str, list[Values]] = {}
    for result in known:
        if text := tell(result):
            texts.setdefault(text, []).append(result)
    for text, cells in texts.items():
        whole = len(cells) == len(known)
        yield f"{text}." if whole else f"{text} ({_who(cells, known)})."


def _who(cells: list[Values], known: list[Values]) -> str:
    """Names of methods; of those with other cells, the cells."""
    out = []
    for method in dict.fromkeys(r["method"] for r in cells):
        here, all_of = (
            [r for r in rows if r["method"] == method]
            for rows in (cells, known)
        )
        text = method
        if len(here) < len(all_of):
            which = (f"{r['labels'] or 'all'}/{r['seed']}" for r in here)
            text += f" labels/seed {' '.join(which)}"
        out.append(text)
    return ", ".join(out)


def _segmenter(result: Values) -> str:
    one, rates = (result["setup"][n] for n in ("segmenter", "optimizer"))
    return (
        f"Segmenter: crops of {one['crop']} px, batch {one['batch']},"
        f" {one['steps']} steps, Adam at {rates['segmenter_rate']} (falls to 0"
        f" over the last {rates['decay_share']:.0%}), average {rates['ema']},"
        f" {_net(one['network'])}, patch {one['patch']}"
    )


def _augmentation(result: Values) -> str:
    one = result["setup"]["segmenter"]["augment"]
    flips = "flips, " if one["flips"] else ""
    # Cells of before there was rotation do not have the field.
    turns = one.get("rotation", 0.0)
    rotation = f"rotation {turns:g} degrees, " if turns else ""
    return (
        f"Augmentation: {flips}{rotation}scale {one['scale']}, warp"
        f" {one['warp']}, stain {one['stain']}"
    )


def _stains(result: Values) -> str:
    share = result["setup"]["segmenter"]["restain"]
    return f"{share:.0%} of the crops are read in another image's stains"


def _own(result: Values) -> str:
    own = result["setup"]["method"]
    values = ", ".join(f"{name} {value}" for name, value in own.items())
    return f"Of its own: {values}" if own else ""


def _stages(result: Values) -> str:
    stages = result["setup"].get("stages")
    if not stages:
        return ""
    one = result["setup"]["segmenter"]
    texts = [
        f"{s['crop']} x {s['batch']} x {s['steps']} at 1/{s['reduced_by']},"
        f" thin {s['thin']}"
        for s in stages
    ]
    return (
        f"Pyramid, crop x batch x steps of its stages: {'; '.join(texts)};"
        f" painted tissue weighs {one['synthetic']}, thin {one['thin']}"
    )


def _judge(result: Values) -> str:
    one = result["setup"].get("judge")
    if not one:
        return ""
    return f"Judge: {one['crop']} px x {one['batch']} x {one['steps']} steps"


def _net(network: Values) -> str:
    return f"widths {'-'.join(map(str, network['widths']))}"


def _labelled(cells: list[Values]) -> Iterator[str]:
    found = {
        (r["labels"], r["seed"]): r["names"]["labelled"]
        for r in cells
        if r["labels"] is not None
    }
    for (labels, seed), names in sorted(found.items()):
        yield from textwrap.wrap(
            f"{labels} labels, seed {seed}: {' '.join(names)}",
            _WIDTH,
            subsequent_indent="  ",
        )


def _by_number(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else 0, name)

r"""Asks a model server, ours or TensorFlow Serving, from the command line.

    python -m serving.client segment --server HOST:PORT --model NAME \
        --input 'images/*.png' --output D --mpp 0.5
    python -m serving.client generate --server HOST:PORT --model NAME \
        --input 'masks/*.png' --output D --seed 0 [--style_from IMG]
    python -m serving.client wait|status|metadata --server ... --model NAME

segment writes `masks/<name>.png`, `areas.csv` and `segmentation.json`; generate
`<mask>_<seed>.png` and `synthesis.json`; the folder appears when all is done.
status and metadata print JSON. wait returns when the model is available, and
fails at once if it cannot be loaded.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import input_files, program
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar

if TYPE_CHECKING:
    from serving.client_api import ServingClient
    from serving.client_card import Card
    from serving.client_windows import Windows

COMMANDS = ("segment", "generate", "wait", "status", "metadata")

flags.DEFINE_enum("command", None, COMMANDS, "may stand first, without --")
flags.DEFINE_string("server", None, "HOST:PORT of its gRPC port")
flags.DEFINE_string("model", None, "the model's name on the server")
flags.DEFINE_integer("version", None, "its version; else the newest", 0)
flags.DEFINE_string("label", None, "its version label; else the newest")
flags.DEFINE_string(
    "input",
    None,
    "a folder, a glob pattern in quotes or a file; masks hold class ids",
)
flags.DEFINE_string("output", None, "folder to make")
flags.DEFINE_float(
    "mpp",
    None,
    "um/px of the input; else its TIFFs state it, or masks are at the model's",
    0.01,
    100,
)
flags.DEFINE_integer("seed", 0, "of the first image of each mask", 0, 2**62)
flags.DEFINE_integer("samples", 1, "images per mask, seeds from --seed up", 1)
flags.DEFINE_string("style_from", None, "image whose stain is taken")
flags.DEFINE_float(
    "style_mpp", None, "um/px of --style_from; else its TIFF's", 0.01, 100
)
flags.DEFINE_integer(
    "tile_pixels",
    2**22,
    "larger images and masks go in windows of so many pixels; smaller ones if"
    " the server says so",
    1,
)
flags.DEFINE_float("deadline", 60, "seconds for a request with retries", 0.001)
flags.DEFINE_float("timeout", 300, "seconds that wait waits", 0)
flags.DEFINE_integer("attempts", 5, "tries while UNAVAILABLE", 1, 5)
flags.DEFINE_integer("message_mib", 256, "largest message in MiB", 1, 2047)
flags.DEFINE_string("ca", None, "PEM of the authority; turns TLS on")
flags.DEFINE_string("cert", None, "PEM that shows who we are (mutual TLS)")
flags.DEFINE_string("key", None, "PEM of its private key")
flags.mark_flags_as_required(["command", "server", "model"])


def main() -> None:
    """Connects and does what the command says."""
    from serving.client_api import ServingClient
    from serving.client_channel import ChannelSettings

    values = flags.FLAGS
    actions: dict[str, Callable[[ServingClient], None]] = {
        "segment": segment,
        "generate": generate,
        "wait": wait,
        "status": status,
        "metadata": metadata,
    }
    channel = ChannelSettings(
        values.server,
        message_mib=values.message_mib,
        attempts=values.attempts,
        ca=_path(values.ca),
        cert=_path(values.cert),
        key=_path(values.key),
    )
    with ServingClient(
        channel, values.model, values.deadline, values.version, values.label
    ) as client:
        actions[values.command](client)


def segment(client: "ServingClient") -> None:
    """Segments every image of --input."""
    from histogan_tf.data.images import IMAGE_EXTENSIONS
    from histogan_tf.files import atomic_directory
    from serving import client_segment

    card, windows = prepare(client)
    work = client_segment.Segmenting(client, card, windows, flags.FLAGS.mpp)
    names = readable(IMAGE_EXTENSIONS, work.read)
    tell(note for path in names for note in work.notes(path))
    with (
        atomic_directory(flags.FLAGS.output) as folder,
        progress_bar("segment") as show,
    ):
        done = []
        for path, name in names.items():
            done.append(work.segment(path, name, folder))
            show(len(done), len(names), name)
        client_segment.write_areas(folder, card, done)
        write_record(folder / "segmentation.json", card, done)
    print(f"{flags.FLAGS.output}: {len(names)} images")


def generate(client: "ServingClient") -> None:
    """Paints --samples images for every mask of --input."""
    from histogan_tf.data.images import MASK_EXTENSIONS
    from histogan_tf.files import atomic_directory
    from serving import client_generate

    values = flags.FLAGS
    card, windows = prepare(client)
    style = None
    if values.style_from:
        style = client_generate.style_from(
            pathlib.Path(values.style_from), values.style_mpp, card
        )
    work = client_generate.Generating(client, card, windows, values.mpp, style)
    work.style("", 0)
    names = readable(MASK_EXTENSIONS, work.read)
    tell(work.guessed(list(names)))
    seeds = range(values.seed, values.seed + values.samples)
    total = len(names) * len(seeds)
    with (
        atomic_directory(values.output) as folder,
        progress_bar("paint") as show,
    ):
        made = []
        for path, name in names.items():
            for seed in seeds:
                made.append(work.generate(path, name, seed, folder))
                show(len(made), total, name)
        write_record(folder / "synthesis.json", card, made)
    print(f"{values.output}: {total} images of {len(names)} masks")


def wait(client: "ServingClient") -> None:
    """Returns when the model is available."""
    client.wait_ready(flags.FLAGS.timeout)
    print(f"{client.server}: {flags.FLAGS.model} is available")


def status(client: "ServingClient") -> None:
    """Prints the versions' states."""
    rows = [vars(version) for version in client.status()]
    print(json.dumps(rows, indent=1))


def metadata(client: "ServingClient") -> None:
    """Prints the signatures, and the model card if there is one."""
    from google.protobuf import json_format

    signatures = {
        name: json_format.MessageToDict(signature)
        for name, signature in sorted(client.metadata().items())
    }
    value = {"signatures": signatures, "model_card": client.about()}
    print(json.dumps(value, indent=1))


def prepare(client: "ServingClient") -> tuple["Card | None", "Windows"]:
    """Asks for the model's card; fails early if the server cannot answer."""
    from histogan_tf.files import check_free
    from serving import client_card
    from serving.client_windows import Windows

    for name in ("mpp", "style_mpp"):
        input_files.check_scale(name, flags.FLAGS[name].value)
    for name in ("input", "output"):
        if not flags.FLAGS[name].value:
            raise InputError(f"--{name}: {flags.FLAGS.command} needs it")
    check_free(flags.FLAGS.output)
    card, pixels = client_card.ask(client), flags.FLAGS.tile_pixels
    return card, Windows(min(pixels, card.max_pixels) if card else pixels)


def tell(notes: Iterable[str]) -> None:
    """Prints notes beside the output."""
    for note in notes:
        print(note, file=sys.stderr)


def readable(
    extensions: tuple[str, ...], read: Callable[[pathlib.Path], Any]
) -> dict[pathlib.Path, str]:
    """Files of --input and their names, each read once before one is sent.

    Raises:
      InputError: names all that cannot be read; or two have one name.
    """
    names = input_files.find(flags.FLAGS.input, extensions)
    refuse_slides(names, extensions)
    with progress_bar("check") as show:
        input_files.readable(names, read, None, show)
    return names


def refuse_slides(
    paths: Iterable[pathlib.Path], extensions: tuple[str, ...]
) -> None:
    """Refuses a file, named alone, that a folder or pattern passes over.

    It would be read whole: tens of GB.
    """
    from histogan_tf.data.images import SLIDE_EXTENSIONS

    for path in paths:
        if path.name.lower().endswith(SLIDE_EXTENSIONS):
            raise InputError(
                f"{path}: a slide; trainer.segment reads slides, in windows;"
                f" here {', '.join(extensions)} are allowed"
            )


def write_record(
    path: pathlib.Path, card: "Card | None", done: list[dict[str, Any]]
) -> None:
    """Writes what was sent where and what came back."""
    from histogan_tf.files import atomic_write

    value = {
        "command": program.command_line("serving.client"),
        "model_mpp": card.mpp if card else None,
        "classes": list(card.classes) if card else None,
        "images": done,
    }
    atomic_write(path, (json.dumps(value, indent=1) + "\n").encode())


def name_command(argv: list[str]) -> None:
    """Turns the first word, as in `client segment ...`, into a flag."""
    if len(argv) > 1 and not argv[1].startswith("-"):
        argv[1] = f"--command={argv[1]}"


def _path(value: str | None) -> pathlib.Path | None:
    return pathlib.Path(value) if value else None


if __name__ == "__main__":
    name_command(sys.argv)
    program.run(main)

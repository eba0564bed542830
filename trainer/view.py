r"""A slide or canvas in; a folder with a page to look at it out.

    python -m trainer.view --image X.svs --output FOLDER \
        [--mask M] [--segmentation S] [--run_dir R | --classes F]

`FOLDER/index.html` opens in any browser, from disk, without a server or the
network: the image to pan and zoom, mask and segmentation over it with a slider
each, the classes with their areas, a scale bar, files to download. Tiles are
written in constant memory; FOLDER appears when all is there.

--mask takes raw masks (mapped by the class table) and annotations of QuPath
and ASAP, --segmentation masks of class ids or a folder that `trainer.segment`
wrote: then its outlines and tables become downloads.
"""

import pathlib
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from histogan_tf import input_files, program
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import view_files

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.classes import ClassTable
    from histogan_tf.data.slides import Slide
    from histogan_tf.overlays import Overlay
    from histogan_tf.report.viewer import Layer

flags.DEFINE_string("image", None, "slide, canvas or image to look at")
flags.DEFINE_string("output", None, "folder to make")
flags.DEFINE_string("mask", None, "mask or annotations (GeoJSON, ASAP's XML)")
flags.DEFINE_string(
    "segmentation", None, "mask of class ids, or the folder of trainer.segment"
)
flags.DEFINE_string("run_dir", None, "run whose classes these are")
flags.DEFINE_string("classes", None, "or their classes.json")
flags.DEFINE_bool(
    "class_ids", False, "--mask holds class ids, not the table's raw values"
)
flags.DEFINE_float(
    "mask_mpp",
    None,
    "um/px of what annotations were drawn on; else the image's",
    0.01,
    100,
)
flags.DEFINE_list("clear_classes", [], "classes to leave clear in overlays")
flags.DEFINE_list("downloads", [], "more files to offer: GeoJSON, CSV, ...")
flags.DEFINE_float(
    "mpp", None, "um/px of the image; else the file states it", 0.01, 100
)
flags.DEFINE_float(
    "view_mpp", None, "um/px of the finest level shown; else all", 0.01, 100
)
flags.DEFINE_integer("jpeg_quality", 85, "of the image's tiles", 1, 100)
flags.mark_flags_as_required(["image", "output"])

Show = Callable[[int, int, str], None]


def main() -> None:
    """Opens everything, writes tiles and page, prints where it is."""
    from histogan_tf.data import slides
    from histogan_tf.files import atomic_directory, check_free

    values = flags.FLAGS
    for name in ("mpp", "view_mpp", "mask_mpp"):
        input_files.check_scale(name, values[name].value)
    check_free(values.output)
    table = class_table()
    image = pathlib.Path(values.image)
    paths = view_files.overlays(image, values.mask, values.segmentation)
    found = view_files.downloads(image, values.downloads, values.segmentation)
    with slides.open_slide(values.image, values.mpp) as slide:
        if slide.scale_note:
            print(slide.scale_note)
        overlays = open_overlays(slide, table, paths)
        colors = overlay_colors(table)
        with (
            atomic_directory(values.output) as folder,
            progress_bar("tiles") as show,
        ):
            layers = [write_image(slide, folder, show)]
            for name, (path, overlay) in overlays.items():
                layers.append(
                    write_overlay(name, path, overlay, colors, folder, show)
                )
                overlay.close()
            write_page(slide, layers, table, found, folder)
    for _, overlay in overlays.values():
        for note in overlay.notes:
            print(note)
    print(pathlib.Path(values.output) / "index.html")


def class_table() -> "ClassTable | None":
    """The classes of --run_dir or --classes.

    Raises:
      InputError: overlays without classes, or both flags.
    """
    from histogan_tf import run_dir
    from histogan_tf.data import classes

    values = flags.FLAGS
    if values.run_dir and values.classes:
        raise InputError("--run_dir and --classes: state one of them")
    if values.run_dir:
        return run_dir.open_run(values.run_dir).classes()
    if values.classes:
        return classes.load(values.classes)
    if values.mask or values.segmentation:
        raise InputError(
            "--mask and --segmentation need --run_dir or --classes"
        )
    return None


def open_overlays(
    slide: "Slide",
    table: "ClassTable | None",
    paths: dict[str, pathlib.Path],
) -> dict[str, tuple[pathlib.Path, "Overlay"]]:
    """Opens all overlays; raises InputError for what does not fit."""
    from histogan_tf.overlays import open_overlay

    found = {}
    for name, path in paths.items():
        assert table is not None
        ids = name == "segmentation" or flags.FLAGS.class_ids
        used = table.of_ids() if ids else table
        mpp = flags.FLAGS.view_mpp or slide.mpp
        drawn = flags.FLAGS.mask_mpp
        found[name] = (path, open_overlay(path, used, slide, mpp, drawn))
    return found


def overlay_colors(table: "ClassTable | None") -> "np.ndarray":
    """RGBA of the classes, uint8 [N, 4].

    Raises:
      InputError: --clear_classes names no class.
    """
    import numpy as np

    names = table.names if table else ()
    colors = np.full((len(names), 4), 255, np.uint8)
    for name in flags.FLAGS.clear_classes:
        if name not in names:
            allowed = ", ".join(names) or "none without a class table"
            raise InputError(f"--clear_classes {name!r}: allowed are {allowed}")
        colors[names.index(name), 3] = 0
    if table:
        colors[:, :3] = table.palette()
    return colors


def write_image(slide: "Slide", folder: pathlib.Path, show: Show) -> "Layer":
    """Writes the tissue's tiles."""
    from histogan_tf import sources
    from histogan_tf.data import deep_zoom
    from histogan_tf.report.viewer import Layer

    mpp = flags.FLAGS.view_mpp or slide.mpp
    height, width = slide.size_at(mpp)

    source = sources.at_scale((height, width), slide.read_region, mpp)
    kind = deep_zoom.jpeg(flags.FLAGS.jpeg_quality)
    deep_zoom.DeepZoom(height, width, source.read, kind).write(
        folder, "tissue", lambda done, total: show(done, total, "tiles: image")
    )
    return Layer("tissue", "Image", height, width, mpp, kind.ending)


def write_overlay(
    name: str,
    path: pathlib.Path,
    overlay: "Overlay",
    colors: "np.ndarray",
    folder: pathlib.Path,
    show: Show,
) -> "Layer":
    """Writes an overlay's tiles."""
    from histogan_tf.data import deep_zoom
    from histogan_tf.report.viewer import Layer

    source, kind = overlay.source, deep_zoom.classes(colors)
    deep_zoom.DeepZoom(source.height, source.width, overlay.read, kind).write(
        folder, name, lambda done, total: show(done, total, f"tiles: {name}")
    )
    return Layer(
        name,
        name.capitalize(),
        source.height,
        source.width,
        overlay.mpp,
        kind.ending,
        tuple(overlay.areas(len(colors))),
        f"{path.name}, {overlay.mpp:.4g} µm/px",
    )


def write_page(
    slide: "Slide",
    layers: list["Layer"],
    table: "ClassTable | None",
    found: list[pathlib.Path],
    folder: pathlib.Path,
) -> None:
    """Copies the downloads and writes the page."""
    from histogan_tf.report import viewer

    names = []
    for path in found:
        (folder / "files").mkdir(exist_ok=True)
        shutil.copyfile(path, folder / "files" / path.name)
        names.append(f"files/{path.name}")
    command = program.command_line("trainer.view")
    facts = viewer.ViewFacts(
        slide.name,
        slide.height,
        slide.width,
        slide.mpp,
        tuple(layers),
        table,
        tuple(names),
        command,
    )
    viewer.write(folder, facts)


if __name__ == "__main__":
    program.run(main)

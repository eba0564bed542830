"""A folder of small annotated slides, for tests of their ingest."""

import dataclasses
import json

import slide_files

from histogan_tf.data.slide_settings import SlideSettings

CLASSES = {
    "classes": [
        {"id": 0, "name": "stroma", "color": [250, 200, 220]},
        {"id": 1, "name": "gland", "color": [100, 60, 150]},
    ]
}


def feature(name, *box):
    left, top, right, bottom = box
    ring = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"classification": {"name": name, "color": [1, 2, 3]}},
    }


def annotate(folder, name, *features):
    data = {"type": "FeatureCollection", "features": list(features)}
    (folder / "a" / f"{name}.geojson").write_text(json.dumps(data))


def make(tmp_path):
    """Slides p0_a, p0_b, p1_c of 96 x 160 px, annotated; p1_d, p2_e not."""
    for kind in "iau":
        (tmp_path / kind).mkdir()
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    for place, name in enumerate(("p0_a", "p0_b", "p1_c", "p1_d", "p2_e")):
        image = slide_files.painted(96, 160, place)
        kind = "i" if place < 3 else "u"
        path = tmp_path / kind / f"{name}.tif"
        slide_files.write_pages(path, [image], 4.0, compression="zlib")
    for name in ("p0_a", "p0_b", "p1_c"):
        annotate(
            tmp_path,
            name,
            feature("gland", 4, 4, 20, 12),
            feature("stroma", 40, 40, 70, 60),
        )
    return tmp_path


def settings(folder, **change):
    base = SlideSettings(
        images=str(folder / "i"),
        annotations=str(folder / "a"),
        classes=str(folder / "classes.json"),
        output=str(folder / "out"),
        unlabelled=str(folder / "u"),
        tile_px=32,
        tissue=0.0,
        group_by="(p[0-9])",
        validation=0.3,
        shard_mb=0.05,
    )
    return dataclasses.replace(base, **change)

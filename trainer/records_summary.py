"""What is in a folder of records, printed.

In: its Manifest. Out: lines on stdout: what went where, and a warning where
patients of another split are in train too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histogan_tf.data.manifest import Manifest


def show(manifest: "Manifest") -> None:
    """Prints images, class shares and groups by split, and what was skipped."""
    for name, split in manifest.splits.items():
        print(
            f"{name}: {len(split.labelled.images)} labelled,"
            f" {len(split.unlabelled.images)} unlabelled images"
        )
        pixels = manifest.class_pixels(name)
        shares = (f"{100 * n / max(sum(pixels), 1):.1f} %" for n in pixels)
        if split.labelled.images:
            pairs = zip(manifest.classes.names, shares, strict=True)
            print("  classes: " + ", ".join(" ".join(pair) for pair in pairs))
        if groups := manifest.groups(name):
            print(f"  groups: {', '.join(groups)}")
        shared = set(groups) & set(manifest.groups("train")) - {""}
        if name != "train" and shared:
            print(f"  warning: {len(shared)} of them are in train too")
    for item in manifest.skipped:
        print(f"skipped {item.file}: {item.reason}")
    print(f"{manifest.folder}: hash {manifest.hash[:16]}")

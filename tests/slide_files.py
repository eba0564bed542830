"""Small slides that tests write."""

import numpy as np
import tifffile


def painted(height, width, seed=0):
    """Smooth colours with noise, uint8 RGB [height, width, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack(
        [np.sin(rows / 17 + k) + np.cos(columns / 13 - k) for k in range(3)], -1
    )
    noisy = 128 + 40 * waves + rng.normal(0, 12, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def halved(image):
    """Means of 2 x 2 px; odd sizes are rounded up, by the last line again."""
    tall, wide = (n % 2 for n in image.shape[:2])
    padded = np.pad(image, ((0, tall), (0, wide), (0, 0)), mode="edge")
    pairs = padded.reshape(
        padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 3
    ).mean((1, 3))
    return np.rint(pairs).astype(np.uint8)


def pyramid(image, count):
    """An image and its halves, `count` levels."""
    levels = [image]
    while len(levels) < count:
        levels.append(halved(levels[-1]))
    return levels


def write_ome(path, levels, mpp, **options):
    """OME-TIFF with the coarser levels in sub-IFDs."""
    metadata = {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
    common = {"photometric": "rgb", "tile": (64, 64)} | options
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            levels[0], subifds=len(levels) - 1, metadata=metadata, **common
        )
        for level in levels[1:]:
            writer.write(level, subfiletype=1, metadata=None, **common)


def write_pages(path, levels, mpp, **options):
    """Pyramidal BigTIFF with a page a level, as vips writes it."""
    common = {"photometric": "rgb", "tile": (64, 64), "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, level in enumerate(levels):
            per_cm = 1e4 / (mpp * 2**number)
            writer.write(
                level,
                subfiletype=int(number > 0),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                **common | options,
            )


def write_tiled(path, image, tile=64):
    """Writes an RGB image as a tiled TIFF of 2.5 um/px."""
    tifffile.imwrite(
        path,
        image,
        photometric="rgb",
        tile=(tile, tile),
        resolution=(4000, 4000),
        resolutionunit="CENTIMETER",
    )
    return path

"""Where the glands of a phantom lie, and the geometry that follows.

In: settings, a fine grid, a random generator. Out: gland contours in um
([P, 2], x and y from the padded grid's corner), then per-pixel geometry:
instances, classes, depths and the direction of the tissue's fibres.
Conventions: classes 0 stroma, 1 epithelium, 2 lumen; instances 1..n cover
epithelium and lumen; directions are kept as double angles, for a fibre has no
head or tail.
"""

import dataclasses

import cv2
import numpy as np

from histogan_tf.data.phantom_settings import Grid, PhantomSettings

STROMA, EPITHELIUM, LUMEN = 0, 1, 2
LAYOUT_MPP = 2.0  # um/px of the grid on which glands look for room
CONTOUR_POINTS = 144


@dataclasses.dataclass(frozen=True)
class Gland:
    """One gland: contour [P, 2] in um, lengths in um, shares 0 to 1."""

    contour: np.ndarray
    thickness_um: float
    goblets: float
    strata: float
    lumen_fill: float


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Per-pixel geometry [h, w] of the fine grid.

    Attributes:
      instances: int32 gland ids, 0 outside.
      classes: uint8 class ids.
      inside_um, outside_um: float32 distance to the basement membrane from
        within a gland and from without, 0 on the other side.
      thickness_um: float32 height of the epithelium, 0 in the stroma.
      cosine, sine: float32 double-angle direction of fibres (stroma: along
        the gland's wall near it) and of cells (epithelium: across it).
    """

    instances: np.ndarray
    classes: np.ndarray
    inside_um: np.ndarray
    outside_um: np.ndarray
    thickness_um: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray


def smooth_noise(
    rng: np.random.Generator, grid: Grid, wavelength_um: float
) -> np.ndarray:
    """Smooth random field, float32 [h, w], about zero mean and unit variance.

    Bicubic interpolation of normal draws half a wavelength apart.
    """
    step = max(grid.px(wavelength_um) / 2.0, 1.0)
    rows, columns = (int(n / step) + 4 for n in (grid.height, grid.width))
    draws = rng.standard_normal((rows, columns), dtype=np.float32)
    scale = np.float32(1.0 / step)
    matrix = np.array([[scale, 0, 1], [0, scale, 1]], np.float32)
    field = cv2.warpAffine(
        draws,
        matrix,
        (grid.width, grid.height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
    )
    return field * np.float32(1.35)  # interpolation averages variance away


def star_contour(
    rng: np.random.Generator, radius_um: float, irregularity: float
) -> np.ndarray:
    """Closed smooth contour about the origin, float64 [P, 2] in um.

    A star-shaped curve of a few harmonics, stretched, bent along its long
    axis, turned, and scaled to the area of a disc of `radius_um`.
    """
    angle = np.linspace(0, 2 * np.pi, CONTOUR_POINTS, endpoint=False)
    order = np.arange(2, 8)[:, None]
    size = (0.07 + 0.42 * irregularity) * rng.standard_normal((6, 1))
    phase = rng.uniform(0, 2 * np.pi, (6, 1))
    waves = size / order**1.2 * np.cos(order * angle + phase)
    radius = np.maximum(1 + waves.sum(0), 0.35)
    stretch = np.exp(abs(rng.normal(0, 0.10 + 0.45 * irregularity)))
    stretch = min(stretch, 2.5)
    x = radius * np.cos(angle) * stretch
    y = radius * np.sin(angle)
    y += rng.normal(0, 0.28 * irregularity) * x**2
    turn = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    points = np.stack([x * cosine - y * sine, x * sine + y * cosine], 1)
    points -= points.mean(0)
    return points * radius_um * np.sqrt(np.pi / abs(signed_area(points)))


def signed_area(points: np.ndarray) -> float:
    """Area of a polygon [P, 2] by the shoelace formula."""
    x, y = points.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def place_glands(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    irregularity: float,
) -> list[np.ndarray]:
    """Contours in um that do not meet and cover the wanted share of the area.

    The room is one gland wider than the grid, so that glands cut by its edge
    are as likely as whole ones. Glands shrink when no room is left for large
    ones; the last one is placed by a draw, so the share is right on average.
    """
    margin = 1.5 * settings.gland_radius_um
    extent = np.array([grid.height, grid.width]) * grid.mpp + 2 * margin
    shape = np.ceil(extent / LAYOUT_MPP).astype(int)
    room = np.full(shape, 1e6, np.float32)  # um to the nearest gland
    border = int(margin / LAYOUT_MPP)
    counted = np.zeros(shape, bool)  # crowding differs at the room's edge
    counted[border:-border, border:-border] = True
    missing = settings.gland_density * counted.sum() * LAYOUT_MPP**2
    gap = rng.uniform(5.0, 16.0)
    contours: list[np.ndarray] = []
    shrink, failures = 1.0, 0
    while missing > 0 and failures < 120:
        radius = settings.gland_radius_um * shrink
        radius *= np.clip(np.exp(rng.normal(0, 0.22)), 0.6, 1.6)
        contour = star_contour(rng, radius, irregularity)
        spot = _find_room(rng, room, contour, gap)
        if spot is None:
            failures += 1
            if failures % 6 == 0:
                shrink = max(shrink * 0.95, 0.35)
            continue
        area = np.pi * radius**2
        if rng.uniform() * area > missing:
            break
        missing -= _occupy(room, counted, contour + spot)
        contours.append(contour + spot - margin)
        failures = 0
    return contours


def _find_room(
    rng: np.random.Generator, room: np.ndarray, contour: np.ndarray, gap: float
) -> np.ndarray | None:
    """A centre (x, y) in um where the contour keeps the gap, or None."""
    inner = np.sqrt((contour**2).sum(1)).min()
    free = np.flatnonzero(room > inner + gap)
    if free.size == 0:
        return None
    for _ in range(4):
        # The tightest of a few places: dense packing without an optimiser.
        picks = rng.choice(free, 6)
        pick = picks[np.argmin(room.flat[picks])]
        spot = np.array([pick % room.shape[1], pick // room.shape[1]])
        spot = spot * LAYOUT_MPP
        at = np.round((contour + spot) / LAYOUT_MPP).astype(int)
        inside = (at >= 0).all(1) & (at < room.shape[::-1]).all(1)
        if (room[at[inside, 1], at[inside, 0]] > gap).all():
            return spot
    return None


def _occupy(
    room: np.ndarray, counted: np.ndarray, contour: np.ndarray
) -> float:
    """Updates `room` around a new gland; its area in `counted`, in um^2."""
    reach = int(100 / LAYOUT_MPP)
    points = np.round(contour / LAYOUT_MPP).astype(int)
    low = np.maximum(points.min(0) - reach, 0)
    high = np.minimum(points.max(0) + reach + 1, room.shape[::-1])
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    view = room[window]
    outside = np.ones(view.shape, np.uint8)
    cv2.fillPoly(outside, [(points - low).astype(np.int32)], (0,))
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) * LAYOUT_MPP
    np.minimum(view, distance, out=view)
    return float(counted[window][outside == 0].sum()) * LAYOUT_MPP**2


def draw_glands(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    irregularity: float,
    goblets: float,
) -> list[Gland]:
    """The glands of one image, each with its own cells and lumen."""
    glands = []
    for contour in place_glands(rng, settings, grid, irregularity):
        radius = np.sqrt(abs(signed_area(contour)) / np.pi)
        narrow = radius / (1 + 0.5 * irregularity)
        tall = rng.uniform(18, 23) + 10 * goblets + 3 * irregularity
        glands.append(
            Gland(
                contour=contour,
                thickness_um=min(tall, 0.66 * narrow),
                goblets=float(np.clip(goblets + rng.normal(0, 0.12), 0, 1)),
                strata=1.0 + irregularity * rng.uniform(0.6, 1.8),
                lumen_fill=float(rng.uniform() ** 3),
            )
        )
    return glands


def build_geometry(
    rng: np.random.Generator,
    grid: Grid,
    glands: list[Gland],
    irregularity: float,
) -> Geometry:
    """Rasters the glands; the lumen is what lies deeper than the epithelium."""
    instances = np.zeros((grid.height, grid.width), np.int32)
    for number, gland in enumerate(glands, 1):
        points = np.round(gland.contour / grid.mpp * 16).astype(np.int32)
        cv2.fillPoly(instances, [points], (number,), shift=4)
    in_gland = (instances > 0).astype(np.uint8)
    inside = _distance_um(in_gland, grid)
    outside = _distance_um(1 - in_gland, grid)
    table = np.array([0.0] + [g.thickness_um for g in glands], np.float32)
    ripple = 0.10 + 0.08 * irregularity
    thickness = table[instances] * np.clip(
        1 + ripple * smooth_noise(rng, grid, 22), 0.5, 1.6
    )
    # A ragged apical edge: single cells stand out by a micrometre or so.
    thickness += in_gland * (0.7 * smooth_noise(rng, grid, 5))
    classes = in_gland + ((inside > thickness) & (in_gland > 0))
    cosine, sine = _directions(rng, grid, inside - outside)
    return Geometry(
        instances, classes, inside, outside, thickness, cosine, sine
    )


def _distance_um(mask: np.ndarray, grid: Grid) -> np.ndarray:
    if mask.all():  # OpenCV leaves the distance undefined without a zero
        return np.full(mask.shape, 1e3, np.float32)
    return cv2.distanceTransform(mask, cv2.DIST_L2, 5) * np.float32(grid.mpp)


def _directions(
    rng: np.random.Generator, grid: Grid, signed_um: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Double-angle direction field, computed at a quarter of the size."""
    small = (max(grid.width // 4, 2), max(grid.height // 4, 2))
    level = cv2.resize(signed_um, small, interpolation=cv2.INTER_AREA)
    level = cv2.GaussianBlur(level, (0, 0), 1.5)
    across = cv2.Sobel(level, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(level, cv2.CV_32F, 0, 1)
    square = across**2 + down**2 + 1e-6
    cosine = (across**2 - down**2) / square
    sine = 2 * across * down / square
    drift = smooth_noise(rng, grid, 400) * 1.6 + rng.uniform(0, 2 * np.pi)
    drift += smooth_noise(rng, grid, 80) * 0.7
    drift += smooth_noise(rng, grid, 24) * 0.45
    turn = cv2.resize(drift, small, interpolation=cv2.INTER_AREA)
    wall = -2.2 * np.exp(np.minimum(level, 0) / 22.0)
    weight = np.where(level > 0, 5.0, wall).astype(np.float32)
    cosine = weight * cosine + np.cos(turn)
    sine = weight * sine + np.sin(turn)
    length = np.sqrt(cosine**2 + sine**2) + 1e-6
    size = (grid.width, grid.height)
    return cv2.resize(cosine / length, size), cv2.resize(sine / length, size)

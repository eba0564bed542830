"""From stain concentrations to the image a camera sees.

In: concentrations of haematoxylin and eosin, float32 [h, w] >= 0. Out: RGB.
Convention: natural Beer-Lambert law, I = white exp(-c_H v_H - c_E v_E), with
unit stain vectors v over R, G, B (Ruifrok & Johnston 2001, "Quantification of
histochemical staining by color deconvolution", equations 1 and 2, with the
vectors of their table for H&E).
"""

import dataclasses

import cv2
import numpy as np

HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
_SPREAD = np.array([[0.10, 0.06, 0.18], [0.35, 0.02, 0.35]])
_SHIFT = np.array([[0, 0, 0.1], [0, 0, 0.5]])  # towards the GlaS slides


@dataclasses.dataclass(frozen=True)
class Stain:
    """One laboratory's stain: unit vectors [2, 3] (H, E), strengths, white.

    `strength` [2] scales the concentrations of H and E; `white` [3] is the
    grey level of the empty slide, 0 to 255.
    """

    vectors: np.ndarray
    strength: np.ndarray
    white: np.ndarray


def draw_stain(rng: np.random.Generator, variation: float) -> Stain:
    """Draws a laboratory: hue, strength of each dye, and the lamp's white."""
    vectors = np.array([HAEMATOXYLIN, EOSIN])
    vectors *= np.exp(
        variation * (_SHIFT + _SPREAD * rng.standard_normal((2, 3)))
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    common = rng.normal(0, 0.22)  # a thick section takes up more of both
    strength = np.exp(variation * (common + rng.normal(0, 0.16, 2)))
    white = 246 + variation * (rng.normal(0, 3) + rng.normal(0, 2, 3))
    return Stain(vectors, strength, np.clip(white, 225, 255))


def transmit(
    haematoxylin: np.ndarray, eosin: np.ndarray, stain: Stain
) -> np.ndarray:
    """Light through the section: float32 RGB [h, w, 3], grey levels 0 to 255.

    Args:
      haematoxylin: concentration, float32 [h, w], >= 0.
      eosin: the same of the other dye.
      stain: its vectors, strengths and white.
    """
    dyes = np.stack([haematoxylin, eosin], axis=-1).astype(np.float32)
    absorb = (stain.strength[:, None] * stain.vectors).astype(np.float32)
    density = dyes @ absorb
    return cv2.exp(-density) * stain.white.astype(np.float32)


def expose(
    rng: np.random.Generator,
    light: np.ndarray,
    blur_px: float,
    noise: float,
) -> np.ndarray:
    """Optics and camera: blurs by a Gaussian, adds noise; float32, 0 to 255."""
    if blur_px > 0.05:  # OpenCV's kernel is a single tap below that
        light = cv2.GaussianBlur(light, (0, 0), blur_px)
    if noise > 0:
        draws = rng.standard_normal(light.shape, dtype=np.float32)
        light = light + np.float32(noise) * draws
    return np.clip(light, 0, 255)

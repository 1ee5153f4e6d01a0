"""Seeded textures: one grey pattern in a colour."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 128  # pixels


def _noise(rng: np.random.Generator, cells_x: int, cells_y: int) -> np.ndarray:
    """Return smooth noise of mean 0 and standard deviation 1 that repeats at the borders, SIDE x SIDE float32."""
    coarse = rng.normal(0, 1, (cells_y, cells_x)).astype(np.float32)
    wrapped = np.pad(coarse, 1, mode="wrap")
    scale_x, scale_y = SIDE // cells_x, SIDE // cells_y
    large = cv2.resize(wrapped, None, fx=scale_x, fy=scale_y, interpolation=cv2.INTER_CUBIC)
    return large[scale_y : scale_y + SIDE, scale_x : scale_x + SIDE]


def _layers(*layers: tuple[float, int, int]) -> Callable[[np.random.Generator], np.ndarray]:
    """Return a pattern that is the sum of noises: how strong, cells across, cells down."""
    return lambda rng: np.asarray(sum(strength * _noise(rng, x, y) for strength, x, y in layers))


def _patches(rng: np.random.Generator) -> np.ndarray:
    return 0.5 * np.sign(_noise(rng, 8, 4))


def _planks(rng: np.random.Generator) -> np.ndarray:
    grain = 0.06 * _noise(rng, 4, 64)
    tone = np.repeat(rng.normal(0, 0.09, 8), SIDE // 8)[:, None]
    seams = np.where(np.arange(SIDE) % (SIDE // 8) == 0, -0.3, 0.0)[:, None]
    return grain + tone + seams


PATTERNS = {
    "plain": _layers((0.03, 8, 8)),
    "cloth": _layers((0.05, 128, 32), (0.05, 32, 128), (0.05, 8, 8)),
    "wood": _layers((0.1, 4, 64), (0.05, 2, 16)),
    "leaves": _layers((0.25, 16, 16)),
    "patches": _patches,
    "blotches": _layers((0.03, 16, 16), (0.02, 4, 4)),
    "planks": _planks,
}


def texture(pattern: str, colour: tuple[float, float, float], seed: int) -> np.ndarray:
    """Return a picture of a pattern in a colour, SIDE x SIDE x 3 uint8 RGB.

    :param pattern: a name of ``PATTERNS``.
    :param colour: RGB, 0..1.
    """
    shade = 1 + PATTERNS[pattern](np.random.default_rng(seed))
    return np.round(255 * np.clip(np.asarray(colour) * shade[..., None], 0, 1)).astype(np.uint8)

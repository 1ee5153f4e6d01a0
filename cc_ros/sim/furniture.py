"""Furniture as a few primitive solids.

A piece stands on z = 0 at the origin, its back to +y; metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

Vector = tuple[float, float, float]
PAINTS = {
    "white": (0.88, 0.88, 0.86),
    "grey": (0.45, 0.45, 0.47),
    "black": (0.09, 0.09, 0.1),
    "red": (0.72, 0.1, 0.09),
    "blue": (0.13, 0.25, 0.68),
    "yellow": (0.88, 0.74, 0.12),
    "orange": (0.9, 0.48, 0.1),
    "green": (0.14, 0.5, 0.2),
    "beige": (0.8, 0.7, 0.53),
    "brown": (0.42, 0.26, 0.15),
    "teal": (0.1, 0.5, 0.52),
}
"""RGB, 0..1. No mark is drawn in one of these."""


@dataclass(frozen=True)
class Solid:
    """One primitive.

    :param shape: box, cylinder or ellipsoid.
    :param size: half lengths along x, y and z; a cylinder's radius twice, and half its height.
    :param paint: a name of ``PAINTS``.
    :param pattern: a name of ``textures.PATTERNS``.
    """

    shape: str
    size: Vector
    at: Vector
    paint: str
    pattern: str = "plain"


@dataclass(frozen=True)
class Piece:
    """One piece of furniture.

    :param name: what people call it: a colour and a noun.
    """

    name: str
    solids: tuple[Solid, ...] = field(repr=False)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Low and high corner (x, y, z) of all solids."""
        at = np.array([solid.at for solid in self.solids])
        size = np.array([solid.size for solid in self.solids])
        return (at - size).min(axis=0), (at + size).max(axis=0)


def _box(size: Vector, at: Vector, paint: str, pattern: str = "plain") -> Solid:
    x, y, z = size
    return Solid("box", (x / 2, y / 2, z / 2), at, paint, pattern)


def _post(radius: float, low: float, high: float, paint: str, at: tuple[float, float] = (0, 0)) -> Solid:
    return Solid("cylinder", (radius, radius, (high - low) / 2), (*at, (low + high) / 2), paint)


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def sofa(rng: np.random.Generator, paint: str, seats: int = 2) -> Piece:
    """Return a sofa, or an armchair with one seat."""
    arm, deep = 0.2, 0.84
    wide = 1.6 if seats > 1 else 0.95
    inside = (wide - 2 * arm) / seats
    parts = [_box((wide - 0.04, deep - 0.04, 0.26), (0, 0, 0.23), paint, "cloth")]
    parts.append(_box((wide - 0.08, 0.22, 0.7), (0, deep / 2 - 0.11, 0.47), paint, "cloth"))
    parts += [_box((arm, deep, 0.5), (side * (wide - arm) / 2, 0, 0.36), paint, "cloth") for side in (-1, 1)]
    for k in range(seats):
        x = (k - (seats - 1) / 2) * inside
        parts.append(_box((inside - 0.02, 0.62, 0.16), (x, -0.1, 0.43), paint, "cloth"))
        parts.append(_box((inside - 0.02, 0.16, 0.36), (x, 0.22, 0.66), paint, "cloth"))
    parts.append(_box((wide - 0.2, deep - 0.2, 0.1), (0, 0, 0.05), "brown"))
    return Piece(f"{paint} {'sofa' if seats > 1 else 'armchair'}", tuple(parts))


def armchair(rng: np.random.Generator, paint: str) -> Piece:
    """Return an armchair."""
    return sofa(rng, paint, 1)


def chair(rng: np.random.Generator, paint: str) -> Piece:
    """Return a chair with a closed back."""
    parts = [_box((0.46, 0.44, 0.06), (0, 0, 0.46), paint, "wood")]
    for x in (-0.2, 0.2):
        parts += [_box((0.05, 0.05, 0.44), (x, -0.18, 0.22), paint), _box((0.05, 0.05, 0.95), (x, 0.19, 0.475), paint)]
    parts.append(_box((0.4, 0.04, 0.42), (0, 0.19, 0.72), paint, "wood"))
    return Piece(f"{paint} chair", tuple(parts))


def table(rng: np.random.Generator, paint: str) -> Piece:
    """Return a table, round or not."""
    if rng.random() < 0.4:
        parts = [_post(0.55, 0.69, 0.74, paint), _post(0.06, 0.03, 0.7, paint), _post(0.28, 0, 0.04, paint)]
        return Piece(f"{paint} table", tuple(parts))
    wide, deep = rng.uniform(1.1, 1.4), rng.uniform(0.7, 0.9)
    parts = [_box((wide, deep, 0.06), (0, 0, 0.71), paint, "wood")]
    for x in (-1, 1):
        parts += [
            _box((0.08, 0.08, 0.68), (x * (wide / 2 - 0.06), y * (deep / 2 - 0.06), 0.34), paint) for y in (-1, 1)
        ]
    return Piece(f"{paint} table", tuple(parts))


def bookshelf(rng: np.random.Generator, paint: str) -> Piece:
    """Return a bookshelf with rows of books."""
    parts = [_box((0.04, 0.32, 1.9), (x, 0, 0.95), paint, "wood") for x in (-0.46, 0.46)]
    parts.append(_box((0.92, 0.02, 1.9), (0, 0.15, 0.95), paint, "wood"))
    shelves = np.linspace(0.06, 1.88, 5)
    parts += [_box((0.9, 0.3, 0.035), (0, 0, float(z)), paint, "wood") for z in shelves]
    for z in shelves[:-1]:
        x = -0.43
        while x < 0.3:
            thick, tall = float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.22, 0.34))
            book = str(rng.choice(list(PAINTS)))
            parts.append(_box((thick, 0.2, tall), (x + thick / 2, -0.02, float(z) + 0.02 + tall / 2), book))
            x += thick + float(rng.choice([0.004, 0.004, 0.1]))
    return Piece(f"{paint} bookshelf", tuple(parts))


def dresser(rng: np.random.Generator, paint: str) -> Piece:
    """Return a chest of three drawers."""
    parts = [_box((1.0, 0.46, 0.84), (0, 0.01, 0.42), paint, "wood")]
    for z in (0.16, 0.43, 0.7):
        parts.append(_box((0.92, 0.03, 0.23), (0, -0.23, z), paint, "wood"))
        parts += [Solid("ellipsoid", (0.025, 0.025, 0.025), (x, -0.26, z), "black") for x in (-0.2, 0.2)]
    return Piece(f"{paint} chest of drawers", tuple(parts))


def cabinet(rng: np.random.Generator, paint: str) -> Piece:
    """Return a tall cabinet with two doors."""
    high = float(rng.uniform(1.5, 2.0))
    parts = [_box((1.0, 0.5, high), (0, 0, high / 2), paint, "wood")]
    for x in (-0.25, 0.25):
        parts.append(_box((0.46, 0.03, high - 0.1), (x, -0.25, high / 2), paint, "wood"))
        parts.append(_box((0.03, 0.03, 0.14), (x * 0.3, -0.28, high / 2), "black"))
    return Piece(f"{paint} cabinet", tuple(parts))


def bed(rng: np.random.Generator, paint: str) -> Piece:
    """Return a bed whose blanket has the colour."""
    wide = float(rng.uniform(1.0, 1.5))
    parts = [
        _box((wide, 1.96, 0.3), (0, -0.5, 0.2), "brown", "wood"),
        _box((wide, 0.06, 0.95), (0, 0.5, 0.475), "brown"),
    ]
    parts.append(_box((wide - 0.06, 1.9, 0.18), (0, -0.5, 0.42), "white", "cloth"))
    parts.append(_box((wide, 1.3, 0.2), (0, -0.8, 0.45), paint, "cloth"))
    parts.append(_box((0.6 * wide, 0.36, 0.12), (0, 0.22, 0.55), "white", "cloth"))
    return Piece(f"{paint} bed", tuple(parts))


def television(rng: np.random.Generator, paint: str) -> Piece:
    """Return a television on a low board of the colour."""
    parts = [_box((1.5, 0.42, 0.44), (0, 0, 0.23), paint, "wood"), _box((0.06, 0.04, 0.16), (0, 0.02, 0.5), "black")]
    parts.append(_box((1.1, 0.05, 0.64), (0, 0, 0.88), "black"))
    return Piece(f"television on {_a(paint)} board", tuple(parts))


def plant(rng: np.random.Generator, paint: str) -> Piece:
    """Return a plant in a pot of the colour."""
    parts = [_post(0.18, 0, 0.34, paint)]
    for k in range(9):
        turn, out, high = 2.4 * k, float(rng.uniform(0.02, 0.16)), float(rng.uniform(0.5, 0.85))
        at = (out * float(np.sin(turn)), out * float(np.cos(turn)), high)
        parts.append(Solid("ellipsoid", (0.1, 0.1, 0.22), at, "green", "leaves"))
    return Piece(f"plant in {_a(paint)} pot", tuple(parts))


def lamp(rng: np.random.Generator, paint: str) -> Piece:
    """Return a floor lamp with a shade of the colour."""
    parts = [_post(0.15, 0, 0.03, "black"), _post(0.02, 0.03, 1.35, "black"), _post(0.21, 1.3, 1.6, paint)]
    return Piece(f"{paint} lamp", tuple(parts))


AT_WALLS = (sofa, armchair, bookshelf, dresser, cabinet, television, plant, bed, lamp)
FREE = (table, chair, armchair)


def picture(rng: np.random.Generator, paint: str) -> Piece:
    """Return a picture that hangs on a wall."""
    wide, high = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.45, 0.7))
    frame = _box((wide, 0.03, high), (0, 0.0, 1.65), "brown")
    art = _box((wide - 0.1, 0.03, high - 0.1), (0, -0.012, 1.65), paint, "patches")
    return Piece(f"{paint} picture", (frame, art))

"""Solids that rendered rooms are made of, and the furniture built from them.

A piece of furniture stands on z = 0 at the origin, its back to +y; x is to the right of who looks at its front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

Colour = tuple[float, float, float]  # linear RGB, 0..1


@dataclass(frozen=True)
class Material:
    """How a surface looks; ``kind`` names a pattern of ``light.albedo``.

    :param scale: metres, the size of the pattern.
    :param strength: 0..1, its contrast.
    """

    kind: str
    colour: Colour
    other: Colour = (0.0, 0.0, 0.0)
    scale: float = 0.1
    strength: float = 0.2
    gloss: float = 0.0
    glow: float = 0.0
    seed: int = 0


@dataclass
class Mesh:
    """Points and normals (n x 3, metres) and triangles (m x 3)."""

    points: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray

    def moved(self, offset: tuple[float, float, float] | np.ndarray, yaw: float = 0.0, tilt: float = 0.0) -> Mesh:
        """Return the mesh tilted about x, turned about z, then shifted."""
        turn = rotation(yaw) @ np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        return Mesh(self.points @ turn.T + np.asarray(offset), self.normals @ turn.T, self.triangles)


@dataclass
class Thing:
    """One object: its meshes, each with a material."""

    category: str
    colour: str | None
    parts: list[tuple[Mesh, Material]] = field(default_factory=list)

    def add(self, mesh: Mesh, material: Material) -> None:
        self.parts.append((mesh, material))


def rotation(yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def box(size: tuple[float, float, float], centre: tuple[float, float, float], radius: float = 0.004) -> Mesh:
    """Return a box with rounded edges."""
    half = np.array(size) / 2
    radius = min(radius, float(half.min()) * 0.98)
    steps = np.tan(np.linspace(0, np.pi / 4, 4 if radius > 0.02 else 2)) * radius
    points, triangles, count = [], [], 0
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        lines = [np.concatenate([-(half[k] - radius) - steps[::-1], half[k] - radius + steps]) for k in (u, v)]
        n = len(lines[0])
        corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
        quad = np.stack([corner, corner + n, corner + n + 1, corner, corner + n + 1, corner + 1], 1).reshape(-1, 3)
        for side in (-1, 1):
            face = np.empty((n * n, 3))
            face[:, u], face[:, v] = np.repeat(lines[0], n), np.tile(lines[1], n)
            face[:, axis] = side * half[axis]
            points.append(face)
            triangles.append(count + quad)
            count += n * n
    surface = np.concatenate(points)
    inner = np.clip(surface, -(half - radius), half - radius)
    normals = surface - inner
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(inner + radius * normals + np.array(centre), normals, np.concatenate(triangles))


def lathe(profile: list[tuple[float, float]], centre: tuple[float, float] = (0, 0), segments: int = 40) -> Mesh:
    """Return the surface that (radius, z) pairs, bottom to top, make when turned about z; its corners are sharp."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points, normals, triangles = [], [], []
    corner = np.arange(segments)
    quad = np.stack([corner, corner + 1, corner + segments + 2, corner, corner + segments + 2, corner + segments + 1])
    for number, ((r0, z0), (r1, z1)) in enumerate(pairwise(profile)):
        slope = np.array([z1 - z0, r0 - r1]) / max(np.hypot(z1 - z0, r1 - r0), 1e-9)
        for r, z in ((r0, z0), (r1, z1)):
            points.append(np.column_stack([r * ring, np.full(len(ring), z)]))
            normals.append(np.column_stack([slope[0] * ring, np.full(len(ring), slope[1])]))
        triangles.append(quad.T.reshape(-1, 3) + 2 * number * (segments + 1))
    mesh = Mesh(np.concatenate(points), np.concatenate(normals), np.concatenate(triangles))
    return mesh.moved((*centre, 0.0))


def cylinder(radius: float, low: float, high: float, centre: tuple[float, float] = (0, 0)) -> Mesh:
    return lathe([(0, low), (radius, low), (radius, high), (0, high)], centre)


def ellipsoid(radii: tuple[float, float, float], centre: tuple[float, float, float]) -> Mesh:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 17)
    mesh = lathe(list(zip(np.cos(angle).tolist(), np.sin(angle).tolist(), strict=True)))
    normals = mesh.points / np.array(radii)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(mesh.points * np.array(radii) + np.array(centre), normals, mesh.triangles)


def sofa(cloth: Material, feet: Material, seats: int) -> Thing:
    thing = Thing("sofa" if seats > 1 else "armchair", None)
    arm, depth = 0.2, 0.84
    width = 1.6 if seats > 1 else 0.92
    inside = (width - 2 * arm) / seats
    thing.add(box((width - 0.02, depth - 0.02, 0.26), (0, 0, 0.23), 0.04), cloth)
    thing.add(box((width - 0.08, 0.22, 0.7), (0, depth / 2 - 0.11, 0.47), 0.07), cloth)
    for side in (-1, 1):
        thing.add(box((arm, depth, 0.5), (side * (width - arm) / 2, 0, 0.36), 0.08), cloth)
    for k in range(seats):
        x = (k - (seats - 1) / 2) * inside
        thing.add(box((inside - 0.012, 0.6, 0.17), (x, -0.1, 0.4), 0.055), cloth)
        thing.add(box((inside - 0.012, 0.18, 0.4), (x, 0.2, 0.62), 0.06), cloth)
    for x in (-1, 1):
        for y in (-1, 1):
            thing.add(cylinder(0.03, 0, 0.12, (x * (width / 2 - 0.1), y * (depth / 2 - 0.1))), feet)
    return thing


def chair(wood: Material) -> Thing:
    thing = Thing("chair", None)
    thing.add(box((0.44, 0.42, 0.04), (0, 0, 0.45), 0.012), wood)
    for x in (-0.19, 0.19):
        thing.add(box((0.045, 0.045, 0.44), (x, -0.18, 0.22), 0.006), wood)
        thing.add(box((0.045, 0.045, 0.92), (x, 0.18, 0.46), 0.006), wood)
    for z in (0.6, 0.72, 0.85):
        thing.add(box((0.36, 0.025, 0.06 if z < 0.8 else 0.09), (0, 0.18, z), 0.006), wood)
    return thing


def table(rng: np.random.Generator, wood: Material) -> Thing:
    thing = Thing("table", None)
    if rng.random() < 0.5:
        thing.add(
            lathe([(0, 0.7), (0.58, 0.7), (0.6, 0.705), (0.6, 0.735), (0.585, 0.74), (0, 0.74)], segments=72), wood
        )
        thing.add(cylinder(0.05, 0.03, 0.7), wood)
        thing.add(lathe([(0.31, 0), (0.3, 0.03), (0.06, 0.05)]), wood)
        return thing
    width, depth = rng.uniform(1.1, 1.4), rng.uniform(0.7, 0.9)
    thing.add(box((width, depth, 0.05), (0, 0, 0.715), 0.008), wood)
    for x in (-1, 1):
        for y in (-1, 1):
            thing.add(box((0.07, 0.07, 0.69), (x * (width / 2 - 0.06), y * (depth / 2 - 0.06), 0.345), 0.006), wood)
    return thing


def bookshelf(rng: np.random.Generator, wood: Material, book: Callable[[], Material]) -> Thing:
    thing = Thing("bookshelf", None)
    for x in (-0.46, 0.46):
        thing.add(box((0.03, 0.32, 1.95), (x, 0, 0.975)), wood)
    thing.add(box((0.92, 0.015, 1.93), (0, 0.15, 0.975)), wood)
    shelves = np.linspace(0.06, 1.935, 6)
    for z in shelves:
        thing.add(box((0.9, 0.31, 0.03), (0, 0, float(z))), wood)
    for z in shelves[:-1]:
        x, end = -0.43, rng.uniform(0.2, 0.43)
        while (thick := rng.uniform(0.02, 0.055)) + x < end:
            tall, deep = rng.uniform(0.18, 0.3), rng.uniform(0.16, 0.24)
            thing.add(
                box((thick, deep, tall), (x + thick / 2, -0.13 + deep / 2, float(z) + 0.015 + tall / 2), 0.003), book()
            )
            x += thick + 0.002 if rng.random() > 0.08 else thick + rng.uniform(0.02, 0.1)
    return thing


def dresser(wood: Material, knob: Material) -> Thing:
    thing = Thing("chest of drawers", None)
    thing.add(box((1.0, 0.48, 0.82), (0, 0.01, 0.43), 0.008), wood)
    for z in (0.17, 0.43, 0.69):
        thing.add(box((0.94, 0.02, 0.235), (0, -0.235, z), 0.008), wood)
        for x in (-0.2, 0.2):
            thing.add(ellipsoid((0.018, 0.018, 0.018), (x, -0.255, z)), knob)
    return thing


def television(wood: Material, black: Material) -> Thing:
    thing = Thing("television", None)
    thing.add(box((1.5, 0.4, 0.42), (0, 0, 0.23), 0.01), wood)
    thing.add(box((0.3, 0.2, 0.02), (0, 0, 0.455)), black)
    thing.add(box((0.06, 0.04, 0.1), (0, 0.02, 0.5)), black)
    thing.add(box((1.1, 0.05, 0.64), (0, 0, 0.85), 0.01), black)
    return thing


def plant(rng: np.random.Generator, pot: Material, leaf: Callable[[], Material]) -> Thing:
    thing = Thing("potted plant", None)
    thing.add(lathe([(0.12, 0), (0.18, 0.3), (0.16, 0.3), (0.15, 0.27), (0, 0.27)]), pot)
    for k in range(int(rng.integers(12, 20))):
        length, out = rng.uniform(0.2, 0.42), rng.uniform(0.02, 0.1)
        turn = k * 2.4 + rng.uniform(-0.3, 0.3)
        blade = ellipsoid((rng.uniform(0.04, 0.075), 0.008, length), (0, 0, length))
        blade.points[:, 1] -= rng.uniform(0.1, 0.6) * blade.points[:, 2] ** 2
        foot = (out * np.sin(turn), -out * np.cos(turn), 0.25)
        thing.add(blade.moved(foot, turn, rng.uniform(0.0, 0.25)), leaf())
    return thing


def lamp(metal: Material, shade: Material) -> Thing:
    thing = Thing("floor lamp", None)
    thing.add(lathe([(0.15, 0), (0.15, 0.02), (0.02, 0.035)]), metal)
    thing.add(cylinder(0.013, 0.02, 1.4), metal)
    thing.add(lathe([(0, 1.32), (0.21, 1.31), (0.15, 1.58), (0, 1.57)]), shade)
    return thing


def door(rng: np.random.Generator, leaf: Material, frame: Material, handle: Material) -> Thing:
    thing = Thing("door", None)
    thing.add(box((0.9, 0.06, 2.04), (0, 0.03, 1.02)), leaf)
    for x in (-0.49, 0.49):
        thing.add(box((0.08, 0.1, 2.12), (x, 0.02, 1.06)), frame)
    thing.add(box((1.06, 0.1, 0.08), (0, 0.02, 2.08)), frame)
    for low, high in ((0.2, 0.95), (1.1, 1.9)):
        thing.add(box((0.62, 0.014, high - low), (0, -0.002, (low + high) / 2)), leaf)
    thing.add(ellipsoid((0.03, 0.03, 0.03), (rng.choice([-0.39, 0.39]), -0.05, 1.0)), handle)
    return thing


def picture(rng: np.random.Generator, art: Material, frame: Material) -> Thing:
    thing = Thing("picture", None)
    width, height = rng.uniform(0.45, 1.0), rng.uniform(0.45, 0.72)
    thing.add(box((width, 0.03, height), (0, 0.01, 1.6)), frame)
    thing.add(box((width - 0.08, 0.02, height - 0.08), (0, -0.005, 1.6)), art)
    return thing


def bed(rng: np.random.Generator, wood: Material, cloth: Callable[[], Material]) -> Thing:
    thing = Thing("bed", None)
    width = rng.uniform(1.0, 1.7)
    thing.add(box((width, 2.0, 0.3), (0, -0.5, 0.2), 0.01), wood)
    thing.add(box((width, 0.06, rng.uniform(0.7, 1.1)), (0, 0.5, 0.45), 0.01), wood)
    sheet, blanket = cloth(), cloth()
    thing.add(box((width - 0.06, 1.92, 0.22), (0, -0.5, 0.44), 0.06), sheet)
    thing.add(box((width, rng.uniform(1.0, 1.4), 0.2), (0, -0.85, 0.48), 0.06), blanket)
    for x in (-0.25, 0.25):
        thing.add(box((0.4 * width, 0.35, 0.14), (x * width, 0.25, 0.6), 0.06), sheet)
    return thing


def cabinet(rng: np.random.Generator, body: Material, front: Material, knob: Material) -> Thing:
    thing = Thing("cabinet", None)
    width, height, doors = rng.uniform(0.5, 1.6), rng.uniform(0.6, 2.1), int(rng.integers(1, 4))
    thing.add(box((width, 0.5, height), (0, 0, height / 2), 0.006), body)
    for k in range(doors):
        x = ((k + 0.5) / doors - 0.5) * width
        thing.add(box((width / doors - 0.02, 0.02, height - 0.06), (x, -0.255, height / 2), 0.004), front)
        thing.add(box((0.02, 0.03, 0.12), (x + width / doors * 0.35, -0.27, height / 2)), knob)
    return thing


def trinket(rng: np.random.Generator, look: Callable[[], Material]) -> Thing:
    """Return a random small solid, or a few stacked."""
    thing, z = Thing("clutter", None), 0.0
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.06, 0.3, 3)
        shape = rng.integers(4)
        if shape == 0:
            mesh = box((size[0], size[1], size[2]), (0, 0, z + size[2] / 2), rng.uniform(0.002, 0.05))
        elif shape == 1:
            mesh = cylinder(size[0] / 2, z, z + size[2])
        elif shape == 2:
            mesh = ellipsoid((size[0] / 2, size[1] / 2, size[2] / 2), (0, 0, z + size[2] / 2))
        else:
            radii = rng.uniform(0.03, 0.14, 5)
            mesh = lathe([(0, z), *((float(r), z + size[2] * k / 4) for k, r in enumerate(radii)), (0, z + size[2])])
        thing.add(mesh.moved((0, 0, 0), rng.uniform(0, 6)), look())
        z += size[2]
    return thing

"""Furnishing a rendered room at random: what stands where, in which colours, under which lights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from benchmarks.rooms import shapes
from benchmarks.rooms.light import Lights, Rasteriser, Scene, frame_of, lights
from benchmarks.rooms.shapes import Colour, Material, Thing, box

FIRST_OBJECT = 11  # instance id; 1-6 are floor, ceiling and walls, 7 is the rug
PAINTS = {
    "white": (0.80, 0.80, 0.78), "grey": (0.28, 0.28, 0.29), "black": (0.02, 0.02, 0.022), "red": (0.60, 0.02, 0.02),
    "blue": (0.02, 0.09, 0.55), "yellow": (0.80, 0.58, 0.02), "orange": (0.80, 0.27, 0.02), "green": (0.03, 0.35, 0.08),
    "beige": (0.62, 0.48, 0.29), "brown": (0.20, 0.085, 0.04), "pink": (0.75, 0.15, 0.4), "teal": (0.03, 0.35, 0.38),
}  # fmt: skip
CLOTHS = ("white", "grey", "black", "red", "blue", "yellow", "orange", "green", "beige", "brown")
WOODS = ("white", "beige", "brown")
PATTERNS = ("fabric", "wood", "planks", "blotches", "stripes", "waves", "checks", "patches")


@dataclass
class Placed:
    """An object in the room."""

    thing: Thing
    position: np.ndarray
    yaw: float
    on_wall: bool


@dataclass
class Room:
    """A furnished room; the origin is in the middle of the floor, z up, metres."""

    size: tuple[float, float, float]
    camera: np.ndarray
    scene: Scene
    objects: dict[int, Placed]
    sky: np.ndarray
    lamps: list[np.ndarray]


class Furnisher:
    """Builds one room from a seed.

    :param wild: any pattern on anything, clutter, unusual furniture and sizes.
    """

    def __init__(self, seed: int, wild: bool) -> None:
        self._rng = np.random.default_rng(seed)
        self._wild = wild
        rng = self._rng
        self.size = (rng.uniform(5.9, 7.3), rng.uniform(5.2, 6.3), 2.7)
        self.camera = np.array([rng.uniform(-0.5, 0.5), -self.size[1] / 2 + 0.7, 1.45])
        self._objects: list[Placed] = []
        self._taken: list[tuple[np.ndarray, np.ndarray, bool]] = []  # low, high corners in x, y, z

    def room(self) -> Room:
        rng = self._rng
        stuff = self._shell()
        rug = self._rug()
        self._along_walls()
        self._in_the_middle()
        if self._wild:
            self._clutter()
        self._stuff = [*stuff, *([rug] if rug else [])]
        self._sky = np.array([1.0, 0.97, 0.93]) * rng.uniform(0.9, 1.1, 3 if self._wild else 1)
        return self._built(dict(enumerate(self._objects, FIRST_OBJECT)))

    def changed(self, id: int, elsewhere: bool) -> Room:
        """Return the room, furnished before, with an object taken away or put where it touches nothing."""
        objects = dict(enumerate(self._objects, FIRST_OBJECT))
        thing = objects.pop(id).thing
        if elsewhere:
            del self._taken[id - FIRST_OBJECT]  # so this is the last change of this room
            low, high = np.array([-2.0, -0.6, 0]), np.array([2.0, 1.6, 0])
            while not self._put(thing, self._rng.uniform(low, high), float(self._rng.uniform(0, 2 * np.pi))):
                pass
            objects[id] = self._objects.pop()
        return self._built(objects)

    def _built(self, objects: dict[int, Placed]) -> Room:
        meshes, materials, ids, frames = [], [], [], []
        groups = list(self._stuff)
        for number, placed in objects.items():
            groups.append((number, placed.thing.parts, frame_of(placed.position, placed.yaw)))
        for identity, parts, frame in groups:
            for mesh, material in parts:
                meshes.append(dataclasses.replace(mesh, points=mesh.points @ frame[:3, :3].T + frame[:3, 3],
                                                  normals=mesh.normals @ frame[:3, :3].T))  # fmt: skip
                materials.append(material)
                ids.append(identity)
                frames.append(frame)
        bulbs = [p.position + np.array([0, 0, 1.25]) for p in objects.values() if p.thing.category == "floor lamp"]
        return Room(self.size, self.camera, Scene(meshes, materials, np.array(ids), frames), objects, self._sky, bulbs)

    # Looks ------------------------------------------------------------------------------------------------------

    def _paint(self, name: str) -> Colour:
        colour = np.array(PAINTS[name]) * self._rng.uniform(0.85, 1.1) * self._rng.uniform(0.95, 1.05, 3)
        return tuple(np.clip(colour, 0.01, 0.85).tolist())

    def _colour(self) -> Colour:
        rng = self._rng
        if rng.random() < 0.4:
            return self._paint(rng.choice(list(PAINTS)))
        grey = rng.uniform(0.02, 0.8) ** 1.5
        return tuple(np.clip(grey + rng.normal(0, rng.uniform(0, 0.25), 3), 0.01, 0.85).tolist())

    def _any(self) -> Material:
        """Return any pattern in any colours: what real houses have."""
        rng = self._rng
        colour = self._colour()
        close = np.clip(np.array(colour) * rng.uniform(0.5, 1.6) + rng.normal(0, 0.05, 3), 0.01, 0.85)
        other = tuple(close.tolist()) if rng.random() < 0.6 else self._colour()
        scale, strength = float(rng.uniform(0.02, 0.4)), float(rng.uniform(0.1, 1.0))
        kind = str(rng.choice(PATTERNS, p=[0.3, 0.15, 0.05, 0.15, 0.1, 0.1, 0.05, 0.1]))
        if kind in ("fabric", "wood", "planks", "blotches"):
            strength *= 0.6
        gloss = float(rng.choice([0, 0, 0.3, 1.0]))
        return Material(kind, colour, other, scale, strength, gloss, seed=int(rng.integers(1 << 20)))

    def _cloth(self, name: str) -> Material:
        if self._wild and self._rng.random() < 0.6:
            return self._any()
        return Material("fabric", self._paint(name), strength=0.24, seed=int(self._rng.integers(1 << 20)))

    def _wood(self, name: str, gloss: float = 0.15) -> Material:
        if self._wild and self._rng.random() < 0.6:
            return self._any()
        strength = 0.12 if name == "white" else 0.45
        plain = name not in WOODS
        kind, strength = ("fabric", 0.05) if plain else ("wood", strength)
        return Material(
            kind, self._paint(name), scale=0.05, strength=strength, gloss=gloss, seed=int(self._rng.integers(1 << 20))
        )

    def _plain(self, name: str, gloss: float = 0.0, glow: float = 0.0) -> Material:
        return Material("fabric", self._paint(name), strength=0.04, gloss=gloss, glow=glow)

    def _book(self) -> Material:
        return self._plain(
            str(self._rng.choice(["red", "blue", "yellow", "orange", "green", "white", "black", "brown", "grey"]))
        )

    # The room itself --------------------------------------------------------------------------------------------

    def _shell(self) -> list[tuple[int, list, np.ndarray]]:
        rng = self._rng
        width, depth, height = self.size
        base = np.array([0.66, 0.65, 0.61]) + rng.normal(0, 0.025, 3) + rng.normal(0, 0.02)
        tint = tuple(np.clip(base if not self._wild else base * rng.uniform(0.3, 1.2, 3), 0.05, 0.8).tolist())
        other = tuple((np.array(tint) * rng.uniform(0.8, 0.92)).tolist())
        wall = Material("blotches", tint, scale=0.8, strength=0.02, seed=3)
        accent = Material(
            str(rng.choice(["waves", "stripes"])),
            tint,
            other,
            float(rng.uniform(0.1, 0.3)),
            float(rng.uniform(0.3, 0.9)),
        )
        tone = np.array([0.36, 0.22, 0.115]) * rng.uniform(0.55, 1.25) * rng.uniform(0.9, 1.1, 3)
        floor = Material(
            "planks", tuple(tone.tolist()), scale=rng.uniform(0.11, 0.17), strength=rng.uniform(0.3, 0.6), gloss=0.12
        )
        if self._wild:
            floor, accent = (self._any() if rng.random() < 0.5 else part for part in (floor, accent))
            wall = self._any() if rng.random() < 0.25 else wall
        walls = [accent if k == 0 else wall for k in range(4)]
        turn = float(rng.integers(2)) * np.pi / 2
        slab = box((12, 12, 0.1), (0, 0, -0.05))
        whole: list[tuple[int, list, np.ndarray]] = [(1, [(slab, floor)], frame_of(np.zeros(3), turn))]
        whole.append((2, [(slab, self._plain("white"))], frame_of(np.array([0, 0, height + 0.1]), 0)))
        sides = [
            ((0, depth / 2), 0.0),
            ((-width / 2, 0), np.pi / 2),
            ((width / 2, 0), -np.pi / 2),
            ((0, -depth / 2), np.pi),
        ]
        skirting = self._plain("white")
        for k, ((x, y), yaw) in enumerate(sides):
            parts = [(box((9, 0.1, height), (0, 0.05, height / 2)), walls[k])]
            if self._wild:
                parts.append((box((9, 0.02, 0.1), (0, 0, 0.05)), skirting))
            whole.append((3 + k, parts, frame_of(np.array([x, y, 0]), yaw)))
        return whole

    def _rug(self) -> tuple[int, list, np.ndarray] | None:
        rng = self._rng
        look = Material(
            "blotches",
            self._paint(str(rng.choice(["red", "green", "beige", "blue", "grey"]))),
            scale=0.22,
            strength=0.4,
        )
        if self._wild:
            if rng.random() < 0.4:
                return None
            look = self._any()
        mesh = box((rng.uniform(1.9, 2.8), rng.uniform(1.4, 2.2), 0.012), (0, 0, 0.006))
        place = np.array([rng.uniform(-0.7, 0.7), rng.uniform(-0.9, 0.3), 0])
        return 7, [(mesh, look)], frame_of(place, rng.uniform(-0.2, 0.2))

    # Placing ----------------------------------------------------------------------------------------------------

    def _put(self, thing: Thing, position: np.ndarray, yaw: float, on_wall: bool = False) -> bool:
        """Place the thing unless it touches another one, leaves the room or comes close to the camera."""
        points = np.concatenate([mesh.points for mesh, _ in thing.parts]) @ shapes.rotation(yaw).T + position
        low, high = points.min(axis=0), points.max(axis=0)
        half = np.array(self.size[:2]) / 2 + 0.001
        near = np.linalg.norm(np.clip(self.camera[:2], low[:2], high[:2]) - self.camera[:2])
        if (np.abs([low[:2], high[:2]]) > half).any() or near < 0.85:
            return False
        gap = 0.03 if thing.category == "clutter" else 0.06
        for other_low, other_high, wall in self._taken:
            if on_wall and not wall and other_high[2] < low[2]:
                continue
            if ((low < other_high + gap) & (high > other_low - gap)).all():
                return False
        self._taken.append((low, high, on_wall))
        self._objects.append(Placed(thing, position, yaw, on_wall))
        return True

    def _wall_place(self, thing: Thing, gap: float) -> tuple[np.ndarray, float]:
        width, depth, _ = self.size
        back = max(mesh.points[:, 1].max() for mesh, _ in thing.parts) + gap
        side = self._rng.integers(3)
        if side == 0:
            return np.array([self._rng.uniform(-width / 2, width / 2), depth / 2 - back, 0]), 0.0
        y = self._rng.uniform(-depth / 2 + 0.9, depth / 2)
        return np.array([(back - width / 2) if side == 1 else (width / 2 - back), y, 0]), (
            np.pi / 2 if side == 1 else -np.pi / 2
        )

    def _at_wall(self, thing: Thing, gap: float = 0.02, on_wall: bool = False) -> None:
        for _ in range(60):
            position, yaw = self._wall_place(thing, gap)
            if self._put(thing, position, yaw, on_wall):
                return

    def _along_walls(self) -> None:
        rng = self._rng
        wood = str(rng.choice(WOODS))
        shown = rng.permutation(CLOTHS)[:2]
        feet, metal = self._plain("brown"), Material("fabric", (0.2, 0.2, 0.21), strength=0.02, gloss=1.5)
        knob = Material("fabric", (0.6, 0.45, 0.1), strength=0.02, gloss=1.0)
        leaf = str(rng.choice(["white", "brown"]))
        frame = self._plain("white")
        self._at_wall(self._named(shapes.door(rng, self._wood(leaf), frame, knob), leaf), gap=0.0)
        for k in range(int(rng.integers(3, 5))):
            name = str(shown[k // 2])
            seats = 3 if rng.random() < 0.85 else 2
            if k % 2 == 0:
                cloth = self._cloth(name)  # doubles are made of the same cloth
            self._at_wall(self._named(shapes.sofa(cloth, feet, seats), name))
        for _ in range(int(rng.integers(1, 3))):
            name = str(rng.choice(WOODS))
            self._at_wall(self._named(shapes.bookshelf(rng, self._wood(name), self._book), name))
        if rng.random() < 0.6:
            black = Material("blotches", (0.01, 0.01, 0.011), scale=0.4, strength=0.9, gloss=1.0)
            self._at_wall(self._named(shapes.television(self._wood(wood), black), wood))
        if rng.random() < 0.6:
            name = str(rng.choice(WOODS))
            self._at_wall(self._named(shapes.dresser(self._wood(name), knob), name))
        if self._wild:
            for _ in range(int(rng.integers(0, 3))):
                self._at_wall(shapes.cabinet(rng, self._any(), self._any(), metal))
            if rng.random() < 0.4:
                self._at_wall(shapes.bed(rng, self._any(), self._any))
        for _ in range(int(rng.integers(1, 3))):
            self._at_wall(shapes.plant(rng, self._pot(), self._leaf))
        for _ in range(int(rng.integers(1, 3))):
            shade = Material("fabric", (0.8, 0.76, 0.66), strength=0.03, glow=0.75)
            self._at_wall(shapes.lamp(metal, shade))
        for _ in range(int(rng.integers(1, 3))):
            name = str(rng.choice(["yellow", "brown", "black", "white"]))
            art = Material(
                "patches",
                self._colour(),
                self._colour(),
                float(rng.uniform(0.15, 0.3)),
                1.0,
                seed=int(rng.integers(999)),
            )
            self._at_wall(self._named(shapes.picture(rng, art, self._plain(name)), name), 0.0, on_wall=True)

    @staticmethod
    def _named(thing: Thing, colour: str) -> Thing:
        thing.colour = colour
        return thing

    def _pot(self) -> Material:
        return self._any() if self._wild else Material("fabric", self._paint("orange"), strength=0.05, gloss=0.2)

    def _leaf(self) -> Material:
        shade = self._rng.uniform(0.7, 1.3)
        return Material("fabric", (0.02 * shade, 0.27 * shade, 0.05 * shade), strength=0.1, gloss=0.05)

    def _in_the_middle(self) -> None:
        rng = self._rng
        wood, cloth = str(rng.choice(WOODS)), str(rng.choice(CLOTHS))
        centre = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-0.1, 0.9), 0])
        self._put(
            self._named(shapes.table(rng, self._wood(wood, 0.6)), wood),
            centre,
            rng.choice([0, np.pi / 2]) + rng.uniform(-0.2, 0.2),
        )
        name = str(rng.choice(["white", "brown", "red", "blue", "yellow", "black"]))
        legs, wanted = self._wood(name), int(rng.integers(2, 5))
        cover = self._cloth(cloth)
        seats = 1 if rng.random() < 0.75 else 3
        for thing in [shapes.sofa(cover, self._plain("brown"), seats)] * (rng.random() < 0.8):
            thing.colour = cloth
            self._try(
                thing,
                lambda: (
                    rng.uniform([-2.3, -1.2, 0], [2.3, 0.6, 0]),
                    rng.choice([-1.6, 1.5, 3.3]) + rng.uniform(-0.25, 0.25),
                ),
            )
        for _ in range(wanted):

            def about() -> tuple[np.ndarray, float]:
                angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.8)
                place = centre + far * np.array([np.cos(angle), np.sin(angle), 0])
                return place, angle - np.pi / 2 + rng.uniform(-0.4, 0.4)

            self._try(self._named(shapes.chair(legs), name), about)

    def _try(self, thing: Thing, place, tries: int = 25) -> None:
        for _ in range(tries):
            if self._put(thing, *place()):
                return

    def _clutter(self) -> None:
        """Put small things on tables and chests and on the floor."""
        rng = self._rng
        tops = [(low, high) for low, high, wall in self._taken if not wall and 0.4 < high[2] < 1.0]
        for _ in range(int(rng.integers(4, 14))):
            thing = shapes.trinket(rng, self._any)
            low, high = np.array([-2.5, -1.5, 0]), np.array([2.5, 2.5, 0.0])
            if tops and rng.random() < 0.7:
                low, high = tops[int(rng.integers(len(tops)))]
                low, high = np.array([*low[:2] + 0.12, high[2] + 0.035]), np.array([*high[:2] - 0.12, high[2] + 0.035])
            where = rng.uniform(np.minimum(low, high), high)
            self._put(thing, where, 0.0)


def room_lights(room: Room, rasteriser: Rasteriser, rng: np.random.Generator, wild: bool) -> tuple[Lights, np.ndarray]:
    """Return lights under the ceiling, weaker ones all around, one for each lamp, and the ambient light."""
    width, depth, height = room.size
    count = int(rng.integers(1, 5)) if wild else 0
    soft = 16
    spread = rng.uniform(0.2, 0.7) if wild else 0.62
    middle = rng.uniform(-0.25, 0.25, 2) if wild else rng.uniform(-0.08, 0.08, 2)
    position = np.column_stack([
        (middle[0] + spread * (rng.permutation(soft) / soft - 0.5)) * width,
        (middle[1] + spread * ((np.arange(soft) + 0.5) / soft - 0.5)) * depth,
        np.full(soft, height - 0.03),
    ])  # fmt: skip
    axis = np.tile([0.0, 0.0, -1.0], (soft, 1))
    colour = np.tile(room.sky * 7.5 / soft, (soft, 1))
    extra, direction = _all_around(width, depth, height, rng, 12)
    position, axis = np.concatenate([position, extra]), np.concatenate([axis, direction])
    colour = np.concatenate([colour, np.tile(room.sky * 7.5 / 12, (12, 1))])
    even = np.ones(len(position))
    hard = [rng.uniform([-0.45 * width, -0.45 * depth, 1.2], [0.45 * width, 0.45 * depth, 2.6]) for _ in range(count)]
    for where, power in [*((bulb, 0.15) for bulb in room.lamps), *((bulb, rng.uniform(0.3, 4)) for bulb in hard)]:
        position, axis = np.vstack([position, where]), np.vstack([axis, [0, 0.01, -1]])
        tint = np.array([1.0, 0.85, 0.65]) if not wild else rng.uniform(0.6, 1.1, 3)
        colour, even = np.vstack([colour, tint * power]), np.append(even, 0.0)
    return lights(rasteriser, position, axis, colour, even), room.sky * (rng.uniform(0.05, 0.3) if wild else 0.06)


def _all_around(
    width: float, depth: float, height: float, rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return places on the walls that look inwards: they stand for the light that walls throw back."""
    side = np.arange(count) % 4
    along, up = rng.uniform(-0.45, 0.45, count), rng.uniform(0.35, 0.95, count) * height
    x = np.where(side == 0, -0.49 * width, np.where(side == 1, 0.49 * width, along * width))
    y = np.where(side == 2, -0.49 * depth, np.where(side == 3, 0.49 * depth, along * depth))
    inwards = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], float)[side]
    return np.column_stack([x, y, up]), inwards

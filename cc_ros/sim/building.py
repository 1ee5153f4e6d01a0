"""Seeded buildings: rooms side by side, joined by doors, furnished at random so that a robot gets everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from cc_ros.errors import SettingsError
from cc_ros.sim import furniture
from cc_ros.sim.furniture import PAINTS, Piece
from cc_ros.sim.grid import Grid

HEIGHT = 2.6  # metres, of the walls
THICK = 0.1  # metres, of the walls
DOOR = 1.1  # metres
GAP = 0.75  # metres between pieces: what a robot of 0.4 m needs, and some more
MAX_ROOMS = 6
TRIES = 40  # places that are tried for one piece


@dataclass(frozen=True)
class Wall:
    """A piece of wall, a box on the floor or above a door: low and high corner (x, y, z), metres."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True)
class Placed:
    """A piece of furniture in its place; ``yaw`` in radians about z."""

    piece: Piece
    x: float
    y: float
    yaw: float
    room: int

    @cached_property
    def footprint(self) -> tuple[float, float, float, float]:
        """The box around it on the floor: low x, low y, high x, high y."""
        low, high = self.piece.bounds
        corners = np.array([(a, b) for a in (low[0], high[0]) for b in (low[1], high[1])])
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        turned = corners @ np.array([[c, s], [-s, c]]) + (self.x, self.y)
        return (*map(float, turned.min(axis=0)), *map(float, turned.max(axis=0)))  # type: ignore[return-value]


@dataclass(frozen=True)
class Room:
    """A rectangle of floor, metres."""

    low_x: float
    low_y: float
    high_x: float
    high_y: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle (x, y)."""
        return (self.low_x + self.high_x) / 2, (self.low_y + self.high_y) / 2


@dataclass(frozen=True)
class Building:
    """What stands where, in a frame with z up, metres.

    :param doors: (x, y) of the middle of each opening; the i-th joins the rooms i and i + 1.
    """

    seed: int
    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    doors: tuple[tuple[float, float], ...]
    placed: tuple[Placed, ...]

    def floor(self, resolution: float = 0.05) -> Grid:
        """Return the floor plan; what hangs on walls is left out."""
        low_x, low_y = (min(getattr(room, name) for room in self.rooms) - 0.3 for name in ("low_x", "low_y"))
        high_x, high_y = (max(getattr(room, name) for room in self.rooms) + 0.3 for name in ("high_x", "high_y"))
        grid = Grid.of_size((low_x, low_y), (high_x, high_y), resolution)
        for wall in self.walls:
            if wall.low[2] < 1.0:
                grid.block(*wall.low[:2], *wall.high[:2])
        for placed in self.placed:
            if placed.piece.bounds[0][2] < 1.0:
                grid.block(*placed.footprint)
        return grid

    def named(self, name: str) -> list[Placed]:
        """Return the pieces of this name."""
        return [placed for placed in self.placed if placed.piece.name == name]


def build(seed: int, rooms: int = 2) -> Building:
    """Return the building of a seed: the same each time.

    :param rooms: how many, side by side.
    :raises SettingsError: too few or too many rooms.
    """
    if not 1 <= rooms <= MAX_ROOMS:
        raise SettingsError(f"a building has 1 to {MAX_ROOMS} rooms, not {rooms}")
    rng = np.random.default_rng(seed)
    plan, x = [], 0.0
    for _ in range(rooms):
        wide, deep = rng.uniform(4.8, 6.0), rng.uniform(4.6, 5.6)
        plan.append(Room(x, -deep / 2, x + wide, deep / 2))
        x += wide + THICK
    doors = []
    for left, right in pairwise(plan):
        reach = min(left.high_y, right.high_y) - DOOR
        doors.append((left.high_x + THICK / 2, float(rng.uniform(-reach, reach))))
    furnisher = _Furnisher(rng, plan, doors)
    return Building(seed, tuple(plan), tuple(_walls(plan, doors)), tuple(doors), tuple(furnisher.furnish()))


def _walls(plan: list[Room], doors: list[tuple[float, float]]) -> Iterable[Wall]:
    for room in plan:
        for low, high in ((room.low_y - THICK, room.low_y), (room.high_y, room.high_y + THICK)):
            yield Wall((room.low_x - THICK, low, 0), (room.high_x + THICK, high, HEIGHT))
    for x, room in ((plan[0].low_x - THICK, plan[0]), (plan[-1].high_x, plan[-1])):
        yield Wall((x, room.low_y, 0), (x + THICK, room.high_y, HEIGHT))
    for (x, y), left, right in zip(doors, plan, plan[1:], strict=False):
        low, high = min(left.low_y, right.low_y), max(left.high_y, right.high_y)
        sides = (x - THICK / 2, x + THICK / 2)
        yield Wall((sides[0], low, 0), (sides[1], y - DOOR / 2, HEIGHT))
        yield Wall((sides[0], y + DOOR / 2, 0), (sides[1], high, HEIGHT))
        yield Wall((sides[0], y - DOOR / 2, 2.05), (sides[1], y + DOOR / 2, HEIGHT))


class _Furnisher:
    """Places furniture at walls and in the middle of rooms; no two pieces have one name."""

    def __init__(self, rng: np.random.Generator, plan: list[Room], doors: list[tuple[float, float]]) -> None:
        self._rng = rng
        self._plan = plan
        self._doors = doors
        self._placed: list[Placed] = []
        self._names: set[str] = set()

    def furnish(self) -> list[Placed]:
        for number in range(len(self._plan)):
            kinds = self._rng.permutation(len(furniture.AT_WALLS))[: int(self._rng.integers(5, 7))]
            for kind in kinds:
                self._try(number, furniture.AT_WALLS[kind], self._at_wall)
            for kind in self._rng.integers(0, len(furniture.FREE), int(self._rng.integers(1, 3))):
                self._try(number, furniture.FREE[kind], self._in_the_middle)
            for _ in range(2):
                self._try(number, furniture.picture, self._at_wall)
        return self._placed

    def _try(
        self,
        room: int,
        make: Callable[[np.random.Generator, str], Piece],
        place: Callable[[Piece, Room], tuple[float, float, float]],
    ) -> None:
        piece = make(self._rng, str(self._rng.choice(list(PAINTS))))
        if piece.name in self._names:
            return
        for _ in range(TRIES):
            new = Placed(piece, *place(piece, self._plan[room]), room)
            if self._fits(new):
                self._placed.append(new)
                self._names.add(piece.name)
                return

    def _at_wall(self, piece: Piece, room: Room) -> tuple[float, float, float]:
        (low_x, _, _), (high_x, back, _) = piece.bounds
        side = int(self._rng.integers(4))
        low, high = (room.low_x, room.high_x) if side % 2 == 0 else (room.low_y, room.high_y)
        along = float(self._rng.uniform(low - low_x + 0.05, high - high_x - 0.05))
        gap = back + 0.02
        return (
            (along, room.high_y - gap, 0.0),
            (room.low_x + gap, along, np.pi / 2),
            (along, room.low_y + gap, np.pi),
            (room.high_x - gap, along, -np.pi / 2),
        )[side]

    def _in_the_middle(self, piece: Piece, room: Room) -> tuple[float, float, float]:
        x, y = self._rng.uniform((room.low_x + 1.3, room.low_y + 1.3), (room.high_x - 1.3, room.high_y - 1.3))
        return float(x), float(y), float(self._rng.uniform(-np.pi, np.pi))

    def _fits(self, new: Placed) -> bool:
        low_x, low_y, high_x, high_y = new.footprint
        room = self._plan[new.room]
        if low_x < room.low_x or low_y < room.low_y or high_x > room.high_x or high_y > room.high_y:
            return False
        hanging = new.piece.bounds[0][2] > 1.0
        if not hanging and any(self._distance(new, x, y, x, y) < 1.1 for x, y in self._doors):
            return False
        for other in self._placed:
            gap = 0.05 if hanging or other.piece.bounds[0][2] > 1.0 else GAP
            if self._distance(new, *other.footprint) < gap:
                return False
        return True

    @staticmethod
    def _distance(new: Placed, low_x: float, low_y: float, high_x: float, high_y: float) -> float:
        """Return the distance of two boxes on the floor."""
        mine = new.footprint
        x = max(0.0, low_x - mine[2], mine[0] - high_x)
        y = max(0.0, low_y - mine[3], mine[1] - high_y)
        return float(np.hypot(x, y))

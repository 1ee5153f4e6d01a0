"""Where a robot can stand before an object: free, reachable, and facing it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from cc_ros.geometry.bodies import Body
from cc_ros.ground import FREE, OCCUPIED, Ground
from cc_ros.geometry.outcome import Cause, Unknown

CELL = 0.05  # metres, of the plan; more where it would have too many cells
MOST_CELLS = 300  # along one side of the plan
NEAR = 0.1  # metres: a robot that is so near to where it is to go stays and turns
MARGIN = 3.0  # metres of the plan around the robot and the object
UNSEEN = 3.0  # a way over floor that was not seen counts so many times
OFFSETS = (0.0, 0.2, -0.2, 0.4, -0.4, 0.6, 0.8, 1.0)  # metres from the wanted distance, tried in this order
FLAT = 0.12  # metres above the floor: what is no higher is part of it
WALL = (0.5, 2.2, 1.6)  # metres: what is thinner, wider and taller is a wall
DIAGONAL = math.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class GoalRules:
    """What a goal has to keep.

    :param distance: metres from the object's edge.
    :param radius: of the robot, metres.
    :param sigma: largest standard deviation of an object's place, metres.
    """

    distance: float = 0.8
    radius: float = 0.25
    sigma: float = 0.3


@dataclass(frozen=True, slots=True)
class Stand:
    """A pose on the ground: metres in the world, and radians from its x axis to the left."""

    x: float
    y: float
    yaw: float


def stand_before(
    target: Body, things: Collection[Body], here: np.ndarray, ground: Ground | None, rules: GoalRules
) -> Stand | Unknown:
    """Return the nearest place before an object where a robot can stand, or why there is none.

    It is more than the radius away from everything known, and so is the way there.

    :param things: everything with a box, the object among them or not.
    :param here: (x, y) of the robot, metres.
    :param ground: what else is known of the ground; None = nothing.
    """
    refusal = _refusal(target, ground, rules)
    if refusal is not None:
        return refusal
    if ground is None:
        why = f"nothing shows whether the floor before mark {target.id} is free: it takes depth or a map"
        return Unknown(why, Cause.NO_DEPTH)
    others = [one for one in things if one.id != target.id and not _is_floor(one, ground) and not _is_wall(one, ground)]
    plan = _Plan(target, others, np.asarray(here, float), ground, rules)
    if plan.stays:
        return _facing(target, here)
    reach = plan.ways()
    before = target.away(plan.middles)
    blocked = Unknown(f"nothing before mark {target.id} is free for the robot", Cause.NO_GOAL)
    for offset in OFFSETS:
        wanted = max(rules.distance + min(offset, 0), rules.radius + plan.cell) + max(offset, 0)
        ring = np.flatnonzero(plan.known & (np.abs(before - wanted) <= 0.75 * plan.cell))
        if len(ring):
            blocked = Unknown(f"no free way leads to mark {target.id}", Cause.NO_GOAL)
        ring = ring[np.isfinite(reach[ring])]
        for one in ring[np.argsort(reach[ring], kind="stable")]:
            if plan.faces(one):
                return _facing(target, plan.middles[one])
    return blocked


def _facing(target: Body, place: np.ndarray) -> Stand:
    dx, dy = target.point[:2] - place
    return Stand(float(place[0]), float(place[1]), math.atan2(dy, dx))


def _refusal(target: Body, ground: Ground | None, rules: GoalRules) -> Unknown | None:
    """Return why nobody goes there at all."""
    if not target.sigma <= rules.sigma:
        why = f"the place of mark {target.id} is uncertain by {2 * target.sigma:.1f} m"
        return Unknown(f"{why}, more than goals allow ({2 * rules.sigma:.1f} m)", Cause.UNCERTAIN)
    if _is_floor(target, ground):
        return Unknown(f"mark {target.id} lies flat on the floor: it is floor or a rug", Cause.NO_GOAL)
    if _is_wall(target, ground):
        return Unknown(f"mark {target.id} is a wall", Cause.NO_GOAL)
    return None


def _is_floor(body: Body, ground: Ground | None) -> bool:
    return body.boxed and ground is not None and bool(body.high[2] - ground.floor <= FLAT)


def _is_wall(body: Body, ground: Ground | None) -> bool:
    thin, wide, tall = WALL
    size = body.high - body.low
    return body.boxed and bool(size[2] > tall and max(size[:2]) > wide) and min(_across(body, ground)) < thin


def _across(target: Body, ground: Ground | None) -> tuple[float, ...]:
    """Return how wide a thing is along and across itself: of what stands in its box, else of the box."""
    size = target.high[:2] - target.low[:2]
    if ground is None:
        return tuple(size)
    cells = ground.taken()
    cells = cells[target.away(cells) <= ground.resolution]
    if len(cells) < 8:
        return tuple(size)
    axes = np.linalg.eigh(np.cov(cells.T))[1]
    low, high = np.percentile(cells @ axes, [5, 95], axis=0)
    return tuple(high - low)


class _Plan:
    """The ground around the robot and an object as cells, and which of them the robot may stand on."""

    def __init__(
        self, target: Body, others: list[Body], here: np.ndarray, ground: Ground, rules: GoalRules
    ) -> None:
        corners = np.array([target.low[:2], target.high[:2], here])
        low, high = corners.min(axis=0) - MARGIN - rules.distance, corners.max(axis=0) + MARGIN + rules.distance
        self.cell = max(CELL, float((high - low).max()) / MOST_CELLS)
        self._size = width, height = tuple(np.ceil((high - low) / self.cell).astype(int))
        column, row = np.meshgrid(np.arange(width), np.arange(height))
        self.middles = low + self.cell * (np.stack([column, row], axis=2).reshape(-1, 2) + 0.5)
        self._low, self._target, self._rules = low, target, rules
        self._away = np.linalg.norm(self.middles - here, axis=1)
        self._free = np.full(width * height, np.inf)  # metres to the nearest thing
        for body in (target, *others):
            self._free = np.minimum(self._free, body.away(self.middles) - body.slack)
        self._taken = np.zeros(width * height, bool)
        values = ground.at(self.middles)
        self._open = (values >= FREE) & (values < OCCUPIED)
        self._add(ground)
        self.clear = self._free >= rules.radius
        self.known = self.clear & self._seen_free(rules.radius)
        own = int(np.argmin(self._away))
        self.stays = bool(self._free[own] >= rules.radius and target.away(here) <= rules.distance + NEAR)

    def _add(self, ground: Ground) -> None:
        """Add what stands on the ground."""
        cells = ground.taken()
        places = np.floor((cells - self._low) / self.cell).astype(int)
        inside = ((places >= 0) & (places < self._size)).all(axis=1)
        if not inside.any():
            return
        width, height = self._size
        taken = np.zeros((height, width), bool)
        taken[places[inside, 1], places[inside, 0]] = True
        self._taken = taken.ravel()
        # Between the middles of two cells; what is in a cell may be at its corner.
        away = self.cell * distance_transform_edt(~taken).ravel()
        self._free = np.minimum(self._free, away - DIAGONAL * (self.cell + ground.resolution))

    def _seen_free(self, radius: float) -> np.ndarray:
        """Return where the robot would stand on nothing but floor that was seen to be free."""
        width, height = self._size
        unseen = ~self._open.reshape(height, width)
        if not unseen.any():
            return self._open
        return np.asarray(self.cell * distance_transform_edt(~unseen).ravel() > radius)

    def ways(self) -> np.ndarray:
        """Return for each cell how long the way is from the robot, metres; infinite where none leads.

        Nothing known is within the robot's radius of it; where floor was not seen, it counts as longer.
        """
        width, height = self._size
        own = self._away <= self._rules.radius + 2 * self.cell
        passable = (own | self.clear).reshape(height, width)
        slow = np.where(self._open | own, 1.0, UNSEEN).reshape(height, width)
        number = np.arange(width * height).reshape(height, width)
        sources, targets, lengths = [], [], []
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            first = np.s_[: height - dy, max(0, -dx) : width - max(0, dx)]
            second = np.s_[dy:, max(0, dx) : width - max(0, -dx)]
            both = passable[first] & passable[second]
            sources.append(number[first][both])
            targets.append(number[second][both])
            lengths.append(self.cell * math.hypot(dx, dy) * (slow[first] + slow[second])[both] / 2)
        pairs = np.concatenate(sources), np.concatenate(targets)
        graph = coo_matrix((np.concatenate(lengths), pairs), (width * height, width * height)).tocsr()
        return np.asarray(dijkstra(graph, directed=False, indices=int(np.argmin(self._away))))

    def faces(self, cell: int) -> bool:
        """Whether the object is before that cell: nothing stands between, or it lies to a side it was seen from.

        What stands between need not hide the object: a picture hangs above a sofa.
        """
        place, target = self.middles[cell], self._target
        edge = np.clip(place, target.low[:2], target.high[:2])
        steps = np.linspace(0, 1, 2 + int(np.linalg.norm(edge - place) / self.cell))[:, None]
        columns, rows = np.floor((place + steps * (edge - place) - self._low) / self.cell).astype(int).T
        index = rows * self._size[0] + columns
        between = self._taken[index] & (target.away(self.middles[index]) > 3 * self.cell)
        if not between.any():
            return True
        sides = (target.seen_from - target.point[:2]) @ (place - target.point[:2])
        return bool((sides > 0).any())

"""Where a robot can stand before an object: free, reachable, and facing it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from cc_ros.geometry.bodies import Body
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.ground import FREE, OCCUPIED, Ground

CELL = 0.05  # metres, of the plan; more where it would have too many cells
MOST_CELLS = 300  # along one side of the plan
NEAR = 0.1  # metres: a robot that is so near to where it is to go stays and turns
MARGIN = 3.0  # metres of the plan around the robot and the object
UNSEEN = 3.0  # a way over floor that was not seen counts so many times
OFFSETS = (0.0, 0.2, -0.2, 0.4, -0.4, 0.6, 0.8, 1.0)  # metres from the wanted distance, tried in this order
FLAT = 0.12  # metres above the floor: what is no higher is part of it
WALL = (0.5, 2.2, 1.6)  # metres: what is thinner, wider and taller is a wall
SEEN = 0.95  # cosine between the directions to where an object was seen from, and to a place that it is seen from too
EDGE = 3  # cells that the edge of a box may be off
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
    sigma: float = 0.4


@dataclass(frozen=True, slots=True)
class Stand:
    """A pose on the ground: metres in the world, and radians from its x axis to the left."""

    x: float
    y: float
    yaw: float


def stand_before(
    target: Body, things: Collection[Body], here: np.ndarray, grounds: Sequence[Ground], rules: GoalRules
) -> Stand | Unknown:
    """Return the nearest place before an object where a robot can stand, or why there is none.

    It is more than the radius away from everything known, and so is the way there.

    :param things: everything with a box, the object among them or not.
    :param here: (x, y) of the robot, metres.
    :param grounds: what else is known of the ground: what holds something in one of them is not stood on.
    """
    refusal = _refusal(target, grounds, rules)
    if refusal is not None:
        return refusal
    others = [one for one in things if one.id != target.id and _is_solid(one, here, grounds)]
    plan = _Plan(target, others, np.asarray(here, float), grounds, rules)
    if plan.stays:
        return _facing(target, here)
    reach = plan.ways()
    blocked = Unknown(f"nothing before mark {target.id} is free for the robot", Cause.NO_GOAL)
    over: int | None = None  # the first place from where it is seen over something that may hide it
    cut_off: list[int] = []  # places to which no way leads
    for offset in OFFSETS:
        wanted = max(rules.distance + min(offset, 0), rules.radius + plan.cell) + max(offset, 0)
        ring = np.flatnonzero(plan.known & (np.abs(plan.before - wanted) <= 0.75 * plan.cell))
        if len(ring):
            blocked = Unknown(f"no free way leads to mark {target.id}", Cause.NO_GOAL)
        near = np.isfinite(reach[ring])
        cut_off += ring[~near].tolist()
        ring = ring[near]
        for one in ring[np.argsort(reach[ring], kind="stable")]:
            sees = plan.sees(one)
            if sees is Sight.FREE:
                return _facing(target, plan.middles[one])
            if over is None and sees is Sight.OVER:
                over = one
    if over is None or any(plan.sees(one) is Sight.FREE for one in cut_off):  # those are before it, as behind a door
        return blocked
    return _facing(target, plan.middles[over])


def _facing(target: Body, place: np.ndarray) -> Stand:
    dx, dy = target.point[:2] - place
    return Stand(float(place[0]), float(place[1]), math.atan2(dy, dx))


def _refusal(target: Body, grounds: Sequence[Ground], rules: GoalRules) -> Unknown | None:
    """Return why nobody goes there at all."""
    if _is_floor(target, grounds):
        return Unknown(f"mark {target.id} lies flat on the floor: it is floor or a rug", Cause.NO_GOAL)
    if _is_wall(target, grounds):
        return Unknown(f"mark {target.id} is a wall", Cause.NO_GOAL)
    if not target.sigma <= rules.sigma:
        why = f"the place of mark {target.id} is uncertain by {2 * target.sigma:.1f} m"
        return Unknown(f"{why}, more than goals allow ({2 * rules.sigma:.1f} m)", Cause.UNCERTAIN)
    if not grounds:
        why = f"nothing shows whether the floor before mark {target.id} is free: it takes depth or a map"
        return Unknown(why, Cause.NO_DEPTH)
    return None


def _is_solid(body: Body, here: np.ndarray, grounds: Sequence[Ground]) -> bool:
    """Whether a box stands for a thing: not those of floor and walls, nor one that the robot itself stands in."""
    return bool(body.away(here) > 0) and not _is_floor(body, grounds) and not _is_wall(body, grounds)


def _is_floor(body: Body, grounds: Sequence[Ground]) -> bool:
    return body.boxed and any(bool(body.high[2] - ground.floor <= FLAT) for ground in grounds)


def _is_wall(body: Body, grounds: Sequence[Ground]) -> bool:
    thin, wide, tall = WALL
    size = body.high - body.low
    return body.boxed and bool(size[2] > tall and max(size[:2]) > wide) and min(_across(body, grounds)) < thin


def _across(body: Body, grounds: Sequence[Ground]) -> np.ndarray:
    """Return how wide a thing is along and across itself: of what stands in its box, else of the box (2)."""
    cells = np.concatenate([np.zeros((0, 2)), *(ground.taken() for ground in grounds)])
    cells = cells[body.away(cells) <= CELL]
    if len(cells) < 8:
        return np.asarray(body.high[:2] - body.low[:2])
    low, high = np.percentile(cells @ np.linalg.eigh(np.cov(cells.T))[1], [5, 95], axis=0)
    return np.asarray(high - low)


class Sight(Enum):
    """What is between a place and an object: nothing that hides it, something that may, or something that does."""

    FREE, OVER, HIDDEN = range(3)


class _Plan:
    """The ground around the robot and an object as cells, and which of them the robot may stand on."""

    def __init__(
        self, target: Body, others: list[Body], here: np.ndarray, grounds: Sequence[Ground], rules: GoalRules
    ) -> None:
        corners = np.array([target.low[:2], target.high[:2], here])
        low, high = corners.min(axis=0) - MARGIN - rules.distance, corners.max(axis=0) + MARGIN + rules.distance
        self.cell = max(CELL, float((high - low).max()) / MOST_CELLS)
        slack = DIAGONAL * max((ground.resolution for ground in grounds), default=0.0)
        if len(grounds) == 1 and math.isclose(grounds[0].resolution, self.cell, rel_tol=1e-6) and grounds[0].yaw == 0:
            low = low - (low - grounds[0].origin) % self.cell  # its cells are those of the plan: nothing is rounded
            slack = 0.0
        self._size = width, height = tuple(np.ceil((high - low) / self.cell).astype(int))
        column, row = np.meshgrid(np.arange(width), np.arange(height))
        self.middles = low + self.cell * (np.stack([column, row], axis=2).reshape(-1, 2) + 0.5)
        self._low, self._target, self._rules = low, target, rules
        self._lower = [body for body in others if body.high[2] < target.point[2]]
        # Free floor, what stands on the ground, and the boxes less the floor that the camera saw: a box around a thing
        # that stands askew holds some. A map does not tell: its sensor may look below a table.
        self._open, self._seen, self._taken = np.zeros((3, width * height), bool)
        for ground in grounds:
            values = ground.at(self.middles)
            free = (values >= FREE) & (values < OCCUPIED)
            self._open |= free
            self._seen |= free & math.isfinite(ground.floor)
            self._mark(ground.taken())
        shown = self._inside(target)
        whole = target.away(self.middles)
        self.before = self._away_from(shown) + self.cell / 2 if shown.any() else whole
        boxes = np.any([self._taken, *(self._inside(body) for body in (target, *others))], axis=0)
        gaps = self._away_from(boxes) - DIAGONAL * self.cell - slack
        self.clear = gaps >= rules.radius
        self.known = self.clear & (self._away_from(~self._open) > rules.radius)
        self._near = np.linalg.norm(self.middles - here, axis=1)
        own = int(np.argmin(self._near))
        near = self.clear[own] and self.before[own] <= rules.distance + NEAR
        self.stays = bool(near and self.sees(own) is not Sight.HIDDEN)

    def _inside(self, body: Body) -> np.ndarray:
        """Return the cells that a thing takes up: its box less floor seen in it, or, of a wall askew, what was seen."""
        box = body.away(self.middles) <= body.slack + DIAGONAL * self.cell
        mostly_floor = np.count_nonzero(box & self._seen) > np.count_nonzero(box & self._taken)
        return box & self._taken if mostly_floor else box & ~self._seen

    def _mark(self, places: np.ndarray) -> None:
        """Note that something stands at places (Nx2)."""
        cells = np.floor((places - self._low) / self.cell).astype(int)
        column, row = cells[((cells >= 0) & (cells < self._size)).all(axis=1)].T
        self._taken[row * self._size[0] + column] = True

    def _away_from(self, cells: np.ndarray) -> np.ndarray:
        """Return the distance of each cell from the nearest of some, from middle to middle, metres."""
        if not cells.any():
            return np.full(len(cells), np.inf)
        from scipy.ndimage import distance_transform_edt  # not for all who import the rules: it loads for 0.2 s

        return np.asarray(self.cell * distance_transform_edt(~cells.reshape(self._size[::-1])).ravel())

    def ways(self) -> np.ndarray:
        """Return for each cell how long the way is from the robot, metres; infinite where none leads.

        Nothing known is within the robot's radius of it; where floor was not seen, it counts as longer.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import dijkstra

        width, height = self._size
        own = self._near <= self._rules.radius
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
        return np.asarray(dijkstra(graph, directed=False, indices=int(np.argmin(self._near))))

    def sees(self, cell: int) -> Sight:
        """Return whether the object is before that cell.

        What stands at its edge may be part of it, and what stands further before it need not hide it, as a sofa below a
        picture: where it was seen from about there. Only what is known to be lower surely does not hide it.
        """
        place, target = self.middles[cell], self._target
        edge = np.clip(place, target.low[:2], target.high[:2])
        steps = np.linspace(0, 1, 2 + int(np.linalg.norm(edge - place) / self.cell))[:, None]
        columns, rows = np.floor((place + steps * (edge - place) - self._low) / self.cell).astype(int).T
        index = rows * self._size[0] + columns
        points = self.middles[index[self._taken[index]]]
        points = points[target.away(points) > self.cell]
        if not len(points):
            return Sight.FREE
        eyes, way = target.seen_from - target.point[:2], place - target.point[:2]
        if not (eyes @ way > SEEN * np.linalg.norm(eyes, axis=1) * np.linalg.norm(way)).any():
            return Sight.HIDDEN
        own = [
            target.away(points) <= EDGE * self.cell,
            *(body.away(points) <= EDGE * self.cell for body in self._lower),
        ]
        return Sight.FREE if np.any(own, axis=0).all() else Sight.OVER


def turned_to(target: np.ndarray, pose: np.ndarray) -> Stand:
    """Return where a robot is that stays and turns to a point, or, straight under or above it, stays as it is.

    :param target: (x, y) in the world, metres.
    :param pose: 4x4, its camera in the world.
    """
    here, way = pose[:2, 3], target - pose[:2, 3]
    if float(np.hypot(*way)) < 1e-6:
        way = pose[:2, 2]
    return Stand(float(here[0]), float(here[1]), math.atan2(way[1], way[0]))

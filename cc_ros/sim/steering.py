"""How a robot is steered along a way: by speeds, or by the discrete actions of VLN-CE."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cc_ros.errors import CCError
from cc_ros.sim.world import Pose

if TYPE_CHECKING:
    from cc_ros.evaluation.benchmarks.r2r import Rules

SPEED = 0.4  # m/s
TURN = 0.7  # rad/s
AHEAD = 0.45  # metres along the way that it steers for
CLOSE = 0.1  # metres at which a place is reached
FACING = 0.05  # radians
# Shares of a step and of a turn: half of one, and what odometry that drifts needs to keep it from going back and forth.
NEAR, STRAIGHT = 0.525, 0.6


class DriveError(CCError):
    """The robot stands, since it cannot or must not drive on."""


class NoWayError(DriveError):
    """The robot stands, since it knows of no way to where it was to go."""


class Steering(Protocol):
    """Makes commands of poses; None where there is nothing left to do."""

    def around(self) -> Callable[[Pose], Any]:
        """Return what turns once around, called with pose after pose."""

    def to_heading(self, pose: Pose, yaw: float) -> Any:
        """Return what turns in place to a heading."""

    def along(self) -> Callable[[Pose, np.ndarray], Any]:
        """Return what leads along a way, Nx2 metres, called with pose after pose."""


class Speeds:
    """Steers by speeds: m/s ahead, rad/s to the left."""

    def around(self) -> Callable[[Pose], tuple[float, float] | None]:
        """Return what turns once around."""
        turned, last = 0.0, None

        def steer(pose: Pose) -> tuple[float, float] | None:
            nonlocal turned, last
            turned += 0.0 if last is None else math.remainder(pose.yaw - last, math.tau)
            last = pose.yaw
            return None if turned >= math.tau else (0.0, min(TURN, 0.2 + 1.5 * (math.tau - turned)))

        return steer

    def to_heading(self, pose: Pose, yaw: float) -> tuple[float, float] | None:
        """Return what turns in place to a heading."""
        error = math.remainder(yaw - pose.yaw, math.tau)
        return None if abs(error) < FACING else (0.0, math.copysign(min(TURN, 0.15 + 1.2 * abs(error)), error))

    def along(self) -> Callable[[Pose, np.ndarray], tuple[float, float] | None]:
        """Return what leads along a way."""

        def steer(pose: Pose, way: np.ndarray) -> tuple[float, float] | None:
            left, error = _aim(pose, way)
            if left < CLOSE:
                return None
            if abs(error) > 0.5:
                return 0.0, math.copysign(min(TURN, 0.2 + abs(error)), error)
            return min(SPEED, 0.08 + 0.7 * left) * math.cos(error), max(-TURN, min(TURN, 1.8 * error))

        return steer


class Action(Enum):
    """An action of VLN-CE, by its number there."""

    STOP = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2
    TURN_RIGHT = 3


class Steps:
    """Steers by actions, and counts them.

    :param act: begins to move by metres ahead and radians to the left; returns the second of ROS time when it is done.
    """

    def __init__(self, rules: Rules, act: Callable[[float, float], float]) -> None:
        self.rules = rules
        self._act = act
        self._moves = {
            Action.STOP: (0.0, 0.0),
            Action.MOVE_FORWARD: (rules.forward, 0.0),
            Action.TURN_LEFT: (0.0, rules.turn),
            Action.TURN_RIGHT: (0.0, -rules.turn),
        }
        self.begin()

    def begin(self) -> None:
        """Begin a new episode."""
        self.taken = 0
        """Actions of this episode."""

    def take(self, action: Action) -> float:
        """Begin an action; return the second of ROS time when it is done.

        :raises DriveError: the episode has had all of its actions.
        """
        if self.taken >= self.rules.max_steps:
            raise DriveError(f"all {self.rules.max_steps} actions were taken")
        self.taken += 1
        return self._act(*self._moves[action])

    def around(self) -> Callable[[Pose], Action | None]:
        """Return what turns once around."""
        turns = iter([Action.TURN_LEFT] * round(math.tau / self.rules.turn))
        return lambda _: next(turns, None)

    def to_heading(self, pose: Pose, yaw: float) -> Action | None:
        """Return what turns in place to the heading nearest to one."""
        error = math.remainder(yaw - pose.yaw, math.tau)
        return None if abs(error) < STRAIGHT * self.rules.turn else _towards(error)

    def along(self) -> Callable[[Pose, np.ndarray], Action | None]:
        """Return what leads along a way, until no step ahead would lead nearer to its end.

        It raises a :class:`NoWayError` where something is in the way, whatever the heading.
        """
        return _Along(self.rules)


class _Along:
    """Leads along a way by actions, and around what turns out to be in it, always by the same side."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._before: Pose | None = None  # where the newest step ahead began
        self._blocked: list[float] = []  # headings in which no step ahead is possible from here
        self._side = 0  # 1 = around by the left, -1 = by the right, 0 = nothing was in the way so far

    def __call__(self, pose: Pose, way: np.ndarray) -> Action | None:
        left, error = _aim(pose, way)
        if self._before is not None:
            self._learn(self._before, pose, error)
            self._before = None
        if left < NEAR * self._rules.forward:
            return None
        turns = self._turns(pose, error)
        if turns:
            return _towards(turns)
        self._before = pose
        return Action.MOVE_FORWARD

    def _learn(self, before: Pose, pose: Pose, error: float) -> None:
        """Take in how far the newest step ahead led."""
        ahead = math.cos(pose.yaw) * (pose.x - before.x) + math.sin(pose.yaw) * (pose.y - before.y)
        if ahead > self._rules.forward / 2:
            self._blocked.clear()
        else:
            self._blocked.append(pose.yaw)
            self._side = self._side or (1 if error > 0 else -1)

    def _turns(self, pose: Pose, error: float) -> int:
        """Return the turns, positive to the left, to the heading wanted, or the next to it that is not blocked."""
        turn = self._rules.turn
        circle = round(math.tau / turn)
        straight = abs(error) < STRAIGHT * turn and not self._blocked
        wanted = 0 if straight else round(error / turn)
        for aside in range(circle):
            turns = wanted + self._side * aside
            yaw = pose.yaw + turns * turn
            if all(abs(math.remainder(yaw - blocked, math.tau)) > turn / 2 for blocked in self._blocked):
                return int(math.remainder(turns, circle))
        raise NoWayError("something is in the way all around")


def _towards(error: float) -> Action:
    return Action.TURN_LEFT if error > 0 else Action.TURN_RIGHT


def _aim(pose: Pose, way: np.ndarray) -> tuple[float, float]:
    """Return the metres to the end of a way, and the radians to the left that it leads to; zeros without one."""
    if not len(way):
        return 0.0, 0.0
    here = np.array(pose[:2])
    gaps = np.hypot(*(way - here).T)
    at = int(gaps.argmin())
    further = at + int(np.argmax(gaps[at:] > AHEAD)) if (gaps[at:] > AHEAD).any() else len(way) - 1
    dx, dy = way[further] - here
    return float(gaps[-1]), math.remainder(math.atan2(dy, dx) - pose.yaw, math.tau)

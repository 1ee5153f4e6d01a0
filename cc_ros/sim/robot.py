"""The robot's base: wheels that follow commands within limits and stop without them, and odometry that drifts."""

from __future__ import annotations

import math

import numpy as np

from cc_ros.sim.world import Pose

WATCHDOG = 0.25  # seconds after which a command no longer counts; braking takes what is left of 0.5 s
MAX_LINEAR = 0.5  # m/s
MAX_ANGULAR = 1.2  # rad/s
ACCELERATION = 1.0  # m/s^2
BRAKING = 3.0  # m/s^2
TURNING = 3.0  # rad/s^2
STOPPING = 8.0  # rad/s^2


class Base:
    """What commanded speeds become."""

    def __init__(self) -> None:
        self._wanted = (0.0, 0.0)
        self._since = -math.inf
        self.linear = 0.0
        """Metres per second ahead, now."""
        self.angular = 0.0
        """Radians per second to the left, now."""

    def command(self, linear: float, angular: float, now: float) -> None:
        """Take in a command; one that is not finite stops the robot.

        :param now: seconds of the clock that ``advance`` goes by.
        """
        finite = math.isfinite(linear) and math.isfinite(angular)
        self._wanted = (linear, angular) if finite else (0.0, 0.0)
        self._since = now

    def advance(self, now: float, seconds: float) -> None:
        """Let the speeds follow the command for a while."""
        linear, angular = self._wanted if now - self._since <= WATCHDOG else (0.0, 0.0)
        linear, angular = np.clip(linear, -MAX_LINEAR, MAX_LINEAR), np.clip(angular, -MAX_ANGULAR, MAX_ANGULAR)
        self.linear = _towards(self.linear, float(linear), ACCELERATION * seconds, BRAKING * seconds)
        self.angular = _towards(self.angular, float(angular), TURNING * seconds, STOPPING * seconds)

    def halt(self) -> None:
        """Stand at once and forget the command, as when the robot is put elsewhere."""
        self._wanted, self._since, self.linear, self.angular = (0.0, 0.0), -math.inf, 0.0, 0.0


def _towards(speed: float, wanted: float, gain: float, loss: float) -> float:
    slower = abs(wanted) < abs(speed) or wanted * speed < 0
    step = loss if slower else gain
    return speed + min(step, max(-step, wanted - speed))


class Odometry:
    """Where the wheels say that the robot is: from (0, 0, 0) on, with the errors of one robot and of each step.

    :param drift: standard deviation of the error as a share of the way, and of the angle turned.
    """

    def __init__(self, drift: float, seed: int, start: Pose) -> None:
        self._rng = np.random.default_rng(seed)
        self._drift = drift
        self._scale = 1 + drift * self._rng.normal(0, 1, 2)
        self._last = start
        self.pose = Pose(0.0, 0.0, 0.0)
        """In the frame ``odom``."""

    def advance(self, true: Pose) -> None:
        """Take in where the robot truly is now."""
        dx, dy = true.x - self._last.x, true.y - self._last.y
        turned = math.remainder(true.yaw - self._last.yaw, math.tau)
        cos, sin = math.cos(self._last.yaw), math.sin(self._last.yaw)
        ahead, aside = cos * dx + sin * dy, cos * dy - sin * dx
        noise = 1 + self._drift * self._rng.normal(0, 1, 2)
        way, angle = self._scale * noise
        x, y, yaw = self.pose
        cos, sin = math.cos(yaw), math.sin(yaw)
        ahead, aside = ahead * way, aside * way
        self.pose = Pose(x + cos * ahead - sin * aside, y + sin * ahead + cos * aside, yaw + turned * angle)
        self._last = true

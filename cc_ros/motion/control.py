"""One move, driven closed-loop on odometry: velocities tick by tick, until the robot is told to stand."""

from __future__ import annotations

import math
from typing import NamedTuple

from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings

LATENCY = 0.1  # seconds from a command to the odometry that shows it
LONGEST_TICK = 0.1  # seconds that one tick may count for: one that comes late must not make a leap, but may brake
CLOSE = {False: 0.02, True: 0.02}  # metres, radians (of a turn) from the end that are near enough
CREEP = {False: 0.04, True: 0.08}  # m/s, rad/s: slower than that, friction holds wheels
PROGRESS = {False: 0.01, True: 0.02}  # metres, radians: less is none
BESIDE = 0.3  # metres off the line of a move, or off the place of a turn
OFF_HEADING = 0.6  # radians
BACKWARDS = 0.15  # metres or radians against the move
OVERRUN = 0.3  # metres or radians past its end
LEAP = 0.3  # metres or radians between two ticks beyond what the speed explains
AIM = 0.6  # metres: so far ahead lies the point of the line that it steers for
STEERING = 1.5  # rad/s for each radian off that direction


class Planar(NamedTuple):
    """A pose on the floor: metres, radians to the left of the x axis."""

    x: float
    y: float
    yaw: float


class Command(NamedTuple):
    """A velocity: m/s forward, rad/s to the left."""

    forward: float = 0.0
    turn: float = 0.0


STAND = Command()


def turned(after: float, before: float) -> float:
    """Return the angle from one heading to another, -pi..pi."""
    return math.remainder(after - before, math.tau)


def approach(speed: float, wanted: float, gain: float, loss: float) -> float:
    """Return a speed nearer to ``wanted``: by at most ``gain`` away from zero, or ``loss`` towards it."""
    if speed * wanted < 0:
        wanted = 0.0
    most = loss if abs(wanted) < abs(speed) else gain
    return speed + max(-most, min(most, wanted - speed))


class MoveControl:
    """Drives one move: straight ahead, or a turn on the spot.

    A state machine: it drives, brakes, stands. Once it brakes it never drives again, and once it stands it commands
    nothing but zero.

    :param amount: metres ahead, or radians with ``turning`` (positive = to the left).
    :param start: where the robot is.
    :param now: seconds of a monotonic clock.
    """

    def __init__(self, settings: MotionSettings, amount: float, turning: bool, start: Planar, now: float) -> None:
        self._settings = settings
        self._amount = abs(amount)
        self._sign = math.copysign(1.0, amount)
        self._turning = turning
        self._start = self._last = start
        self._ticked = now
        self._turned = 0.0
        self._best, self._best_at = 0.0, now
        self._command = STAND
        self.halt: Halt | None = None  # why it brakes or stands
        self.progress = 0.0  # metres or radians in the direction of the move
        self.travelled = 0.0  # metres, in whatever direction

    @property
    def stands(self) -> bool:
        """Whether the move is over and zero was commanded."""
        return self.halt is not None and self._command == STAND

    def tick(self, now: float, pose: Planar, room: float, halt: Halt | None) -> Command:
        """Return the velocity until the next tick.

        :param now: seconds of the same clock.
        :param pose: where the robot is.
        :param room: metres that are free ahead of it.
        :param halt: why it has to stand, None = it may drive.
        """
        since = max(now - self._ticked, 0.0)
        lapse = min(since, LONGEST_TICK)
        self._ticked = now
        halt = halt or self._measure(now, pose, lapse)
        if halt is None and self.halt is None:
            halt = self._over(now, room)
        if halt is not None and (self.halt is None or (self.halt.cause.may_go_on and not halt.cause.may_go_on)):
            self.halt = halt
        if self.halt is not None:
            gently = self.halt.cause is Cause.DONE
            self._command = self._braked(lapse if gently else since, gently)
        elif self._turning:
            self._command = Command(0.0, self._turn(lapse))
        else:
            self._command = self._ahead(lapse, pose, room)
        return self._command

    def _measure(self, now: float, pose: Planar, lapse: float) -> Halt | None:
        """Take in where the robot is; return a reason to stand where it cannot be so."""
        settings, last = self._settings, self._last
        self._last = pose
        way, angle = math.hypot(pose.x - last.x, pose.y - last.y), turned(pose.yaw, last.yaw)
        if way > LEAP + 2 * settings.max_speed * lapse or abs(angle) > LEAP + 2 * settings.max_turn_rate * lapse:
            return Halt(Cause.ASTRAY, f"odometry leapt by {way:.2f} m and {math.degrees(angle):.0f} degrees")
        self.travelled += way
        self._turned += angle
        dx, dy = pose.x - self._start.x, pose.y - self._start.y
        cosine, sine = math.cos(self._start.yaw), math.sin(self._start.yaw)
        if self._turning:
            self.progress = self._sign * self._turned
            beside, heading = math.hypot(dx, dy), 0.0
        else:
            self.progress = dx * cosine + dy * sine
            beside, heading = abs(dy * cosine - dx * sine), turned(pose.yaw, self._start.yaw)
        if self.progress > self._best + PROGRESS[self._turning]:
            self._best, self._best_at = self.progress, now
        if beside > BESIDE or abs(heading) > OFF_HEADING or not -BACKWARDS < self.progress < self._amount + OVERRUN:
            return Halt(Cause.ASTRAY, "odometry shows that the robot does not move as it is told")
        return None

    def _over(self, now: float, room: float) -> Halt | None:
        """Return why the move is over; None = it is not."""
        left = self._amount - self.progress
        if left <= CLOSE[self._turning]:
            return Halt(Cause.DONE)
        if not self._turning and room <= CLOSE[False]:
            return Halt(Cause.OBSTACLE, "something is in the way")
        if now - self._best_at > self._settings.stuck_time:
            return Halt(Cause.STUCK, f"the robot has not moved for {self._settings.stuck_time:g} s")
        return None

    def _braked(self, lapse: float, gently: bool) -> Command:
        s = self._settings
        loss = (s.acceleration, s.turn_acceleration) if gently else (s.braking, s.turn_braking)
        forward, turn = (approach(now, 0.0, 0.0, by * lapse) for now, by in zip(self._command, loss, strict=True))
        return Command(forward, turn)

    def _turn(self, lapse: float) -> float:
        s, speed = self._settings, abs(self._command.turn)
        wanted = _fastest(self._amount - self.progress, speed, s.max_turn_rate, s.turn_acceleration, CREEP[True])
        change = s.turn_acceleration * lapse
        return self._sign * approach(speed, wanted, change, change)

    def _ahead(self, lapse: float, pose: Planar, room: float) -> Command:
        s, speed = self._settings, self._command.forward
        left = min(self._amount - self.progress, room)
        wanted = _fastest(left, speed, s.max_speed, s.acceleration, CREEP[False])
        late = left < speed * (speed / (2 * s.acceleration) + LATENCY)  # something came into its way
        forward = approach(speed, wanted, s.acceleration * lapse, (s.braking if late else s.acceleration) * lapse)
        cosine, sine = math.cos(self._start.yaw), math.sin(self._start.yaw)
        beside = (pose.y - self._start.y) * cosine - (pose.x - self._start.x) * sine
        off = turned(self._start.yaw - math.atan2(beside, AIM), pose.yaw)
        steer = max(-s.max_turn_rate, min(s.max_turn_rate, STEERING * off))
        change = s.turn_acceleration * lapse
        return Command(forward, approach(self._command.turn, steer, change, change))


def _fastest(left: float, speed: float, most: float, deceleration: float, creep: float) -> float:
    """Return the speed at which it still comes to stand within ``left``."""
    ahead = max(0.0, left - speed * LATENCY)
    return min(most, max(math.sqrt(2 * deceleration * ahead), creep))

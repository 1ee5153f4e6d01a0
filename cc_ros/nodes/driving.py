"""Moves as velocities on ``cmd_vel``: the last one that is ever sent is zero."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from geometry_msgs.msg import Twist, TwistStamped

from cc_ros.motion.control import STAND, Command, MoveControl, turned
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.senses import Senses

PERIOD = 0.05  # seconds between two commands
SETTLE_TIME = 1.0  # seconds for the robot to come to rest
STILL = 0.001  # metres and radians between two commands
STILL_TICKS = 4
TOLD_TO_STAND = Halt(Cause.CLOSED, "the robot was told to stand")


@dataclass(frozen=True, slots=True)
class Step:
    """One move: metres ahead, or with ``turning`` radians to the left."""

    amount: float
    turning: bool


@dataclass(frozen=True, slots=True)
class Driven:
    """How a move ended.

    :param progress: metres or radians in its direction.
    :param travelled: metres of way.
    """

    halt: Halt
    progress: float
    travelled: float


Halted = Callable[[], Halt | None]
"""Tells why the robot has to stand; None = it may drive."""


class Driver(Protocol):
    """Carries out moves."""

    def drive(self, step: Step, halted: Halted, told: Callable[[float], None]) -> Driven:
        """Carry out a move; when this returns, whatever way it does, the robot stands.

        :param halted: asked many times a second.
        :param told: given the progress, in metres or radians.
        """

    def missing(self) -> str:
        """Return for people what it would drive in vain without, "" where all is there."""

    def stop(self) -> None:
        """Let the robot stand at once, from any thread; it is not moved again before ``ready``."""

    def ready(self) -> None:
        """Let it be moved: an episode begins."""


class VelocityDriver:
    """Drives by ``cmd_vel``, closed-loop on odometry.

    :param stamped: TwistStamped instead of Twist.
    """

    def __init__(self, node: BaseNode, settings: MotionSettings, senses: Senses, stamped: bool) -> None:
        self._node = node
        self._settings = settings
        self._senses = senses
        self._kind: Any = TwistStamped if stamped else Twist
        self._publisher = node.create_publisher(self._kind, "cmd_vel", 1)
        self._lock = threading.Lock()
        self._allowed = False
        self._wake = threading.Event()

    def missing(self) -> str:
        """Return that nobody would hear it, "" where somebody does."""
        if self._publisher.get_subscription_count():
            return ""
        kind = self._kind.__name__
        return f"nobody listens on {self._publisher.topic_name} for a {kind}: is the base running? else set command"

    def ready(self) -> None:
        """Let the robot be moved."""
        with self._lock:
            self._allowed = True
            self._wake.clear()

    def stop(self) -> None:
        """Send zero; nothing else is sent before ``ready``."""
        with self._lock:
            if self._allowed:
                self._allowed = False
                self._publish(STAND)
        self._wake.set()

    def close(self) -> None:
        """Send zero and leave the topic."""
        self.stop()
        self._node.destroy_publisher(self._publisher)

    def drive(self, step: Step, halted: Halted, told: Callable[[float], None]) -> Driven:
        """Drive until the move is over; see :class:`Driver`."""
        start = self._senses.pose()
        control = MoveControl(self._settings, step.amount, step.turning, start, time.monotonic())
        try:
            while not control.stands:
                self._send(control.tick(time.monotonic(), self._senses.pose(), *self._free(step, halted)))
                told(control.progress)
                if self._wake.wait(PERIOD):  # zero was sent already
                    break
        finally:  # whatever happened
            self._send(STAND)
        self._settle(control)
        return Driven(control.halt or TOLD_TO_STAND, control.progress, control.travelled)

    def _free(self, step: Step, halted: Halted) -> tuple[float, Halt | None]:
        """Return the metres that are free ahead, and why it has to stand."""
        if not self._allowed:
            return 0.0, TOLD_TO_STAND
        halt = halted() or self._senses.silent()
        if step.turning:
            return 0.0, halt
        room, blind = self._senses.ahead()
        return room, halt or blind

    def _settle(self, control: MoveControl) -> None:
        """Wait until odometry stands still, saying zero all the while."""
        still, before, until = 0, self._senses.pose(), time.monotonic() + SETTLE_TIME
        while still < STILL_TICKS and time.monotonic() < until:
            self._wake.wait(PERIOD)
            pose = self._senses.pose()
            self._send(control.tick(time.monotonic(), pose, 0.0, None))
            moved = pose.x - before.x, pose.y - before.y, turned(pose.yaw, before.yaw)
            still = still + 1 if max(map(abs, moved)) < STILL else 0
            before = pose

    def _send(self, command: Command) -> None:
        with self._lock:
            if self._allowed:
                self._publish(command)

    def _publish(self, command: Command) -> None:
        message = self._kind()
        twist = message
        if self._kind is TwistStamped:
            message.header.stamp = self._node.get_clock().now().to_msg()
            message.header.frame_id = self._senses.base_frame or "base_link"
            twist = message.twist
        twist.linear.x, twist.angular.z = command.forward, command.turn
        self._publisher.publish(message)

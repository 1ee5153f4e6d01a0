"""Moves by Nav2's behaviours ``drive_on_heading`` and ``spin``, where Nav2 is installed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from rclpy.callback_groups import ReentrantCallbackGroup

from cc_ros.errors import CCError, SettingsError
from cc_ros.motion.control import Planar, turned
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings
from cc_ros.nodes.action_call import GoalClient, call_action
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.driving import TOLD_TO_STAND, Driven, Halted, Step
from cc_ros.nodes.senses import Senses

SLACK = 2.0  # of the time that a move should take
SPARE = 5.0  # seconds more


class Nav2Driver:
    """Drives by Nav2, which smooths, watches its costmap and sends the velocities; progress is read from odometry.

    :raises SettingsError: nav2_msgs is not installed.
    """

    def __init__(self, node: BaseNode, settings: MotionSettings, senses: Senses) -> None:
        try:
            from nav2_msgs.action import DriveOnHeading, Spin
        except ImportError as error:
            raise SettingsError(
                f"driver: nav2 needs nav2_msgs ({error}): `apt install ros-$ROS_DISTRO-nav2-msgs`, or driver: velocity"
            ) from error
        group = ReentrantCallbackGroup()
        self._settings = settings
        self._senses = senses
        self._kinds: dict[bool, Any] = {False: DriveOnHeading, True: Spin}
        self._clients: dict[bool, Any] = {
            False: GoalClient(node, DriveOnHeading, "drive_on_heading", callback_group=group),
            True: GoalClient(node, Spin, "spin", callback_group=group),
        }
        self._told_to_stand = threading.Event()

    def missing(self) -> str:
        """Return that Nav2's behaviours are not there, "" where they are."""
        if all(client.server_is_ready() for client in self._clients.values()):
            return ""
        return "Nav2's behavior_server does not offer drive_on_heading and spin: is it active?"

    def ready(self) -> None:
        """Let the robot be moved."""
        self._told_to_stand.clear()

    def stop(self) -> None:
        """Cancel the behaviour under way, which lets the robot stand."""
        self._told_to_stand.set()

    def close(self) -> None:
        """Cancel the behaviour under way and leave its action."""
        self.stop()
        for client in self._clients.values():
            client.destroy()

    def drive(self, step: Step, halted: Halted, told: Callable[[float], None]) -> Driven:
        """Have a move driven; see :class:`cc_ros.nodes.driving.Driver`."""
        way = _Way(self._senses.pose(), step)
        found: list[Halt] = []

        def given_up() -> bool:
            told(way.at(self._senses.pose()))
            halt = TOLD_TO_STAND if self._told_to_stand.is_set() else halted() or self._senses.silent()
            if halt is None and not step.turning:
                room, halt = self._senses.ahead()
                if halt is None and room <= 0:
                    halt = Halt(Cause.OBSTACLE, "something is in the way")
            if halt is not None:
                found.append(halt)
            return halt is not None

        if given_up():
            return Driven(found[0], 0.0, 0.0)
        name = "spin" if step.turning else "drive_on_heading"
        try:
            result = call_action(self._clients[step.turning], self._goal(step), name, given_up)
        except CCError as error:
            found.append(Halt(Cause.FAILED, f"Nav2: {error}"))
        else:
            if result is not None and result.error_code:
                text = getattr(result, "error_msg", "") or f"error code {result.error_code}"
                blocked = result.error_code == result.COLLISION_AHEAD
                cause = Cause.OBSTACLE if blocked else Cause.STUCK
                found.append(Halt(cause, "something is in the way" if blocked else f"Nav2 ended it: {text}"))
        progress = way.at(self._senses.pose())
        return Driven(found[0] if found else Halt(Cause.DONE), progress, 0.0 if step.turning else abs(progress))

    def _goal(self, step: Step) -> Any:
        settings, kind = self._settings, self._kinds[step.turning]
        amount, speed = abs(step.amount), settings.max_turn_rate if step.turning else settings.max_speed
        seconds = SLACK * amount / speed + SPARE
        allowance = Duration(sec=math.ceil(seconds))
        if step.turning:
            return kind.Goal(target_yaw=step.amount, time_allowance=allowance)
        return kind.Goal(target=Point(x=step.amount), speed=speed, time_allowance=allowance)


class _Way:
    """How far a move has got, by odometry."""

    def __init__(self, start: Planar, step: Step) -> None:
        self._start = self._last = start
        self._step = step
        self._angle = 0.0

    def at(self, pose: Planar) -> float:
        """Return the progress in metres or radians."""
        self._angle += turned(pose.yaw, self._last.yaw)
        self._last = pose
        if self._step.turning:
            return math.copysign(1.0, self._step.amount) * self._angle
        dx, dy = pose.x - self._start.x, pose.y - self._start.y
        return dx * math.cos(self._start.yaw) + dy * math.sin(self._start.yaw)

"""Stopping what moves the robot: the goals of the action servers that drive it are cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from action_msgs.srv import CancelGoal

from cc_ros.client.connection import Connection
from cc_ros.errors import NotRunningError

DRIVERS = ("cc/follow_instruction", "navigate_to_pose", "navigate_through_poses", "follow_waypoints")
"""Actions by which a robot drives: ours, and those of Nav2."""


class MotionStop:
    """Cancels every goal of the actions that drive a robot, whoever sent it and whatever its type.

    :param connection: whose node calls them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clients: dict[str, Any] = {
            action: connection.node.create_client(CancelGoal, f"{action}/_action/cancel_goal") for action in DRIVERS
        }

    def stop(self, timeout: float) -> list[str]:
        """Return, for people, what was stopped and what could not be.

        :param timeout: seconds that each action server has to answer.
        """
        there = [action for action, client in self._clients.items() if client.service_is_ready()]
        with ThreadPoolExecutor(len(self._clients)) as pool:  # one that hangs must not keep the others moving
            return list(pool.map(lambda action: self._cancel(action, timeout), there))

    def _cancel(self, action: str, timeout: float) -> str:
        try:
            # Neither an id nor a time: all goals.
            response = self._connection.call(self._clients[action], CancelGoal.Request(), timeout)
        except NotRunningError as error:
            return f"{action} could NOT be stopped: {error}"
        count = len(response.goals_canceling)
        return f"{action}: " + (f"{count} goal{'s' * (count > 1)} cancelled" if count else "had no goal")

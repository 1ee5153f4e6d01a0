"""The ``cc_navigator`` node: follows an instruction, and drives the robot while an action goal runs and else never."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup

from cc_ros.action import FollowInstruction, SpatialQuery
from cc_ros.geometry.mounting import MountingSettings
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings, ObstacleSettings
from cc_ros.nodes.action_call import GoalClient, call_action
from cc_ros.nodes.alive import Caller, Watch, announce
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.driving import Halted, VelocityDriver
from cc_ros.nodes.following import Episode, EpisodeSettings, Parts
from cc_ros.nodes.keyframe_service import KeyframeService
from cc_ros.nodes.nav2 import Nav2Driver
from cc_ros.nodes.runtime import main_of
from cc_ros.nodes.senses import Senses, SenseSettings
from cc_ros.nodes.stop_topic import TYPES, StopTopic
from cc_ros.settings import knob
from cc_ros.srv import GetKeyframes

ACTION = "cc/follow_instruction"
STOP_TIME = 2.0  # seconds that an episode has to end


@dataclass(frozen=True)
class NavigatorSettings:
    """How the robot is driven, and stopped."""

    driver: str = knob(
        "velocity",
        "velocity: by cmd_vel, closed-loop on odometry; nav2: by Nav2's drive_on_heading and spin",
        choices=("velocity", "nav2"),
    )
    command: str = knob(
        "twist", "what cmd_vel is: Twist, or TwistStamped as newer bases want it", choices=("twist", "twist_stamped")
    )
    stop_type: str = knob("empty", "what cc/stop is, of std_msgs; any message stops the robot", choices=tuple(TYPES))


class NavigatorNode(BaseNode):
    """Serves ``cc/follow_instruction``, one goal at a time, in a thread of the executor."""

    name = "cc_navigator"
    groups = (
        ("", NavigatorSettings),
        ("", EpisodeSettings),
        ("", SenseSettings),
        ("motion", MotionSettings),
        ("obstacles", ObstacleSettings),
        ("camera", MountingSettings),
    )
    threads = 8  # the episode; odometry, images, depth, cc/stop; what it asks of others; refusing; diagnostics

    def __init__(self, **node_options: object) -> None:
        self._driver: VelocityDriver | Nav2Driver | None = None
        self._busy = threading.Lock()  # held from accepting a goal until its end
        self._idle = threading.Event()
        self._idle.set()
        self._over = False  # the episode under way is to end
        super().__init__(**node_options)
        group = ReentrantCallbackGroup()
        self._keyframes: Any = self.create_client(GetKeyframes, "cc/get_keyframes", callback_group=group)
        self._reasoner: Any = GoalClient(self, SpatialQuery, "cc/ask_with_feedback", callback_group=group)
        self._watched = {
            "cc_reasoner": Watch(self, "cc/ask", group),
            "cc_tracker": Watch(self, "cc/masks", group),
            "cc_keyframes": Watch(self, "cc/get_keyframes", group),
        }
        self._announced = announce(self, ACTION)
        self._action: Any = ActionServer(
            self,
            FollowInstruction,
            ACTION,
            execute_callback=self._on_goal,
            goal_callback=self._on_request,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=group,
        )

    def start(self) -> None:
        """Listen to the robot; nothing is sent to it yet.

        :raises CCError: a parameter is wrong, or Nav2 is wanted and not installed.
        """
        settings = self.parameters.read(NavigatorSettings)
        self._settings = self.parameters.read(EpisodeSettings)
        self._stop = StopTopic(self, settings.stop_type)
        self.undo.callback(self._stop.close)
        obstacles, mounting = self.parameters.read(ObstacleSettings), self.parameters.read(MountingSettings)
        self._senses = Senses(self, self.parameters.read(SenseSettings), obstacles, mounting)
        self.undo.callback(self._senses.close)
        motion = self.parameters.read(MotionSettings)
        if settings.driver == "nav2":
            self._driver = Nav2Driver(self, motion, self._senses)
        else:
            self._driver = VelocityDriver(self, motion, self._senses, settings.command == "twist_stamped")
        self.undo.callback(self._driver.close)
        self._over = False

    def stop(self) -> None:
        """Let the robot stand, and end what is being followed with the status CLOSED."""
        self._over = True
        try:
            if self._driver is not None:
                self._driver.stop()
            self._idle.wait(STOP_TIME)
        finally:
            self.undo.close()

    def break_off(self) -> None:
        """Let the robot stand at once: the process ends."""
        self._over = True
        if self._driver is not None:
            self._driver.stop()

    def new_episode(self) -> None:
        """End what is being followed: the objects that the model was told of are forgotten."""
        self._over = True

    def doing(self) -> str:
        """Return what it waits for."""
        return f"waits for an instruction on {ACTION}" if self._idle.is_set() else "follows an instruction"

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return whether it is driving; that inputs are missing is trouble only then."""
        following = not self._idle.is_set()
        silent = self._senses.silent() if following else None
        return "" if silent is None else silent.text, {"following": following}

    # -- one goal

    def _on_request(self, goal: FollowInstruction.Goal) -> GoalResponse:
        """Take a goal unless one is being followed."""
        if not self.active or not self._busy.acquire(blocking=False):
            self.count("refused_goals")
            return GoalResponse.REJECT
        self._over = False
        self._idle.clear()
        return GoalResponse.ACCEPT

    def _on_goal(self, handle: ServerGoalHandle[Any, Any, Any]) -> Any:
        self.count("instructions")
        try:
            result = self._followed(handle)
        except Exception as error:
            self.fault("errors", f"following failed: {error!r}\n{traceback.format_exc()}")
            text = f"cc_navigator has a defect: {error!r}; see its log"
            result = FollowInstruction.Result(status=FollowInstruction.Result.FAILED, message=text)
        finally:
            self._idle.set()
            self._busy.release()
        self.end_goal(handle, result.status == result.OK, result.status == result.CANCELLED)
        self.get_logger().info(f"followed for {result.steps} steps, {result.distance:.1f} m: {result.message}")
        return result

    def _followed(self, handle: ServerGoalHandle[Any, Any, Any]) -> Any:
        driver, senses = self._driver, self._senses
        assert driver is not None
        caller = Caller(self, f"{ACTION}/_action/send_goal")
        halted = self._halted(handle, caller)
        alive = self._watched["cc_keyframes"]
        keyframes = KeyframeService(self._keyframes, alive, lambda: halted() is not None)
        parts = Parts(self, senses, driver, self._missed, keyframes, self._ask)
        self._stop.clear()
        senses.watch(True)
        driver.ready()
        try:
            return Episode(parts, self._settings, handle.request, halted, handle.publish_feedback).run()
        finally:
            driver.stop()
            senses.watch(False)

    def _halted(self, handle: ServerGoalHandle[Any, Any, Any], caller: Caller) -> Halted:
        """Return what tells why this goal is to end."""

        def halted() -> Halt | None:
            if self._over or not self.active or self.ending.is_set():
                return Halt(Cause.CLOSED, "cc_navigator was deactivated or reset, or ends")
            pressed = self._stop.pressed()
            if pressed:
                return Halt(Cause.STOPPED, pressed)
            if handle.is_cancel_requested or caller.left():
                return Halt(Cause.CANCELLED, "cancelled, or whoever wanted it left")
            gone = next((name for name, watch in self._watched.items() if watch.gone()), "")
            cause = Cause.NO_ANSWER if gone == "cc_reasoner" else Cause.STALE
            return Halt(cause, f"{gone} went away") if gone else None

        return halted

    def _missed(self) -> Halt | None:
        """Return which node is not heard: without it nobody knows what the robot drives for."""
        missed = next((name for name, watch in self._watched.items() if watch.missed()), "")
        return Halt(Cause.STALE, f"{missed} is not heard") if missed else None

    def _ask(self, question: SpatialQuery.Goal, given_up: Callable[[], bool], told: Callable[[str], None]) -> Any:
        """Return what cc_reasoner answers, None where that was given up."""

        def heard(feedback: SpatialQuery.Feedback) -> None:
            if feedback.text:
                told(feedback.text)

        gone = self._watched["cc_reasoner"].gone
        return call_action(self._reasoner, question, "cc/ask_with_feedback", given_up, heard, gone)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_navigator``."""
    return main_of([NavigatorNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

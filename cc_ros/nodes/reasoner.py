"""The ``cc_reasoner`` node: questions in, answers out, by a multimodal model or from measurements."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.errors import CCError
from cc_ros.keyframes import MarkSettings
from cc_ros.msg import MarkedKeyframes, MarkStyle, Usage
from cc_ros.nodes.convert import to_keyframe
from cc_ros.nodes.spin import main_of
from cc_ros.nodes.step_node import StepNode
from cc_ros.reasoning import Answer, Asker, Question, ReasonerSettings, Seen, Status, Wanted
from cc_ros.settings import knob
from cc_ros.space.approach import approach
from cc_ros.srv import GetKeyframes, SpatialQuery

FEEDBACK_PERIOD = 0.05  # seconds between two texts on their way
LOOK_PERIOD = 0.05  # seconds between two looks whether a question was given up
SPARE_THREADS = 6  # to refuse questions at once while all others are being answered


@dataclass(frozen=True)
class GoalSettings:
    """Settings of the reasoner node."""

    goal_distance: float = knob(0.8, "goals keep so far from the object, over ground, in m", ge=0.0, le=100.0)


class ReasonerNode(StepNode):
    """Answers ``cc/ask`` and ``cc/ask_with_feedback``; each question is answered in a thread of the executor."""

    name = "cc_reasoner"
    groups = (("", GoalSettings), ("", ReasonerSettings))

    def __init__(self, **node_options: object) -> None:
        super().__init__(**node_options)
        settings = self.parameters.read(ReasonerSettings)
        self.threads = settings.max_parallel + settings.max_queue + SPARE_THREADS
        # Geometry answers do not queue at a model. Were all threads to wait for keyframes, none could receive them.
        self._places = threading.BoundedSemaphore(self.threads - 2)
        group = ReentrantCallbackGroup()
        self._goals = self.create_publisher(PoseStamped, "cc/goal", 1)
        self._keyframes: Any = self.create_client(GetKeyframes, "cc/get_keyframes", callback_group=group)
        self.create_service(SpatialQuery, "cc/ask", self._on_ask, callback_group=group)
        self._action: Any = ActionServer(
            self,
            SpatialQueryAction,
            "cc/ask_with_feedback",
            execute_callback=self._on_goal,
            goal_callback=lambda goal: GoalResponse.ACCEPT if self.active else GoalResponse.REJECT,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=group,
        )

    def start(self) -> None:
        """Get ready to ask.

        :raises CCError: a parameter is wrong.
        """
        self._goal_distance = self.parameters.read(GoalSettings).goal_distance
        self._asker = Asker(self.parameters.read(ReasonerSettings))

    def stop(self) -> None:
        """End what is being asked; those questions get the status CLOSED."""
        self._asker.close()

    def new_episode(self) -> None:
        """Forget kept answers and the navigation so far."""
        self._asker.reset()

    def doing(self) -> str:
        """Return who answers."""
        status = self._asker.status()
        if "endpoint" not in status:
            return "answers from geometry, without a model"
        return f"asks {status['model'] or 'the model'} at {status['endpoint']}"

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return the state of the model's endpoint; doing without one is no trouble."""
        status = self._asker.status()
        trouble = str(status.get("degraded", "")) if "endpoint" in status else ""
        return trouble, status

    def _on_ask(self, request: SpatialQuery.Request, response: SpatialQuery.Response) -> SpatialQuery.Response:
        return self._answer(request, response, None)

    def _on_goal(self, handle: ServerGoalHandle[Any, Any, Any]) -> Any:
        result = self._answer(handle.request, SpatialQueryAction.Result(), _Feedback(handle))
        if result.status == Status.OK:
            handle.succeed()
        elif result.status == Status.CANCELLED and handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _answer(self, request: Any, response: Any, feedback: _Feedback | None) -> Any:
        if not self.active:
            response.status, response.message = int(Status.CLOSED), "cc_reasoner is not active"
            return response
        self.count("questions")
        if not self._places.acquire(blocking=False):
            response.status, response.message = int(Status.QUEUE_FULL), "too many questions at once; ask again later"
            return response
        try:
            return self._answered(request, response, feedback)
        finally:
            self._places.release()

    def _answered(self, request: Any, response: Any, feedback: _Feedback | None) -> Any:
        question = Question(
            text=request.question,
            kind=request.kind,
            choices=tuple(request.choices),
            frames=request.frames,
            marks=request.marks,
            last_seconds=request.last_seconds,
            timeout=request.timeout,
            style=request.style,
        )
        fetched = _Fetched(self._keyframes, lambda: not self.active or (feedback is not None and feedback.is_set()))
        answer = self._asker.ask(question, fetched, feedback, feedback)
        fill(response, answer)
        self._add_goal(response, answer, fetched.message)
        for remark in fetched.message.remarks if fetched.message and response.has_goal else ():
            response.message = (response.message + "; " if response.message else "") + remark
        if request.send_goal and response.has_goal:
            self._goals.publish(response.goal)
        elif request.send_goal and answer.ok:
            response.message = (response.message + "; " if response.message else "") + (
                "no goal was sent: the place of the object is not known (it takes depth or odometry)"
            )
        return response

    def _add_goal(self, response: Any, answer: Answer, message: MarkedKeyframes | None) -> None:
        posed = [keyframe for keyframe in message.keyframes if keyframe.has_pose] if message else []
        if answer.goal is None or not posed:
            return
        camera = to_keyframe(posed[-1]).pose
        assert camera is not None  # has_pose
        x, y, yaw = approach(answer.goal, camera, self._goal_distance)
        goal = response.goal
        goal.header.stamp = self.get_clock().now().to_msg()
        goal.header.frame_id = posed[-1].world_frame
        goal.pose.position.x, goal.pose.position.y = x, y
        goal.pose.orientation.z, goal.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        response.has_goal = True


class _Fetched:
    """Gets the keyframes of one question from ``cc/get_keyframes``.

    :param given_up: tells that nobody waits for the answer any more.
    """

    def __init__(self, client: Any, given_up: Callable[[], bool]) -> None:
        self._client = client
        self._given_up = given_up
        self.message: MarkedKeyframes | None = None

    def __call__(self, wanted: Wanted) -> Seen:
        """Return what was asked for.

        :raises CCError: no such service, no answer in time, or no keyframes.
        """
        if not self._client.service_is_ready():
            raise CCError(f"{self._client.srv_name} is not there: is cc_keyframes running?")
        request = GetKeyframes.Request(
            frames=wanted.frames,
            marks=wanted.marks,
            last_seconds=wanted.last_seconds,
            style=MarkStyle(kind=wanted.kind),
            blur_marks=wanted.blur,
        )
        arrived = threading.Event()
        future = self._client.call_async(request)
        future.add_done_callback(lambda _: arrived.set())
        deadline = time.monotonic() + wanted.timeout
        while not arrived.wait(LOOK_PERIOD):
            if self._given_up():
                self._client.remove_pending_request(future)
                return Seen(())  # the asker looks why
            if time.monotonic() > deadline:
                self._client.remove_pending_request(future)
                raise CCError(f"{self._client.srv_name} did not answer within {wanted.timeout:.1f} s")
        response = future.result()
        if not response.success:
            raise CCError(response.message)
        self.message = message = response.keyframes
        look = MarkSettings(
            diameter=message.style.diameter,
            outline=message.style.outline == MarkStyle.ON,
            overlay=message.style.overlay == MarkStyle.ON,
            fill=message.style.fill,
            text=message.style.text,
        )
        return Seen(tuple(to_keyframe(keyframe) for keyframe in message.keyframes), look)


class _Feedback:
    """Tells the action's client how its question gets on, and the asker whether it was cancelled."""

    def __init__(self, handle: ServerGoalHandle[Any, Any, Any]) -> None:
        self._handle = handle
        self._begun = time.monotonic()
        self._told = 0.0
        self._stage = ""

    def __call__(self, stage: str, text: str) -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._told < FEEDBACK_PERIOD:
            return
        self._stage, self._told = stage, now
        message = SpatialQueryAction.Feedback(stage=stage, text=text, seconds=now - self._begun)
        self._handle.publish_feedback(message)

    def is_set(self) -> bool:
        """Whether the client wants the question cancelled."""
        return bool(self._handle.is_cancel_requested)


def fill(response: Any, answer: Answer) -> None:
    """Write an answer into the response of ``cc/ask`` or the result of ``cc/ask_with_feedback``."""
    response.status = int(answer.status)
    response.message = answer.message
    response.answer = answer.text
    response.choice = answer.choice
    response.mark_ids = list(answer.mark_ids)
    response.confidence = float(answer.confidence)
    response.source = answer.source
    response.reason = answer.reason
    response.kind = answer.kind
    if answer.action is not None:
        response.action, response.action_value = answer.action.move.value, float(answer.action.value)
    used = answer.usage
    response.usage = Usage(
        requests=used.requests,
        images=used.images,
        bytes=used.bytes,
        estimated_tokens=used.estimated_tokens,
        prompt_tokens=used.prompt_tokens,
        answer_tokens=used.answer_tokens,
        seconds=used.seconds,
        cost=used.cost,
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_reasoner``."""
    return main_of([ReasonerNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

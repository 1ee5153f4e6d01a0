"""The ``cc_reasoner`` node: questions in, answers out, by a multimodal model or from measurements."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.serialization import serialize_message

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.errors import CCError
from cc_ros.geometry.approach import approach
from cc_ros.keyframes import MarkSettings
from cc_ros.msg import MarkedKeyframes, MarkStyle, Usage
from cc_ros.nodes.alive import Caller, Watch, announce
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.convert import to_keyframe
from cc_ros.nodes.runtime import main_of
from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Seen, Status, Wanted
from cc_ros.reasoning.llm.errors import answer_to
from cc_ros.settings import knob
from cc_ros.srv import GetKeyframes, SpatialQuery

FEEDBACK_PERIOD = 0.05  # seconds between two texts on their way
MOST_TOKENS = 2**32 - 1  # that a message can hold
POLL_SECONDS = 0.05  # seconds between two looks whether a question was given up
SPARE_THREADS = 6  # to refuse questions at once while all others are being answered


@dataclass(frozen=True)
class GoalSettings:
    """Settings of the reasoner node."""

    goal_distance: float = knob(0.8, "goals keep so far from the object, over ground, in m", ge=0.0, le=100.0)


class ReasonerNode(BaseNode):
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
        self._keyframes_alive = Watch(self, "cc/get_keyframes", group)
        self._announced = announce(self, "cc/ask")
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
        self._reasoner = Reasoner(self.parameters.read(ReasonerSettings))

    def stop(self) -> None:
        """End what is being asked; those questions get the status CLOSED."""
        self._reasoner.close()

    def new_episode(self) -> None:
        """Forget kept answers and the navigation so far."""
        self._reasoner.reset()

    def doing(self) -> str:
        """Return who answers."""
        status = self._reasoner.status()
        if "endpoint" not in status:
            return "answers from geometry, without a model"
        return f"asks {status['model'] or 'the model'} at {status['endpoint']}"

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return the state of the model's endpoint; doing without one is no trouble."""
        status = self._reasoner.status()
        trouble = str(status.get("degraded", "")) if "endpoint" in status else ""
        return trouble, status

    def _on_ask(self, request: SpatialQuery.Request, _: SpatialQuery.Response) -> SpatialQuery.Response:
        return self._respond(SpatialQuery.Response, request, _Waiting(self, "cc/ask"))

    def _on_goal(self, handle: ServerGoalHandle[Any, Any, Any]) -> Any:
        waiting = _Waiting(self, "cc/ask_with_feedback/_action/send_goal", handle)
        result = self._respond(SpatialQueryAction.Result, handle.request, waiting)
        try:
            if result.status == Status.OK:
                handle.succeed()
            elif result.status == Status.CANCELLED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        except Exception as error:  # rclpy's own kinds are private; the result goes out in any case
            self.fault("errors", f"a goal could not be ended: {error}")
        return result

    def _respond(self, make: Callable[[], Any], request: Any, waiting: _Waiting) -> Any:
        """Return the response to a question; the only place that makes one, and there is none without an answer.

        :param make: makes an empty one, whose status reads OK.
        """
        self.count("questions")
        try:
            return filled(make(), *self._answer(request, waiting))
        except Exception as error:
            self.fault("errors", f"a question failed: {error!r}\n{traceback.format_exc()}")
            return filled(make(), answer_to(error))

    def _answer(self, request: Any, waiting: _Waiting) -> tuple[Answer, PoseStamped | None]:
        if not self.active:
            return Answer(Status.CLOSED, "cc_reasoner is not active"), None
        if not self._places.acquire(blocking=False):
            return Answer(Status.QUEUE_FULL, "too many questions at once; ask again later"), None
        try:
            return self._asked(request, waiting)
        finally:
            self._places.release()

    def _asked(self, request: Any, waiting: _Waiting) -> tuple[Answer, PoseStamped | None]:
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
        fetched = _Fetched(self._keyframes, self._keyframes_alive, lambda: not self.active or waiting.is_set())
        answer = self._reasoner.ask(question, fetched, waiting, waiting)
        goal = self._goal(answer, fetched.message)
        if goal is not None and fetched.message is not None:
            answer = replace(answer, message="; ".join(filter(None, (answer.message, *fetched.message.remarks))))
        if request.send_goal and goal is not None:
            self._goals.publish(goal)
        elif request.send_goal and answer.ok:
            why = answer.no_goal or ("there is no odometry" if answer.goal else "the answer names no one mark to go to")
            remark = f"no goal was sent: {why}"
            answer = replace(answer, message="; ".join(filter(None, (answer.message, remark))))
        return answer, goal

    def _goal(self, answer: Answer, message: MarkedKeyframes | None) -> PoseStamped | None:
        posed = [keyframe for keyframe in message.keyframes if keyframe.has_pose] if message else []
        if not answer.ok or answer.goal is None or not posed:
            return None
        camera = to_keyframe(posed[-1]).pose
        assert camera is not None  # has_pose
        x, y, yaw = approach(answer.goal, camera, math.inf if answer.turn else self._goal_distance)
        goal = PoseStamped()
        goal.header.stamp = self.get_clock().now().to_msg()
        goal.header.frame_id = posed[-1].world_frame
        goal.pose.position.x, goal.pose.position.y = x, y
        goal.pose.orientation.z, goal.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        return goal


class _Fetched:
    """Gets the keyframes of one question from ``cc/get_keyframes``.

    :param alive: notices that cc_keyframes was killed.
    :param given_up: tells that nobody waits for the answer any more.
    """

    def __init__(self, client: Any, alive: Watch, given_up: Callable[[], bool]) -> None:
        self._client = client
        self._alive = alive
        self._given_up = given_up
        self.message: MarkedKeyframes | None = None

    def __call__(self, wanted: Wanted) -> Seen:
        """Return what was asked for.

        :raises CCError: no such service, no answer in time, or no keyframes.
        """
        if self._alive.gone() or not self._client.service_is_ready():
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
        while not arrived.wait(POLL_SECONDS):
            if self._given_up():
                self._client.remove_pending_request(future)
                return Seen(())  # the reasoner looks why
            if self._alive.gone() or not self._client.service_is_ready():
                self._client.remove_pending_request(future)
                raise CCError(f"nobody answers on {self._client.srv_name}: cc_keyframes went away; start it again")
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


class _Waiting:
    """Whoever waits for an answer: told how the question gets on (by an action), and whether they still want it.

    :param service: that was called.
    :param handle: of the goal, None for a plain service.
    """

    def __init__(self, node: ReasonerNode, service: str, handle: ServerGoalHandle[Any, Any, Any] | None = None) -> None:
        self._caller = Caller(node, service)
        self._handle = handle
        self._begun = time.monotonic()
        self._told = 0.0
        self._stage = ""

    def __call__(self, stage: str, text: str) -> None:
        now = time.monotonic()
        if self._handle is None or (stage == self._stage and now - self._told < FEEDBACK_PERIOD):
            return
        self._stage, self._told = stage, now
        message = SpatialQueryAction.Feedback(stage=stage, text=sendable(text), seconds=now - self._begun)
        self._handle.publish_feedback(message)

    def is_set(self) -> bool:
        """Whether the question was cancelled, or nobody is there any more to hear the answer."""
        return bool(self._handle is not None and self._handle.is_cancel_requested) or self._caller.left()


def filled(response: Any, answer: Answer, goal: PoseStamped | None = None) -> Any:
    """Write an answer into an empty response of ``cc/ask`` or result of ``cc/ask_with_feedback`` and return it.

    :raises Exception: a value that the message cannot hold, of whatever kind rclpy makes of it.
    """
    response.status = int(answer.status)
    response.message = sendable(answer.message)
    response.answer = sendable(answer.text)
    response.choice = answer.choice
    response.mark_ids = list(answer.mark_ids)
    response.confidence = float(answer.confidence)
    response.source = answer.source
    response.reason = sendable(answer.reason)
    response.kind = sendable(answer.kind)
    if answer.action is not None:
        response.action, response.action_value = answer.action.move.value, float(answer.action.value)
    if goal is not None:
        response.has_goal, response.goal = True, goal
    used = answer.usage
    response.usage = Usage(
        requests=used.requests,
        images=used.images,
        bytes=used.bytes,
        estimated_tokens=used.estimated_tokens,
        prompt_tokens=min(used.prompt_tokens, MOST_TOKENS),
        answer_tokens=min(used.answer_tokens, MOST_TOKENS),
        seconds=used.seconds,
        cost=used.cost,
        model=sendable(answer.model),
    )
    serialize_message(response)  # what does not fit into it fails here, where something can be done about it
    return response


def sendable(text: str) -> str:
    """Return text that a message can hold: without half surrogate pairs and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_reasoner``."""
    return main_of([ReasonerNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

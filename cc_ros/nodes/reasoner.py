"""The ``cc_reasoner`` node: questions in, answers out, by a multimodal model or from measurements."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.memory import Asked
from cc_ros.msg import Answered
from cc_ros.nodes.alive import Caller, Watch, announce
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.convert.questions import answer_message, answered_message, feedback_message, to_question
from cc_ros.nodes.keyframe_service import KeyframeService
from cc_ros.nodes.runtime import main_of
from cc_ros.reasoning import Answer, GoalSettings, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.llm.errors import answer_to
from cc_ros.srv import GetKeyframes, SpatialQuery

FEEDBACK_PERIOD = 0.05  # seconds between two texts on their way
SPARE_THREADS = 6  # to refuse questions at once while all others are being answered


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
        self._answers = self.create_publisher(Answered, "cc/answers", 10)
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

    def prepare(self) -> None:
        """Import what a model is asked with, which takes seconds; checks the parameters on the way.

        :raises CCError: a parameter is wrong.
        """
        Reasoner(self.parameters.read(ReasonerSettings)).close()

    def start(self) -> None:
        """Get ready to ask.

        :raises CCError: a parameter is wrong.
        """
        goals = self.parameters.read(GoalSettings)
        self._reasoner = Reasoner(self.parameters.read(ReasonerSettings), goals=goals, now=self._now)

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

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
        self.end_goal(handle, result.status == Status.OK, result.status == Status.CANCELLED)
        return result

    def _respond(self, make: Callable[[], Any], request: Any, waiting: _Waiting) -> Any:
        """Return the response to a question; the only place that makes one, and there is none without an answer.

        :param make: makes one.
        """
        self.count("questions")
        try:
            response = answer_message(make, self._answer(request, waiting))
            if response.has_goal:
                response.goal.header.stamp = self.get_clock().now().to_msg()
                if request.send_goal:
                    self._goals.publish(response.goal)
            return response
        except Exception as error:
            self.fault("errors", f"a question failed: {error!r}\n{traceback.format_exc()}")
            return answer_message(make, answer_to(error))

    def _answer(self, request: Any, waiting: _Waiting) -> Answer:
        if not self.active:
            return Answer(Status.CLOSED, "cc_reasoner is not active")
        if not self._places.acquire(blocking=False):
            return Answer(Status.QUEUE_FULL, "too many questions at once; ask again later")
        try:
            source = KeyframeService(
                self._keyframes, self._keyframes_alive, lambda: not self.active or waiting.is_set()
            )
            question = to_question(request)
            answer = self._reasoner.ask(question, source, waiting, waiting)
            if self._answers.get_subscription_count():
                self._answers.publish(answered_message(Asked.of(question.text, answer, self._now(), source.stamps)))
            return answer
        finally:
            self._places.release()


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
        self._handle.publish_feedback(feedback_message(stage, text, now - self._begun))

    def is_set(self) -> bool:
        """Whether the question was cancelled, or nobody is there any more to hear the answer."""
        return bool(self._handle is not None and self._handle.is_cancel_requested) or self._caller.left()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_reasoner``."""
    return main_of([ReasonerNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

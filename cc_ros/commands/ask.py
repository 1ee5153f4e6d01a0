"""ask a question about the scene that the running nodes have seen

Shows the text as it arrives; Ctrl-C cancels the question. Exit status 0 = answered, 1 = not, 130 = cancelled.

  cc-ros ask "Is the door left of the sofa?"
  cc-ros ask "Which mark is the lamp by the window?" --goal
  cc-ros ask "How many chairs are there?" --choice 2 --choice 3 --choice 4
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError

if TYPE_CHECKING:
    from cc_ros.reasoning import Answer

CANCEL_TIME = 5.0  # seconds that the reasoner has to end a question
POLL_SECONDS = 0.1  # seconds between two checks whether Ctrl-C was pressed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from cc_ros.reasoning.types import Kind, Style

    parser.add_argument(
        "text", metavar="question", help="in plain words; marks by their number, as in 'is 3 left of 5'"
    )
    parser.add_argument("--kind", default="", help="kind of question: " + ", ".join(Kind))
    parser.add_argument(
        "--choice", dest="choices", action="append", default=[], metavar="TEXT", help="one of the answers; repeatable"
    )
    parser.add_argument("--frames", type=int, default=0, metavar="M", help="keyframes to look at")
    parser.add_argument("--marks", type=int, default=0, metavar="K", help="objects to mark")
    parser.add_argument(
        "--last", dest="last_seconds", type=float, default=0.0, metavar="S", help="only the last so many seconds"
    )
    parser.add_argument("--timeout", type=float, default=0.0, metavar="S", help="give up after so many seconds")
    parser.add_argument("--style", default="", help="how the pictures are marked: " + ", ".join(Style))
    parser.add_argument(
        "--goal", dest="send_goal", action="store_true", help="publish the place of the mark as a goal on cc/goal"
    )
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")
    parser.add_argument("--wait", type=float, default=10.0, metavar="S", help="for the reasoner to appear; default 10")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")


def main(options: argparse.Namespace) -> int:
    """Ask and print; return 0 for an answer."""
    need_ros()
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from cc_ros.nodes.convert.questions import to_answer

    # Without rclpy's handlers Ctrl-C reaches us while the context still works, so that the question can be cancelled.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("cc_ask", namespace=options.namespace, start_parameter_services=False)
        result = _Request(node, options).run()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    if options.json:
        print(json.dumps(_as_dict(result), indent=1))
    else:
        _print(to_answer(result))
    if result.status == result.CANCELLED:
        return 130
    return 0 if result.status == result.OK else 1


class _Request:
    """One question on its way."""

    def __init__(self, node: Any, options: argparse.Namespace) -> None:
        from rclpy.action.client import ActionClient
        from rclpy.executors import SingleThreadedExecutor

        from cc_ros.action import SpatialQuery
        from cc_ros.nodes.alive import Watch

        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._node = node
        self._options = options
        self._client: Any = ActionClient(node, SpatialQuery, "cc/ask_with_feedback")
        self._alive = Watch(node, "cc/ask")
        self._shown = ""
        self._stage = ""

    def run(self) -> Any:
        """Send the question and return the result.

        :raises CCError: no reasoner, or it does not take the question.
        """
        if not self._client.wait_for_server(self._options.wait):
            raise CCError(
                f"no cc_reasoner answers on {self._node.resolve_topic_name('cc/ask_with_feedback')}: "
                "start it by `cc-ros up`, or see `cc-ros doctor`"
            )
        # From here on Ctrl-C is a flag: an exception amid the executor's work could lose what it just received, and
        # with it the way to cancel.
        with stop_on_signals() as stop:
            sent = self._client.send_goal_async(self._goal(), feedback_callback=self._on_feedback)
            handle = sent.result() if self._done(sent, self._options.wait) else None
            if handle is None or not handle.accepted:
                raise CCError("cc_reasoner did not take the question: is it active?")
            result = handle.get_result_async()
            while not stop.is_set() and not self._done(result, 1.0, stop):
                if self._alive.gone() or not self._client.server_is_ready():
                    raise CCError("cc_reasoner went away before it answered; `cc-ros doctor` shows what is running")
            if not result.done():
                print("\ncancelling ...", file=sys.stderr)
                handle.cancel_goal_async()
                if not self._done(result, CANCEL_TIME):
                    raise KeyboardInterrupt
        if self._shown:
            print(flush=True)
        return _checked(result.result())

    def _done(self, future: Any, seconds: float, stop: threading.Event | None = None) -> bool:
        """Return whether a future is done; wait for it so long, or until ``stop`` is set."""
        deadline = time.monotonic() + seconds
        while not future.done() and time.monotonic() < deadline and not (stop and stop.is_set()):
            self._executor.spin_until_future_complete(future, POLL_SECONDS)
        return bool(future.done())

    def _goal(self) -> Any:
        from cc_ros.action import SpatialQuery
        from cc_ros.nodes.convert.questions import question_message
        from cc_ros.reasoning import Question

        names = {field.name for field in dataclasses.fields(Question)}
        given = {name: value for name, value in vars(self._options).items() if name in names}
        return question_message(SpatialQuery.Goal, Question(**given))

    def _on_feedback(self, message: Any) -> None:
        feedback = message.feedback
        if self._options.json:
            return
        if feedback.text.startswith(self._shown):
            print(feedback.text[len(self._shown) :], end="", flush=True)
            self._shown = feedback.text
        if feedback.stage != self._stage and sys.stderr.isatty() and not self._shown:
            print(f"[{feedback.stage} {feedback.seconds:.1f} s]", file=sys.stderr)
        self._stage = feedback.stage


def _checked(answer: Any) -> Any:
    """Return the result of a goal; one that did not succeed is no answer, whatever an empty result reads."""
    from action_msgs.msg import GoalStatus

    result = answer.result
    if result.status == result.OK and answer.status != GoalStatus.STATUS_SUCCEEDED:
        result.status = result.SERVER_ERROR
        result.message = result.message or "cc_reasoner gave the question up and did not say why; see its log"
    return result


def _print(answer: Answer) -> None:
    if not answer.ok:
        print(answer.message or f"no answer (status {answer.status})", file=sys.stderr)
        return
    print(answer.text)
    model = f" {answer.usage.model}" if answer.source == "model" and answer.usage.model else ""
    details = [f"by {answer.source}{model}"]
    if answer.mark_ids:
        details.append("marks " + ", ".join(map(str, answer.mark_ids)))
    if answer.confidence:
        details.append(f"confidence {answer.confidence:.2f}")
    if answer.action is not None:
        details.append(f"action {answer.action}")
    if answer.goal is not None:
        details.append(f"goal ({answer.goal.x:.2f}, {answer.goal.y:.2f}) in {answer.goal.frame}")
    details.append(f"{answer.usage.seconds:.1f} s")
    print(f"({'; '.join(details)})")
    for remark in filter(None, (answer.reason, answer.message)):
        print(remark)


def _as_dict(message: Any) -> Any:
    """Return a message as plain values; rosidl_runtime_py, which has this too, is not among the wheels."""
    if hasattr(message, "get_fields_and_field_types"):
        return {name: _as_dict(getattr(message, name)) for name in message.get_fields_and_field_types()}
    if isinstance(message, str | bool | int | float):
        return message
    return [_as_dict(item) for item in message]

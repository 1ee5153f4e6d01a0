"""A goal of somebody else's action, waited for in a thread of the executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from action_msgs.msg import GoalStatus
from rclpy.action.client import ActionClient, ClientGoalHandle
from unique_identifier_msgs.msg import UUID

from cc_ros.errors import NodeError, NotRunningError
from cc_ros.nodes.alive import found

POLL_SECONDS = 0.05  # between two looks whether it is still wanted
TAKE_TIME = 3.0  # seconds for the server to take a goal
CANCEL_TIME = 2.0  # seconds for it to end one that was cancelled


class GoalClient(ActionClient):
    """An action client that may be used in any thread.

    rclpy notes who waits for a response after it has sent the request, and for goals once more later: a response that
    another thread takes in between is lost. Here none is taken until all is noted.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._asking = threading.Lock()  # first of all: rclpy shows the executor a client before it is whole
        super().__init__(*arguments, **options)

    def take_data(self) -> Any:
        """Take what has arrived, for rclpy."""
        with self._asking:
            return super().take_data()

    def send_goal_async(self, *arguments: Any, **options: Any) -> Any:
        """Send a goal; see :class:`rclpy.action.ActionClient`."""
        with self._asking:
            return super().send_goal_async(*arguments, **options)

    def _get_result_async(self, *arguments: Any) -> Any:
        with self._asking:
            return super()._get_result_async(*arguments)

    def _cancel_goal_async(self, *arguments: Any) -> Any:
        with self._asking:
            return super()._cancel_goal_async(*arguments)


def call_action(
    client: GoalClient,
    goal: Any,
    name: str,
    given_up: Callable[[], bool],
    told: Callable[[Any], None] | None = None,
    gone: Callable[[], bool] = lambda: False,
) -> Any:
    """Send a goal and return its result; None where it was given up, which cancels it.

    :param name: of the action, for people.
    :param given_up: asked many times a second, in this thread.
    :param told: given each feedback, in a thread of the executor.
    :param gone: tells that the server was killed.
    :raises NotRunningError: the server is not there, does not take the goal in time, or went away.
    :raises NodeError: it refuses the goal, or ends it without a result.
    """
    if not found(lambda: not gone() and client.server_is_ready(), given_up):
        if given_up():
            return None
        raise NotRunningError(f"nobody answers on {name}")
    goal_id = new_id()
    sent = client.send_goal_async(goal, None if told is None else lambda message: told(message.feedback), goal_id)
    deadline = time.monotonic() + TAKE_TIME
    over = waited(sent, lambda: given_up() or gone() or time.monotonic() > deadline)
    if not over:
        take_back(client, goal_id, sent)
        if given_up():
            return None
        raise NotRunningError(f"{name} did not take the goal within {TAKE_TIME:g} s")
    handle = sent.result()
    if not handle.accepted:
        raise NodeError(f"{name} refuses the goal: is its node active?")
    result = handle.get_result_async()
    if not waited(result, lambda: given_up() or gone() or not client.server_is_ready()):
        handle.cancel_goal_async()
        if not given_up():
            raise NotRunningError(f"{name} went away")
        until = time.monotonic() + CANCEL_TIME
        waited(result, lambda: gone() or time.monotonic() > until)
        return None
    answer = result.result()
    if answer.status != GoalStatus.STATUS_SUCCEEDED and not (
        getattr(answer.result, "status", 0) or getattr(answer.result, "error_code", 0)
    ):
        raise NodeError(f"{name} gave the goal up and did not say why; see the log of its node")
    return answer.result


def waited(future: Any, enough: Callable[[], bool]) -> bool:
    """Wait for a future; return whether it is done, False where there is enough of waiting before."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    while not done.wait(POLL_SECONDS):
        if enough():
            return bool(future.done())
    return True


def new_id() -> UUID:
    """Return a new id for a goal."""
    return UUID(uuid=list(uuid4().bytes))


def take_back(client: ActionClient[Any, Any, Any], goal_id: UUID, sent: Any) -> None:
    """Cancel a goal of which nothing was heard; in the executor's thread, or of a :class:`GoalClient`.

    A server that is only just found may have taken it: what it answers before it has found this client is lost.

    :param sent: the future of its response.
    """
    sent.add_done_callback(cancel_late)
    ClientGoalHandle(client, goal_id, None).cancel_goal_async()  # type: ignore[arg-type]


def cancel_late(sent: Any) -> None:
    """Cancel a goal that is taken when nobody wants it any more; called in the executor's thread."""
    if sent.exception() is None and sent.result() is not None and sent.result().accepted:
        sent.result().cancel_goal_async()

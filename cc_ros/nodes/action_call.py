"""A goal of somebody else's action, waited for in a thread of the executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus

from cc_ros.errors import NodeError, NotRunningError
from cc_ros.nodes.alive import found

POLL_SECONDS = 0.05  # between two looks whether it is still wanted
TAKE_TIME = 3.0  # seconds for the server to take a goal
CANCEL_TIME = 2.0  # seconds for it to end one that was cancelled


def call_action(
    client: Any,
    goal: Any,
    name: str,
    given_up: Callable[[], bool],
    told: Callable[[Any], None] | None = None,
    gone: Callable[[], bool] = lambda: False,
) -> Any:
    """Send a goal and return its result; None where it was given up, which cancels it.

    :param client: a ``rclpy.action.ActionClient``.
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
    sent = client.send_goal_async(goal, None if told is None else lambda message: told(message.feedback))
    deadline = time.monotonic() + TAKE_TIME
    over = waited(sent, lambda: given_up() or gone() or time.monotonic() > deadline)
    if not over:
        sent.add_done_callback(cancel_late)
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


def cancel_late(sent: Any) -> None:
    """Cancel a goal that is taken when nobody wants it any more; called in the executor's thread."""
    if sent.exception() is None and sent.result() is not None and sent.result().accepted:
        sent.result().cancel_goal_async()

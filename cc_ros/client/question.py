"""A question on its way to cc_reasoner: sent, followed, called off."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus

from cc_ros.action import SpatialQuery
from cc_ros.client.connection import HOW_TO_START, LOOK_PERIOD, Connection
from cc_ros.errors import NotRunningError
from cc_ros.nodes.alive import Watch
from cc_ros.reasoning.types import Progress, Status

CANCEL_TIME = 5.0  # seconds that the reasoner has to end a question
GRACE = 5.0  # seconds that an answer may be late before the reasoner counts as hanging


@dataclass
class PendingQuestion:
    """One question on its way, as a goal of the action.

    :param action: the client of ``cc/ask_with_feedback``.
    :param reasoner: notices that cc_reasoner was killed.
    :param goal: the question.
    :param on_progress: told in the thread that waits how it gets on.
    :param cancelled: tells that nobody wants the answer any more.
    """

    connection: Connection
    action: Any
    reasoner: Watch
    goal: Any
    on_progress: Progress | None
    cancelled: Callable[[], bool]

    def __post_init__(self) -> None:
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()  # feedback, and None to look at the futures
        self._sent: Any = None
        self._result: Any = None

    def result(self) -> Any:
        """Send the question and return its result.

        :raises NotRunningError: cc_reasoner does not take it, goes away, or hangs.
        """
        try:
            if not self._answered():
                self._call_off()
        except BaseException:  # Ctrl-C among them, and what on_progress raises: nobody waits for an answer any more
            self._call_off()
            raise
        if self._result is None or not self._result.done():
            return SpatialQuery.Result(
                status=int(Status.CANCELLED), message="cancelled; cc_reasoner did not confirm it"
            )
        return _checked(self._result.result())

    def _answered(self) -> bool:
        """Return whether there is an answer; False where the question is cancelled."""
        connection = self.connection
        handle = self._taken(time.monotonic() + connection.wait)
        if handle is None:
            return False
        self._result = connection.in_executor(handle.get_result_async)
        timeout = self.goal.timeout
        if not self._done(self._result, timeout + GRACE if timeout else math.inf):
            if self.cancelled():
                return False
            raise NotRunningError(f"cc_reasoner hangs: it did not answer within {timeout:g} s, nor say that it cannot")
        return True

    def _taken(self, deadline: float) -> Any:
        """Return the handle of the accepted question; None where it is cancelled.

        A reasoner that is only just starting is in the graph, and refuses, for some seconds. One that leaves before it
        has taken the question may be starting again.

        :raises NotRunningError: cc_reasoner does not take it in time.
        """
        connection = self.connection
        while True:
            self._sent = connection.in_executor(lambda: self.action.send_goal_async(self.goal, self._news.put))
            try:
                sent = self._done(self._sent, deadline - time.monotonic())
            except NotRunningError:
                connection.check_open()
                self._sent.add_done_callback(_cancel)  # should it have been taken after all
                if self._back(deadline):
                    continue
                if self.cancelled():
                    return None
                raise
            if not sent:
                if self.cancelled():
                    return None
                raise NotRunningError(f"cc_reasoner did not take the question within {connection.wait:g} s")
            if self._sent.result().accepted:
                return self._sent.result()
            if self.cancelled():
                return None
            if time.monotonic() > deadline:
                raise NotRunningError("cc_reasoner does not take questions: is it active?")
            connection.closed.wait(LOOK_PERIOD)

    def _done(self, future: Any, seconds: float) -> bool:
        """Wait for a future, so long or until it is cancelled, and pass on what is told; return whether it is done.

        :raises NotRunningError: cc_reasoner went away.
        """
        connection, deadline = self.connection, time.monotonic() + seconds
        future.add_done_callback(lambda _: self._news.put(None))
        while not future.done() or not self._news.empty():
            try:
                message = self._news.get(timeout=LOOK_PERIOD)
            except queue.Empty:
                message = None
            if message is not None and self.on_progress is not None:
                self.on_progress(message.feedback.stage, message.feedback.text)
            if future.done():
                continue
            connection.check_open()
            if self._gone():
                raise NotRunningError(f"cc_reasoner went away before it answered: {HOW_TO_START}")
            if self.cancelled() or time.monotonic() > deadline:
                return False
        return True

    def _back(self, deadline: float) -> bool:
        """Wait for a reasoner; return whether there is one again, which is not so where the question is cancelled."""
        while time.monotonic() < deadline and not self.cancelled():
            self.connection.check_open()
            if not self._gone():
                return True
            self.connection.closed.wait(LOOK_PERIOD)
        return False

    def _gone(self) -> bool:
        return self.reasoner.gone() or not self.action.server_is_ready()

    def _call_off(self) -> None:
        """Cancel the goal, also one that is only just being taken, and wait for its end."""
        connection, deadline = self.connection, time.monotonic() + CANCEL_TIME
        if self._sent is None or connection.closed.is_set() or self._gone():
            return
        if self.cancelled() and self.on_progress is not None:
            self.on_progress("cancelling", "")
        if not _wait(self._sent, deadline) or not self._sent.result().accepted:
            return
        handle = self._sent.result()
        connection.in_executor(handle.cancel_goal_async)
        self._result = self._result or connection.in_executor(handle.get_result_async)
        _wait(self._result, deadline)


def _cancel(sent: Any) -> None:
    """Cancel a goal that is taken when nobody waits for it any more; called in the client's thread."""
    if sent.exception() is None and sent.result().accepted:
        sent.result().cancel_goal_async()


def _wait(future: Any, deadline: float) -> bool:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(max(0.0, deadline - time.monotonic()))


def _checked(answer: Any) -> Any:
    """Return the result of a goal; one that did not succeed is no answer, whatever an empty result reads."""
    result = answer.result
    if result.status == result.OK and answer.status != GoalStatus.STATUS_SUCCEEDED:
        result.status = result.SERVER_ERROR
        result.message = result.message or "cc_reasoner gave the question up and did not say why; see its log"
    return result

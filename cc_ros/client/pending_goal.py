"""A goal on its way to a node, such as a question to cc_reasoner: sent, followed, called off."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cc_ros.client.connection import HOW_TO_START, LOOK_PERIOD, Connection
from cc_ros.errors import NotRunningError
from cc_ros.nodes.action_call import GoalClient, cancel_late, new_id, take_back, waited
from cc_ros.nodes.alive import Watch

AGAIN = 3.0  # seconds without a word after which a goal is taken back and sent again
CANCEL_TIME = 5.0  # seconds that a node has to end a goal
GRACE = 5.0  # seconds that a result may be late before the node counts as hanging


@dataclass
class PendingGoal:
    """One goal of an action on its way.

    :param server: name of the node that serves the action, for people.
    :param action: the client of the action.
    :param alive: notices that the node was killed.
    :param goal: its ``timeout`` is that of the goal; 0 = as the node is set up.
    :param told: given each feedback in the thread that waits, and None once the goal is being cancelled.
    :param cancelled: tells that nobody wants the result any more.
    """

    connection: Connection
    server: str
    action: GoalClient
    alive: Watch
    goal: Any
    told: Callable[[Any], None] | None
    cancelled: Callable[[], bool]

    def __post_init__(self) -> None:
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()  # feedback, and None to look at the futures
        self._sent: Any = None
        self._result: Any = None

    def result(self) -> Any:
        """Send the goal and return the result with its status; None where it was cancelled and that is not confirmed.

        :raises NotRunningError: the node does not take it, goes away, or hangs.
        """
        try:
            if not self._ended():
                self._call_off()
        except BaseException:  # Ctrl-C among them, and what told raises: nobody waits for the result any more
            self._call_off()
            raise
        if self._result is None or not self._result.done():
            return None
        return self._result.result()

    def _ended(self) -> bool:
        """Return whether there is a result; False where the goal is cancelled."""
        connection = self.connection
        handle = self._taken(time.monotonic() + connection.wait)
        if handle is None:
            return False
        self._result = connection.in_executor(handle.get_result_async)
        timeout = self.goal.timeout
        if not self._done(self._result, timeout + GRACE if timeout else math.inf):
            if self.cancelled():
                return False
            raise NotRunningError(
                f"{self.server} hangs: it did not answer within {timeout:g} s, nor say that it cannot"
            )
        return True

    def _taken(self, deadline: float) -> Any:
        """Return the handle of the accepted goal; None where it is cancelled.

        A node that is only just starting is in the graph, and refuses, for some seconds. One that leaves before it has
        taken the goal may be starting again.

        :raises NotRunningError: the node does not take it in time.
        """
        connection = self.connection
        while True:
            self._id = new_id()
            send = partial(self.action.send_goal_async, self.goal, self._news.put, self._id)
            self._sent = connection.in_executor(send)
            try:
                sent = self._done(self._sent, min(AGAIN, deadline - time.monotonic()))
            except NotRunningError:
                connection.check_open()
                self._sent.add_done_callback(cancel_late)  # should it have been taken after all
                if self._back(deadline):
                    continue
                if self.cancelled():
                    return None
                raise
            if not sent:
                if self.cancelled():
                    return None
                connection.in_executor(partial(take_back, self.action, self._id, self._sent))
                if time.monotonic() < deadline:
                    continue
                raise NotRunningError(f"{self.server} did not respond within {connection.wait:g} s")
            if self._sent.result().accepted:
                return self._sent.result()
            if self.cancelled():
                return None
            if time.monotonic() > deadline:
                raise NotRunningError(f"{self.server} refuses: is it active, or busy?")
            connection.closed.wait(LOOK_PERIOD)

    def _done(self, future: Any, seconds: float) -> bool:
        """Wait for a future, so long or until it is cancelled, and pass on what is told; return whether it is done.

        :raises NotRunningError: the node went away.
        """
        connection, deadline = self.connection, time.monotonic() + seconds
        future.add_done_callback(lambda _: self._news.put(None))
        while not future.done() or not self._news.empty():
            try:
                message = self._news.get(timeout=LOOK_PERIOD)
            except queue.Empty:
                message = None
            if message is not None and self.told is not None:
                self.told(message.feedback)
            if future.done():
                continue
            connection.check_open()
            if self._gone():
                raise NotRunningError(f"{self.server} went away before it answered: {HOW_TO_START}")
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
        return self.alive.gone() or not self.action.server_is_ready()

    def _call_off(self) -> None:
        """Cancel the goal, also one that is only just being taken, and wait for its end."""
        connection, deadline = self.connection, time.monotonic() + CANCEL_TIME
        if self._sent is None or connection.closed.is_set() or self._gone():
            return
        if self.cancelled() and self.told is not None:
            self.told(None)
        if not self._sent.done():
            connection.in_executor(partial(take_back, self.action, self._id, self._sent))

        def late() -> bool:
            return time.monotonic() > deadline

        if not waited(self._sent, late) or not self._sent.result().accepted:
            return
        handle = self._sent.result()
        connection.in_executor(handle.cancel_goal_async)
        self._result = self._result or connection.in_executor(handle.get_result_async)
        waited(self._result, late)

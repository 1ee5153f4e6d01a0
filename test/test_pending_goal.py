"""A goal of which nothing is heard is taken back and sent again: it is done once, and nothing of it goes on unheard."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.action import SpatialQuery
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from support.rig import isolated, until

from cc_ros.client import pending_goal
from cc_ros.client.connection import Connection
from cc_ros.client.pending_goal import PendingGoal
from cc_ros.errors import NotRunningError
from cc_ros.nodes.action_call import GoalClient
from cc_ros.nodes.alive import Watch, announce

WORK = 0.6  # seconds that the server works on a goal
AGAIN = 0.4


class Server:
    """An action server that notes when it worked on a goal, and how that ended."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = rclpy.create_node("server", context=self.context)
        announce(self.node, "cc/ask")
        self.deaf = 0.0  # seconds that it takes to accept the next goal
        self.spans: list[tuple[float, float, str]] = []
        group = ReentrantCallbackGroup()
        self.action = ActionServer(
            *(self.node, SpatialQuery, "cc/ask_with_feedback", self._work),
            goal_callback=self._accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )
        self._executor = MultiThreadedExecutor(4, context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def _accept(self, _: Any) -> rclpy.action.GoalResponse:
        seconds, self.deaf = self.deaf, 0.0
        time.sleep(seconds)
        return rclpy.action.GoalResponse.ACCEPT

    def _work(self, handle: Any) -> SpatialQuery.Result:
        begun = time.monotonic()
        while time.monotonic() < begun + WORK and not handle.is_cancel_requested:
            time.sleep(0.01)
        ended = "cancelled" if handle.is_cancel_requested else "done"
        handle.canceled() if handle.is_cancel_requested else handle.succeed()
        self.spans.append((begun, time.monotonic(), ended))
        return SpatialQuery.Result(answer=ended)

    def close(self) -> None:
        self._executor.shutdown(5)
        self._thread.join(5)
        self.action.destroy()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with isolated():
        one = Server()
        yield one
        one.close()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[tuple[Connection, GoalClient, Watch]]:
    connection = Connection("", None, "client", wait=5.0)
    action = GoalClient(connection.node, SpatialQuery, "cc/ask_with_feedback")
    alive = Watch(connection.node, "cc/ask")
    connection.start()
    until(action.server_is_ready, 20)
    yield connection, action, alive
    action.destroy()
    connection.close()


@pytest.fixture
def sent(
    server: Server, client: tuple[Connection, GoalClient, Watch], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    monkeypatch.setattr(pending_goal, "AGAIN", AGAIN)
    monkeypatch.setattr(pending_goal, "CANCEL_TIME", 1.5)
    server.spans.clear()
    connection, action, alive = client

    def send(lost: int = 0, cancelled: Callable[[], bool] = lambda: False, wait: float = 5.0) -> Any:
        """Send a goal, and lose the responses to the first tries."""
        connection.wait = wait
        send_goal = action.send_goal_async
        left = [lost]

        def losing(*arguments: Any) -> Any:
            future = send_goal(*arguments)
            if left[0]:
                left[0] -= 1
                action._pending_goal_requests.clear()
                action._goal_sequence_number_to_goal_id.clear()
            return future

        monkeypatch.setattr(action, "send_goal_async", losing)
        goal = SpatialQuery.Goal(question="?", timeout=5.0)
        return PendingGoal(connection, "cc_reasoner", action, alive, goal, None, cancelled).result()

    return send


def apart(server: Server) -> list[str]:
    """Return how the tries ended, in the order in which they began; none may begin before the one before has ended."""
    spans = sorted(server.spans)
    for (_, end, _), (begin, _, _) in itertools.pairwise(spans):
        assert begin > end - 0.1, spans  # a cancelled one takes as long to notice
    return [ended for *_, ended in spans]


def test_a_goal_that_is_answered_is_sent_once(server: Server, sent: Callable[..., Any]) -> None:
    assert sent().result.answer == "done"
    assert apart(server) == ["done"]


def test_a_goal_whose_response_is_lost_is_ended_before_it_is_done_again(
    server: Server, sent: Callable[..., Any]
) -> None:
    assert sent(lost=1).result.answer == "done"
    until(lambda: len(server.spans) == 2, 5)
    assert apart(server) == ["cancelled", "done"]


def test_a_goal_that_is_taken_late_after_all_is_ended(server: Server, sent: Callable[..., Any]) -> None:
    server.deaf = 2 * AGAIN
    assert sent().result.answer == "done"
    until(lambda: len(server.spans) == 2, 5)
    assert sorted(ended for *_, ended in server.spans) == ["cancelled", "done"]


def test_a_goal_that_is_called_off_while_nothing_is_heard_is_ended(server: Server, sent: Callable[..., Any]) -> None:
    off = threading.Event()
    threading.Timer(0.2, off.set).start()
    assert sent(lost=1, cancelled=off.is_set) is None
    until(lambda: server.spans, 5)
    assert apart(server) == ["cancelled"]


def test_a_server_that_is_never_heard_is_an_error_and_works_on_nothing(
    server: Server, sent: Callable[..., Any]
) -> None:
    with pytest.raises(NotRunningError, match="did not respond"):
        sent(lost=1000, wait=5 * AGAIN)
    until(lambda: server.spans and time.monotonic() - max(end for _, end, _ in server.spans) > 2 * WORK, 10)
    assert set(apart(server)) == {"cancelled"}

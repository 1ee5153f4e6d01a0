"""Goals sent in one thread while another takes what is answered to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.action import SpatialQuery
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from support.rig import START, Onlooker, isolated, until

from cc_ros.dds import prepare
from cc_ros.errors import NotRunningError
from cc_ros.nodes import action_call
from cc_ros.nodes.action_call import GoalClient, call_action

NAME = "cc/sent"
LONG = 5.0  # seconds that a long goal takes
LATE = 0.5  # seconds that the client loses while it notes who waits


class LateNotes(dict):  # type: ignore[type-arg]
    """A table of rclpy's that takes its time: what comes in the meantime was answered very fast."""

    def __setitem__(self, key: Any, value: Any) -> None:
        time.sleep(LATE)
        super().__setitem__(key, value)


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[GoalClient, list[str]]]:
    """A client, and how the goals ended that its server was sent."""
    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        look, server = Onlooker(context), rclpy.create_node("server", context=context)
        ends: list[str] = []

        def work(handle: Any) -> SpatialQuery.Result:
            over = time.monotonic() + (LONG if handle.request.question == "long" else 0.0)
            while time.monotonic() < over and not handle.is_cancel_requested:
                time.sleep(0.01)
            ends.append("cancelled" if handle.is_cancel_requested else "done")
            handle.canceled() if handle.is_cancel_requested else handle.succeed()
            return SpatialQuery.Result(answer="here")

        action: Any = ActionServer(
            server,
            SpatialQuery,
            NAME,
            work,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )
        executor = MultiThreadedExecutor(4, context=context)
        executor.add_node(server)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        made: list[GoalClient] = []
        look.drop(lambda: made.append(GoalClient(look.node, SpatialQuery, NAME)))
        until(made[0].server_is_ready, START)
        # The first one until both have found each other: what is answered before is lost.
        until(lambda: answered(made[0]), START)
        ends.clear()
        yield made[0], ends
        look.close()
        executor.shutdown(5)
        thread.join(5)
        action.destroy()
        server.destroy_node()
        rclpy.shutdown(context=context)


def answered(client: GoalClient) -> bool:
    try:
        return call_action(client, SpatialQuery.Goal(), NAME, lambda: False) is not None
    except NotRunningError:
        return False


def test_a_goal_that_is_answered_while_it_is_noted_is_not_lost(
    sides: tuple[GoalClient, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ends = sides
    monkeypatch.setattr(client, "_feedback_callbacks", LateNotes())
    told: list[Any] = []
    assert call_action(client, SpatialQuery.Goal(), NAME, lambda: False, told.append).answer == "here"
    assert ends.pop() == "done"


def test_a_goal_whose_response_is_lost_is_taken_back(
    sides: tuple[GoalClient, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ends = sides
    send = client.send_goal_async

    def losing(*arguments: Any) -> Any:
        with client._asking:  # nothing is taken until nobody is noted any more
            sent = super(GoalClient, client).send_goal_async(*arguments)
            client._pending_goal_requests.clear()
            client._goal_sequence_number_to_goal_id.clear()
        return sent

    monkeypatch.setattr(client, "send_goal_async", losing)
    monkeypatch.setattr(action_call, "TAKE_TIME", 0.3)
    with pytest.raises(NotRunningError, match="did not take the goal"):
        call_action(client, SpatialQuery.Goal(question="long"), NAME, lambda: False)
    until(lambda: ends, 2 * LONG)
    assert ends == ["cancelled"], "it went on, and nobody waited for it"
    monkeypatch.setattr(client, "send_goal_async", send)
    assert answered(client)

"""The executor of nodes with several threads, over real topics and services."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Empty
from std_srvs.srv import Trigger
from support.rig import Onlooker, until
from support.single_node import alone, send

from cc_ros.nodes.base_node import BaseNode


class Listener(BaseNode):
    """Notes in which thread its callbacks run; its service waits for a message."""

    name = "listener"
    groups = ()
    threads = 3

    def start(self) -> None:
        self.ran: dict[str, str] = {}
        self.came = threading.Event()
        own = MutuallyExclusiveCallbackGroup()
        self.create_subscription(Empty, "stream", self._on_message, 10)
        self.create_subscription(Empty, "broken", self._on_broken, 10)
        self.create_subscription(Empty, "own", lambda _: self._note("own"), 10, callback_group=own)
        self.serve(Trigger, "wait", self._on_wait, MutuallyExclusiveCallbackGroup())

    def doing(self) -> str:
        return "listens"

    def _note(self, what: str) -> None:
        self.ran[what] = threading.current_thread().name

    def _on_message(self, _: Empty) -> None:
        self._note("stream")
        self.came.set()

    def _on_broken(self, _: Empty) -> None:
        raise ZeroDivisionError("a defect")

    def _on_wait(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._note("wait")
        response.success = self.came.wait(20)
        return response


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Listener, Onlooker]]:
    with alone() as start:
        yield start(Listener)


def test_messages_are_taken_in_the_thread_that_waits_for_them_and_the_rest_in_others(
    started: tuple[Listener, Onlooker],
) -> None:
    node, look = started
    publishers = {topic: look.publisher(Empty, topic, reliable=True) for topic in ("stream", "own")}
    waiting = look.node.create_client(Trigger, "wait")
    assert waiting.wait_for_service(20)
    answer = waiting.call_async(Trigger.Request())
    until(lambda: "wait" in node.ran)
    for topic, publisher in publishers.items():
        send(publisher, Empty(), lambda topic=topic: topic in node.ran)
    until(answer.done)
    assert answer.result().success
    assert node.ran["stream"] not in (node.ran["wait"], node.ran["own"])


def test_a_defect_in_a_callback_is_counted_and_the_node_goes_on(started: tuple[Listener, Onlooker]) -> None:
    node, look = started
    send(look.publisher(Empty, "broken", reliable=True), Empty(), lambda: node.counters["errors"])
    node.came.clear()
    send(look.publisher(Empty, "stream", reliable=True), Empty(), node.came.is_set)

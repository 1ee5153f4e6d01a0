"""Who is there: nodes that leave the graph, nodes that were killed and come back, servers that are found late."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.action import SpatialQuery
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from support.rig import START, Onlooker, announced, isolated, until

from cc_ros.client import SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import NotRunningError
from cc_ros.nodes.action_call import GoalClient, call_action
from cc_ros.nodes.alive import Watch
from cc_ros.nodes.navigator import NavigatorNode
from cc_ros.nodes.reasoner import ReasonerNode


@pytest.fixture(scope="module")
def look() -> Iterator[Onlooker]:
    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        look = Onlooker(context)
        yield look
        look.close()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize("kind", [ReasonerNode, NavigatorNode, SpatialMemory])
def test_what_was_closed_has_left_the_graph_before_python_collects_it(look: Onlooker, kind: type[Any]) -> None:
    def offered() -> set[str]:
        return {name for name, _ in look.node.get_service_names_and_types() if "leaving" in name}

    gc.collect()
    gc.disable()  # what only the garbage collector ends would stay
    try:
        context = rclpy.Context()
        rclpy.init(args=["--ros-args", "-r", "__ns:=/leaving", "-r", "__node:=leaving"], context=context)
        if kind is SpatialMemory:
            memory = SpatialMemory("leaving", name="leaving")
            close: Any = memory.close
        else:
            node = kind(context=context)
            close = node.destroy_node
            until(offered, START)
        until(lambda: "leaving" in look.node.get_node_names(), START)
        close()
        until(lambda: "leaving" not in look.node.get_node_names() and not offered(), 5, "it is still there")
        rclpy.shutdown(context=context)
    finally:
        gc.enable()


def test_one_that_came_back_is_there_at_once_though_its_forerunner_was_killed(look: Onlooker) -> None:
    watch = Watch(look.node, "cc/there")
    with announced("cc/there") as killed:
        until(lambda: watch.announced, START)
        killed.process.kill()
        until(watch.gone, 5)
    watch.announced = False
    with announced("cc/there") as again:
        until(lambda: look.node.count_publishers("cc/there/_alive") > 1, START)
        assert not watch.gone(), "its middleware says that it lives only after some time"
        until(lambda: watch.announced, START)
        again.process.kill()
        until(watch.gone, 5)


def test_one_that_is_heard_again_while_it_is_looked_for_is_not_missed(look: Onlooker) -> None:
    watch = Watch(look.node, "cc/heard_again")
    watch._on_change(SimpleNamespace(alive_count=0, not_alive_count=1))
    assert watch.missed()
    listed = watch._publishers

    def heard_meanwhile() -> set[bytes]:
        watch._on_change(SimpleNamespace(alive_count=1, not_alive_count=0))
        return listed()

    watch._publishers = heard_meanwhile
    watch.missed()  # in another thread than the event: either is right, and nothing is raised
    watch._publishers = listed
    assert not watch.missed() and not watch.gone()


def test_a_server_that_is_found_late_is_waited_for_and_one_that_never_comes_is_told_of_within_two_seconds(
    look: Onlooker,
) -> None:
    client: Any = None

    def make() -> None:
        nonlocal client
        client = GoalClient(look.node, SpatialQuery, "cc/late")

    look.drop(make)
    begun = time.monotonic()
    with pytest.raises(NotRunningError, match="nobody answers on cc/late"):
        call_action(client, SpatialQuery.Goal(), "cc/late", lambda: False)
    assert time.monotonic() - begun < 2
    assert call_action(client, SpatialQuery.Goal(), "cc/late", lambda: True) is None, "given up while it was looked for"

    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(call_action(client, SpatialQuery.Goal(), "cc/late", lambda: False))
    )
    asking.start()
    group = ReentrantCallbackGroup()

    def work(handle: Any) -> SpatialQuery.Result:
        handle.succeed()
        return SpatialQuery.Result(answer="here")

    servers: list[Any] = []
    look.drop(lambda: servers.append(ActionServer(look.node, SpatialQuery, "cc/late", work, callback_group=group)))
    asking.join(START)
    assert [answer.answer for answer in answers] == ["here"]
    look.drop(lambda: (client.destroy(), servers[0].destroy()))

"""The commands that use ROS, as programs of their own: up, play, ask, doctor, demo."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")

import psutil
import rclpy
from cc_ros.action import SpatialQuery
from cc_ros.srv import GetKeyframes
from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rosbags.rosbag2 import StoragePlugin
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from support.bags import image, write_bag
from support.model_server import Hang, ModelServer, reply
from support.rig import BAG, START, Onlooker, Program, cc_ros, isolated, until

from cc_ros.dds import prepare
from cc_ros.nodes.registry import NODES

NAMES = tuple(node.name for node in NODES)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def look() -> Iterator[Onlooker]:
    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(context=context)
        look = Onlooker(context)
        yield look
        look.close()
        rclpy.shutdown(context=context)


@pytest.fixture(scope="module", autouse=True)
def starting(look: Onlooker, server: ModelServer) -> Iterator[Program]:
    """Run a process a node in a namespace, as `cc-ros up --processes` starts them, beside what needs none of them."""
    arguments = ["--processes", "--namespace", "robot1", "--base-url", server.base_url, "--model", "m", "--frames", "3"]
    with cc_ros("up", *arguments, "--backend", "flow", "--remap", "image:=/camera/image_raw") as program:
        yield program
        until(lambda: running(look) == set(NAMES), START, program.text)
        children = psutil.Process(program.process.pid).children(recursive=True)
        assert len(children) == len(NAMES)
        program.signal(signal.SIGTERM)
        assert program.end(40) == 0, program.text
        assert not [child for child in children if child.is_running()]


@pytest.fixture(scope="module")
def nodes(look: Onlooker, starting: Program) -> Program:
    until(lambda: running(look) == set(NAMES), START, starting.text)
    return starting


class SlowReasoner:
    """Takes a question once ``take`` is set, and answers when it is cancelled."""

    def __init__(self) -> None:
        self.asked, self.take, self.cancelled = threading.Event(), threading.Event(), threading.Event()

    @contextmanager
    def running(self, context: rclpy.Context) -> Iterator[None]:
        node = rclpy.create_node("cc_reasoner", namespace="slow", context=context)
        executor = MultiThreadedExecutor(4, context=context)
        server = ActionServer(
            node,
            SpatialQuery,
            "cc/ask_with_feedback",
            self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        try:
            yield
        finally:
            self.take.set()
            executor.shutdown(10)
            thread.join(10)
            server.destroy()
            node.destroy_node()

    def _on_goal(self, goal: SpatialQuery.Goal) -> GoalResponse:
        self.asked.set()
        self.take.wait(30)
        return GoalResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> SpatialQuery.Result:
        until(lambda: handle.is_cancel_requested, 20)
        handle.canceled()
        self.cancelled.set()
        return SpatialQuery.Result(status=SpatialQuery.Result.CANCELLED)


class FailingReasoner(SlowReasoner):
    """Takes a question and fails, so that rclpy aborts the goal with an empty result."""

    def _execute(self, handle: ServerGoalHandle) -> SpatialQuery.Result:
        raise ZeroDivisionError("a defect")


def running(look: Onlooker) -> set[str]:
    names = {name for name, space in look.node.get_node_names_and_namespaces() if space == "/robot1"}
    return names if look.node.count_publishers("/robot1/cc/keyframes") else set()


def test_ask_before_there_are_nodes_says_how_to_start_them(look: Onlooker) -> None:
    with cc_ros("ask", "Is 1 left of 2?", "--wait", "0.5") as program:
        assert program.end() == 1
    assert program.text.startswith("cc-ros ask: no cc_reasoner answers on /cc/ask_with_feedback")


def test_doctor_tells_by_its_exit_status(server: ModelServer) -> None:
    nowhere = ("--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    with (
        cc_ros("doctor", "--remap", "image:=/nowhere") as lonely,
        cc_ros("doctor", "--no-graph", *nowhere) as sick,
    ):
        assert lonely.end(60) == 0, lonely.text
        assert "ok    ROS 2" in lonely.text
        assert f"not running: {', '.join(NAMES)}" in lonely.text
        assert "/nowhere" in lonely.text
        assert sick.end(60) == 1, sick.text
        assert "FAIL  model" in sick.text


def test_the_security_policies_allow_each_node_what_it_uses(look: Onlooker, nodes: Program) -> None:
    """SROS 2 itself cannot be had as a wheel: the policies are held against the graph."""
    policies = ElementTree.parse(BAG.parents[2] / "config" / "sros2" / "policies.xml")
    calls = {
        ("topics", "publish"): look.node.get_publisher_names_and_types_by_node,
        ("topics", "subscribe"): look.node.get_subscriber_names_and_types_by_node,
        ("services", "reply"): look.node.get_service_names_and_types_by_node,
        ("services", "request"): look.node.get_client_names_and_types_by_node,
        ("actions", "execute"): partial(get_action_server_names_and_types_by_node, look.node),
    }
    for name in NAMES:
        profile = policies.find(f".//profile[@node='{name}']")
        assert profile is not None
        for (kind, how), used in calls.items():
            allowed = {rule.text or "" for group in profile.iterfind(f"{kind}[@{how}='ALLOW']") for rule in group}
            full = {
                rule.replace("~", f"/robot1/{name}", 1) if rule[0] in "~/" else f"/robot1/{rule}" for rule in allowed
            }
            full |= {rule.replace("/robot1/image", "/camera/image_raw") for rule in full}  # as remapped here
            of_actions = {topic for topic, _ in used(name, "/robot1") if "/_action/" in topic}
            assert {topic for topic, _ in used(name, "/robot1")} - of_actions <= full, (name, kind, how)


def test_a_bag_is_played_into_the_nodes_and_asked_about(look: Onlooker, nodes: Program, server: ModelServer) -> None:
    remap = ["--topics", "/camera/image_raw/compressed", "--wait", "15"]
    with cc_ros("play", str(BAG), *remap) as player:
        assert player.end(60) == 0, player.text
    assert "played 90 messages" in player.text
    until(lambda: look.call(GetKeyframes, "/robot1/cc/get_keyframes", GetKeyframes.Request()).success, 20)

    server.always(reply("by the sofa"))
    asked = partial(cc_ros, "ask", "--namespace", "robot1")
    with (
        asked("Where is the lamp?") as plain,
        asked("Where is the lamp, then?", "--json") as detailed,
        asked("What?", "--frames", "65") as refused,
    ):
        assert plain.end(40) == 0, plain.text
        assert "by the sofa" in plain.lines[0]
        assert "by model" in plain.text
        assert detailed.end(40) == 0, detailed.text
        answer = json.loads(detailed.text)
        assert (answer["status"], answer["answer"], answer["source"]) == (0, "by the sofa", "model")
        assert refused.end(40) == 1
        assert "64" in refused.text
    assert len(server.received[-1].images) == 3


def test_control_c_cancels_the_question(nodes: Program, server: ModelServer) -> None:
    server.always(Hang())
    closed = server.closed_early
    with cc_ros("ask", "Will this take long?", "--namespace", "robot1", "--timeout", "30") as ask:
        until(lambda: server.was_asked("Will this take long?") or ask.process.poll() is not None, 40)
        ask.signal(signal.SIGINT)
        assert ask.end(20) == 130, ask.text
    assert "cancel" in ask.text
    until(lambda: server.closed_early > closed, 5, "the request to the model stayed open")


def test_control_c_while_the_question_is_being_taken_cancels_it(look: Onlooker) -> None:
    reasoner = SlowReasoner()
    with reasoner.running(look.node.context), cc_ros("ask", "Now?", "--namespace", "slow") as ask:
        assert reasoner.asked.wait(START)
        ask.signal(signal.SIGINT)
        reasoner.take.set()
        assert ask.end(20) == 130, ask.text
    assert "cancel" in ask.text
    assert reasoner.cancelled.is_set()


def test_a_question_that_was_given_up_is_no_answer(look: Onlooker) -> None:
    reasoner = FailingReasoner()
    reasoner.take.set()
    asking = ("ask", "Now?", "--namespace", "slow")
    with reasoner.running(look.node.context), cc_ros(*asking) as plain, cc_ros(*asking, "--json") as detailed:
        assert plain.end(40) == 1, plain.text
        assert "gave the question up" in plain.text
        assert detailed.end(40) == 1, detailed.text
        assert json.loads(detailed.text)["status"] == SpatialQuery.Result.SERVER_ERROR


def test_ask_ends_when_the_reasoner_goes_away(look: Onlooker, server: ModelServer, tmp_path: Path) -> None:
    server.always(Hang())
    # What is killed cannot tidy up its temporary files.
    with cc_ros("up", "--nodes", "reasoner", "keyframes", "--namespace", "robot2", TMPDIR=str(tmp_path)) as up:
        until(lambda: look.node.count_publishers("/robot2/cc/goal"), START, up.text)
        with cc_ros("ask", "How many marked objects are there?", "--namespace", "robot2") as ask:
            assert ask.end(40) == 1
        assert "there are no keyframes" in ask.text or "no frames yet" in ask.text
        up.process.kill()
        up.end()


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_play_both_storages_with_a_clock(look: Onlooker, tmp_path: Path, plugin: StoragePlugin) -> None:
    bag = write_bag(tmp_path / "bag", [("/image", i * 0.05, image(i * 0.05, i)) for i in range(10)], plugin)
    images, clock = look.listen(Image, "/elsewhere"), look.listen(Clock, "/clock")
    with cc_ros("play", str(bag), "--clock", "--wait", "10", "--remap", "/image:=/elsewhere") as player:
        assert player.end(40) == 0, player.text
    until(lambda: len(images) == 10 and clock, 5)
    assert "played 10 messages" in player.text


def test_play_says_what_it_cannot_play(tmp_path: Path) -> None:
    refused = (([str(tmp_path)], str(tmp_path)), ([str(BAG), "--topics", "/none"], "/none"))
    with ExitStack() as stack:
        for player, told in [(stack.enter_context(cc_ros("play", *words)), told) for words, told in refused]:
            assert player.end(40) == 1
            assert len(player.lines) == 1, player.text
            assert told in player.text


def test_up_refuses_what_it_cannot_use() -> None:
    refused = (
        (["--remap", "nonsense"], "remap"),
        (["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--param", "cc_tracker:queue:=0"], "queue"),
        (["--backend", "magic"], "magic"),
    )
    with ExitStack() as stack:
        for up, told in [(stack.enter_context(cc_ros("up", *words)), told) for words, told in refused]:
            assert up.end(60) == 2
            assert told in next(line for line in up.lines if line.startswith("cc_ros: "))
            assert "Traceback" not in up.text


@pytest.mark.timeout(400)  # however slow the machine: the demo itself says when its nodes hang
def test_the_demo_goes_the_whole_way(tmp_path: Path, server: ModelServer) -> None:
    out = tmp_path / "demo"
    with cc_ros("demo", "--out", str(out)) as demo:
        assert demo.end(390) == 0, demo.text
    assert demo.text.count("geometry") >= 2
    assert "\n90 of 90 frames tracked" in demo.text, demo.text
    assert "No model was asked" in demo.text
    report = (out / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") >= 4
    assert "Traceback" not in (out / "nodes.log").read_text()
    children = [p for p in psutil.Process(os.getpid()).children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    assert not [p for p in children if str(out) in " ".join(p.cmdline())]


def test_a_demo_that_is_told_to_end_takes_its_nodes_along(tmp_path: Path) -> None:
    with cc_ros("demo", "--out", str(tmp_path / "demo")) as demo:
        demo.wait_for("starting")
        (nodes,) = psutil.Process(demo.process.pid).children()
        demo.signal(signal.SIGTERM)
        assert demo.end(40) == 130, demo.text
    assert not nodes.is_running()

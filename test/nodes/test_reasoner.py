"""The reasoning node when others fail it: every question ends with a status, and nobody waits for the dead."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.srv import GetKeyframes, SpatialQuery
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header
from support.marked_scene import looking, see
from support.model_server import Hang, ModelServer
from support.rig import START, Onlooker, Program, environment, isolated, until

from cc_ros.dds import PROFILES, prepare
from cc_ros.ground import Ground
from cc_ros.keyframes import KeyframeSet
from cc_ros.nodes.action_call import GoalClient
from cc_ros.nodes.convert.grounds import ground_message
from cc_ros.nodes.convert.keyframes import keyframes_message
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.runtime import executor_of, spin
from cc_ros.reasoning import Answer, Question, Status, Usage

ROOM = {1: (2.8, 1.0, 0.5), 2: (2.0, 0.0, 0.7), 3: (3.0, -1.4, 1.0)}
ASK = SpatialQuery.Request(question="How many marked objects are there?")

# A keyframe node that takes questions and never answers.
DEAF = """
import sys, threading
import rclpy
from rclpy.executors import SingleThreadedExecutor
from cc_ros.dds import prepare
from cc_ros.nodes.alive import announce
from cc_ros.srv import GetKeyframes
prepare()
rclpy.init()
node = rclpy.create_node("cc_keyframes", namespace="alone")
announced = announce(node, "cc/get_keyframes")
def on_get(request, response):
    print("asked", flush=True)
    threading.Event().wait()
service = node.create_service(GetKeyframes, "cc/get_keyframes", on_get)
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def rig(server: ModelServer) -> Iterator[tuple[ReasonerNode, Onlooker]]:
    with isolated():
        prepare()
        context = rclpy.Context()
        arguments = ["-r", "__ns:=/alone", "-p", f"base_url:={server.base_url}", "-p", "cache_seconds:=0"]
        rclpy.init(args=["--ros-args", *arguments], context=context)
        node, stop = ReasonerNode(context=context), threading.Event()
        executor = executor_of(node)
        thread = threading.Thread(target=spin, args=(node, executor, stop))
        thread.start()
        look = Onlooker(context)
        assert node.autostart()
        yield node, look
        stop.set()
        thread.join(10)
        look.close()
        executor.shutdown(5)
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def keyframes(rig: tuple[ReasonerNode, Onlooker]) -> Iterator[Onlooker]:
    """Answer for cc_keyframes with three marks in a known room."""

    def give(request: GetKeyframes.Request, response: GetKeyframes.Response) -> GetKeyframes.Response:
        frames = see([looking(0, 0, 10), looking(0, 0, -10)], ROOM, depth=True)
        given = KeyframeSet(tuple(replace(frame, world_frame="odom") for frame in frames), remarks=("it is a guess",))
        response.success, response.keyframes = True, keyframes_message(given, "marks", Header(frame_id="camera"), 0)
        floor = Ground(np.zeros((200, 200), np.int8), 0.05, (-3.0, -5.0), floor=0.0)
        response.grounds = [ground_message(floor, "odom")]
        return response

    node, _ = rig
    with closing(Onlooker(node.context, "some_keyframes")) as onlooker:
        onlooker.node.create_service(GetKeyframes, "cc/get_keyframes", give)
        until(node._keyframes.service_is_ready)
        yield onlooker
    until(lambda: not node._keyframes.service_is_ready())


def test_a_keyframe_node_that_is_killed_is_noticed_within_two_seconds(
    rig: tuple[ReasonerNode, Onlooker], tmp_path: Path
) -> None:
    node, look = rig
    client = look.node.create_client(SpatialQuery, "cc/ask")
    with Program(["-c", DEAF], short_lived(tmp_path)) as deaf:
        deaf.wait_for("ready")
        until(lambda: node._keyframes.service_is_ready() and client.service_is_ready(), START)
        asked = client.call_async(ASK)
        deaf.wait_for("asked")
        time.sleep(1.5)  # it is busy for longer than it may be silent, and lives
        assert not asked.done()
        deaf.process.kill()
        killed = time.monotonic()
        until(asked.done, 10, "nobody said that cc_keyframes is gone")
        assert time.monotonic() - killed < 3  # two, and one for a machine with other work
        assert asked.result().status == Status.NO_KEYFRAMES
        assert "nobody answers on cc/get_keyframes" in asked.result().message
        start = time.monotonic()
        again = look.call(SpatialQuery, "cc/ask", ASK)
        assert again.status == Status.NO_KEYFRAMES and "is cc_keyframes running?" in again.message
        assert time.monotonic() - start < 3
    look.drop(lambda: look.node.destroy_client(client))
    until(lambda: not node._keyframes.service_is_ready(), 15)


def test_killing_a_client_ends_its_request(
    rig: tuple[ReasonerNode, Onlooker], keyframes: Onlooker, server: ModelServer, tmp_path: Path
) -> None:
    server.always(Hang())
    closed = server.closed_early
    command = ["-m", "cc_ros.cli", "ask", "What colour is the lamp?", "--namespace", "alone"]
    with Program(command, short_lived(tmp_path)) as client:
        until(lambda: server.was_asked("What colour is the lamp?") or client.process.poll() is not None, START)
        assert client.process.poll() is None, client.text
        client.process.kill()
        until(lambda: server.closed_early > closed, 30, "the request to the model stayed open")


def short_lived(folder: Path) -> dict[str, str]:
    """Return an environment whose programs leave the graph two seconds after they were killed, instead of eight."""
    profile = folder / "short.xml"
    text = (PROFILES / "localhost.xml").read_text()
    for seconds, shorter in (("2", "1"), ("8", "2")):
        text = text.replace(f"<sec>{seconds}</sec>", f"<sec>{shorter}</sec>")
    profile.write_text(text)
    return environment(FASTDDS_DEFAULT_PROFILES_FILE=str(profile), ROS_AUTOMATIC_DISCOVERY_RANGE="SYSTEM_DEFAULT")


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


UNSENDABLE = [
    Answer(Status.OK, text="x", mark_ids=(-1,)),
    Answer(Status.OK, text="x", usage=Usage(requests=-1)),
    Answer(Status.OK, text=None),  # type: ignore[arg-type]
    None,
]


@pytest.mark.parametrize(
    ("step", "how"),
    [
        ("_reasoner.ask", raising(ZeroDivisionError("a defect"))),
        ("_reasoner.ask", raising(UnicodeEncodeError("utf-8", "x", 0, 1, "a defect"))),
        *[("_reasoner.ask", lambda *_, answer=answer: answer) for answer in UNSENDABLE],
        ("_places.acquire", raising(RuntimeError("a defect"))),
        ("_goals.publish", raising(RuntimeError("a defect"))),
        ("_keyframes.call_async", raising(RuntimeError("a defect"))),
    ],
)
def test_whatever_fails_in_the_node_the_caller_gets_a_status(
    rig: tuple[ReasonerNode, Onlooker],
    keyframes: Onlooker,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    how: Callable[..., Any],
) -> None:
    node, look = rig
    *owners, name = step.split(".")
    owner: Any = node
    for part in owners:
        owner = getattr(owner, part)
    if step in ("_places.acquire", "_goals.publish", "_keyframes.call_async"):
        stand_in = _StandIn(owner, name, how)
        monkeypatch.setattr(node, owners[0], stand_in)
    else:
        monkeypatch.setattr(owner, name, how)
    request = SpatialQuery.Request(question="Go to mark 2", send_goal=True)
    response = look.call(SpatialQuery, "cc/ask", request)
    assert response.status not in (Status.OK, Status.CLOSED) and response.message
    assert not response.answer and not response.has_goal
    result, status = act(look, request.question)
    assert result.status not in (Status.OK, Status.CLOSED) and result.message and status != 4
    monkeypatch.undo()
    assert look.call(SpatialQuery, "cc/ask", request).status == Status.OK


class _StandIn:
    """Everything of an object but one method."""

    def __init__(self, owner: Any, name: str, how: Callable[..., Any]) -> None:
        self._owner = owner
        setattr(self, name, how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owner, name)


def act(look: Onlooker, question: str) -> tuple[Any, int]:
    """Ask by the action; return its result and the status of the goal."""
    client = GoalClient(look.node, SpatialQueryAction, "cc/ask_with_feedback")
    until(client.server_is_ready, START)
    sent = client.send_goal_async(SpatialQueryAction.Goal(question=question, send_goal=True))
    until(sent.done)
    result = sent.result().get_result_async()
    until(result.done)
    look.drop(client.destroy)
    return result.result().result, result.result().status


def test_text_that_no_message_can_hold_is_made_one_that_it_can(
    rig: tuple[ReasonerNode, Onlooker], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, look = rig
    answer = Answer(Status.OK, "m\0m", "left \ud83d", reason="\udc00", usage=replace(Usage(), prompt_tokens=10**12))

    def ask(question: Question, source: Any, progress: Callable[[str, str], None], cancel: Any) -> Answer:
        progress("answering", "\ud800")
        return answer

    monkeypatch.setattr(node._reasoner, "ask", ask)
    response = look.call(SpatialQuery, "cc/ask", ASK)
    assert (response.status, response.answer, response.message) == (Status.OK, "left ?", "m m")
    assert response.usage.prompt_tokens == 2**32 - 1
    assert act(look, "x")[0].answer == "left ?"


def test_going_and_turning_to_a_mark_sends_a_goal(rig: tuple[ReasonerNode, Onlooker], keyframes: Onlooker) -> None:
    _, look = rig
    goals = look.listen(PoseStamped, "cc/goal")
    for question in ("Go to mark 2", "drive to 3", "where is mark 1?", "turn to mark 3"):
        if question.startswith("where"):
            continue  # with a model configured, that one is the model's
        before = len(goals)
        response = look.call(SpatialQuery, "cc/ask", SpatialQuery.Request(question=question, send_goal=True))
        assert response.status == Status.OK and response.has_goal, response.message
        until(lambda before=before: len(goals) > before)
        assert goals[-1] == response.goal
        assert goals[-1].header.frame_id == "odom" and goals[-1].header.stamp.sec > 0
        assert "it is a guess" in response.message
    go, _, turn = (goal.pose for goal in goals)
    assert (go.position.x, go.position.y) == pytest.approx((1.1, 0.0), abs=0.15)  # 0.8 m before its edge
    assert (turn.position.x, turn.position.y) == pytest.approx((0.0, 0.0), abs=1e-6)
    yaw = 2 * math.atan2(turn.orientation.z, turn.orientation.w)
    assert yaw == pytest.approx(math.atan2(-1.4, 3.0), abs=0.02)

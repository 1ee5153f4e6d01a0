"""The Python client over DDS: answers, keyframes, places, and an end to every wait."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.msg import MarkedKeyframes
from cc_ros.srv import GetKeyframes
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from support.marked_scene import looking, see
from support.model_server import Hang, ModelServer, Say, reply
from support.rig import ROOT, START, Onlooker, Program, environment, isolated, until
from support.single_node import spinning

from cc_ros.client import NodeError, NotRunningError, SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import SettingsError
from cc_ros.geometry.evaluate import Found
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.geometry.queries import Beside, Distance, Is
from cc_ros.keyframes import RememberedObject
from cc_ros.nodes.alive import announce
from cc_ros.nodes.convert.keyframes import keyframe_message, remembered_message
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.registry import NODES
from cc_ros.reasoning import Status

OTHERS = [node.name for node in NODES if node.remembers and node.name != "cc_reasoner"]
ROOM = {1: (2.8, 1.0, 0.5), 2: (2.0, 0.0, 0.7), 3: (3.0, -1.4, 1.0)}
ASK = "from cc_ros.client import SpatialMemory\nwith SpatialMemory('lab') as memory: memory.ask('Will this take long?')"


class Room:
    """Answers for cc_keyframes, and for cc/reset of the two nodes that are not there."""

    def __init__(self, context: rclpy.Context) -> None:
        self.asked: list[GetKeyframes.Request] = []
        self.resets: list[str] = []
        self.why_not = ""
        self.odometry = True
        self.remembered: list[RememberedObject] = []
        self.onlooker = Onlooker(context, "cc_keyframes")
        node = self.onlooker.node
        self._kept = [
            announce(node, "cc/get_keyframes"),
            node.create_service(GetKeyframes, "cc/get_keyframes", self._give),
            *(node.create_service(Trigger, "cc/reset", self._reset_of(name)) for name in OTHERS),
        ]

    def _give(self, request: GetKeyframes.Request, response: GetKeyframes.Response) -> GetKeyframes.Response:
        self.asked.append(request)
        frames = see([looking(0, 0, 10), looking(0, 0, -10)], ROOM, depth=True, pose=self.odometry)
        messages = [keyframe_message(replace(frame, world_frame="odom"), Header(frame_id="camera")) for frame in frames]
        response.success, response.message = not self.why_not, self.why_not
        response.keyframes = MarkedKeyframes(keyframes=messages)
        if self.remembered and request.since:
            response.keyframes.objects = [remembered_message(one) for one in self.remembered]
            response.keyframes.header.stamp.sec, response.keyframes.remembered_since = 1000, 100.0
        return response

    def _reset_of(self, name: str):
        def reset(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self.resets.append(name)
            response.success = True
            return response

        return reset


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def room(server: ModelServer) -> Iterator[Room]:
    """The reasoner node and a stand-in for the others, in the namespace ``lab``."""
    with isolated():
        prepare()
        context = rclpy.Context()
        arguments = ["-r", "__ns:=/lab", "-p", f"base_url:={server.base_url}", "-p", "cache_seconds:=0"]
        rclpy.init(args=["--ros-args", *arguments], context=context)
        node = ReasonerNode(context=context)
        room = Room(context)
        with spinning(node):
            assert node.autostart()
            until(node._keyframes.service_is_ready, START)
            yield room
        room.onlooker.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture(scope="module")
def memory(room: Room) -> Iterator[SpatialMemory]:
    with SpatialMemory("lab") as memory:
        yield memory


@pytest.fixture(autouse=True)
def plain(server: ModelServer) -> Iterator[None]:
    yield
    server.always(reply("a plain answer"))


@contextmanager
def in_thread(work) -> Iterator[list]:
    """Do something in a thread and yield the list that gets what it returns or raises."""
    ends: list = []

    def run() -> None:
        try:
            ends.append(work())
        except Exception as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield ends
    thread.join(20)
    assert not thread.is_alive()


def test_an_answer_has_the_fields_of_the_reasoner_s(memory: SpatialMemory, server: ModelServer) -> None:
    server.script(Say(reply("by the sofa", marks=[2]), pause=0.25))  # on a busy machine words are told seldom
    told: list[tuple[str, str]] = []
    answer = memory.ask("Where is the lamp?", on_progress=lambda stage, text: told.append((stage, text)))
    assert (answer.status, answer.text, answer.mark_ids, answer.source) == (Status.OK, "by the sofa", (2,), "model")
    assert (answer.confidence, answer.usage.model, answer.kind) == (pytest.approx(0.8), "scripted", "free")
    assert answer.usage.images == 2 and answer.usage.seconds > 0 and math.isnan(answer.usage.cost)
    assert answer.action is None and answer.ok
    stages = [stage for stage, _ in told]
    assert stages[0] == "queued" and "answering" in stages
    assert any(text and "by the sofa".startswith(text) for _, text in told)


def test_every_option_reaches_the_reasoner(memory: SpatialMemory, room: Room, server: ModelServer) -> None:
    server.script(reply("B"))
    options = {"frames": 3, "marks": 4, "last_seconds": 5.0, "style": "set_of_mark", "timeout": 20.0}
    answer = memory.ask("Which?", kind="choice", choices=["red", "blue"], **options)
    assert (answer.choice, answer.text) == (1, "B. blue")
    wanted = room.asked[-1]
    assert (wanted.frames, wanted.marks, wanted.last_seconds, wanted.style.kind) == (3, 4, 5.0, "set_of_mark")
    server.script(reply("TURN_LEFT(30)"))
    action = memory.ask("Go through the door", kind="navigate").action
    assert action is not None and str(action) == "TURN_LEFT(30)"


def test_a_question_without_an_answer_says_why(memory: SpatialMemory) -> None:
    assert memory.ask("Is mark 9 left of mark 1?").status == Status.UNKNOWN_MARK
    refused = memory.ask("What?", frames=65)
    assert refused.status == Status.BAD_REQUEST and "64" in refused.message and not refused.ok
    for options in ({"frames": -1}, {"timeout": "soon"}, {"choices": "red"}, {"frame": 1}):
        with pytest.raises(SettingsError, match=next(iter(options))):
            memory.ask("What?", **options)


def test_keyframes_come_with_marks_poses_and_pictures(memory: SpatialMemory, room: Room) -> None:
    frames = memory.keyframes(2, 3, last_seconds=4, style="raw", blur=[7])
    wanted = room.asked[-1]
    assert (wanted.frames, wanted.marks, wanted.last_seconds, wanted.style.kind) == (2, 3, 4.0, "raw")
    assert list(wanted.blur_marks) == [7]
    assert [frame.index for frame in frames] == [0, 1]
    assert {mark.id for mark in frames[0].marks} <= set(ROOM) and frames[0].pose is not None
    assert frames[0].jpeg[:2] == b"\xff\xd8"


def test_a_place_is_measured_and_says_what_is_missing(memory: SpatialMemory, room: Room, server: ModelServer) -> None:
    place = memory.where(2)
    assert place.point == pytest.approx(ROOM[2], abs=0.02) and place.frame == "odom" and place.missing == ""
    assert place.distance == pytest.approx(math.dist(ROOM[2], (0, 0, 1)), abs=0.05)
    assert place.direction == pytest.approx(math.radians(10), abs=0.02)  # the camera looks 10 degrees to the right
    room.odometry = False
    place = memory.where(2)
    room.odometry = True
    assert place.point is None and place.frame == ""
    assert place.distance == pytest.approx(math.dist(ROOM[2], (0, 0, 1)), abs=0.05)
    assert place.missing == "the place of mark 2 is not known (there is depth, but no odometry)"
    server.script(reply("mark 3", marks=[3]))
    assert memory.where("Which mark is the lamp?").mark == 3
    with pytest.raises(NodeError, match="no keyframe shows mark 9; they show 1, 2, 3"):
        memory.where(9)


def test_a_query_is_measured_from_the_keyframes_and_so_are_words(memory: SpatialMemory) -> None:
    found = memory.measure(Is(1, Beside("left", 3)))
    assert isinstance(found, Found) and found.value is True
    apart = memory.measure("how far apart are 1 and 3?")
    assert isinstance(apart, Found) and apart.value == pytest.approx(math.dist(ROOM[1], ROOM[3]), abs=0.01)
    unknown = memory.measure(Distance(9))
    assert isinstance(unknown, Unknown) and unknown.cause is Cause.UNKNOWN_MARK
    with pytest.raises(SettingsError, match="no question about marks that is understood"):
        memory.measure("how big is 3?")


def test_what_changed_is_told_by_the_memory_where_there_is_one(memory: SpatialMemory, room: Room) -> None:
    found = memory.changed(0.2)
    assert not found.remembered and found.new == (1, 2, 3), "these pictures have no stamps: all are of one instant"
    room.remembered = [
        RememberedObject(1, "present", 990.0, 1000.0, 990.0),
        RememberedObject(2, "absent", 100.0, 500.0, 800.0),
    ]
    try:
        lately, longer = memory.changed(60), memory.changed(since=700.0)
    finally:
        room.remembered = []
    assert lately.remembered and (lately.since, lately.new, lately.absent) == (pytest.approx(940.0), (1,), ())
    assert (longer.since, longer.new, longer.absent) == (700.0, (1,), (2,))


def test_the_refusal_of_a_node_is_an_error_with_its_reason(memory: SpatialMemory, room: Room) -> None:
    room.why_not = "no frames yet"
    try:
        with pytest.raises(NodeError, match="no frames yet"):
            memory.keyframes()
    finally:
        room.why_not = ""


def test_reset_reaches_every_node(memory: SpatialMemory, room: Room) -> None:
    memory.reset()
    until(lambda: set(room.resets) == set(OTHERS))


def test_cancel_ends_all_questions_from_another_thread(memory: SpatialMemory, server: ModelServer) -> None:
    assert server.wait_idle()  # other tests are done with it
    server.always(Hang())
    closed = server.closed_early
    with in_thread(lambda: memory.ask("One?")) as one, in_thread(lambda: memory.ask("Two?")) as two:
        until(lambda: server.was_asked("One?") and server.was_asked("Two?"))
        memory.cancel()
    assert [one[0].status, two[0].status] == [Status.CANCELLED] * 2
    until(lambda: server.closed_early == closed + 2, 5, "a request to the model stayed open")
    server.always(reply("again"))
    assert memory.ask("Three?").text == "again", "questions after it are not cancelled"


def test_a_flag_that_is_set_before_cancels_at_once(memory: SpatialMemory) -> None:
    flag = threading.Event()
    flag.set()
    assert memory.ask("What?", cancel=flag).status == Status.CANCELLED


def test_control_c_cancels_the_question_of_a_script(room: Room, server: ModelServer) -> None:
    server.always(Hang())
    closed = server.closed_early
    with Program(["-c", ASK], environment()) as script:
        until(lambda: server.was_asked("Will this take long?") or script.process.poll() is not None, START)
        script.signal(signal.SIGINT)
        assert script.end(20) != 0
        assert "KeyboardInterrupt" in script.text
    until(lambda: server.closed_early > closed, 5, "the request to the model stayed open")


def test_an_error_in_on_progress_ends_the_question(memory: SpatialMemory, server: ModelServer) -> None:
    server.always(Hang())
    closed = server.closed_early

    def fail(stage: str, text: str) -> None:
        if stage == "sent":
            raise ZeroDivisionError("a defect of the caller")

    with pytest.raises(ZeroDivisionError):
        memory.ask("What?", on_progress=fail)
    until(lambda: server.closed_early > closed, 5, "the request to the model stayed open")


def test_a_callback_of_the_user_s_node_may_wait_for_an_answer(room: Room) -> None:
    """Even where the node's executor has one thread only."""
    answers: list = []
    with isolated():
        rclpy.init(args=["--ros-args", "-r", "__node:=other", "-r", "__ns:=/elsewhere"])
        node = rclpy.create_node("mine")
        with SpatialMemory("lab", node=node) as memory:
            assert memory.node.get_fully_qualified_name() == "/lab/cc_client"
            node.create_timer(0.01, lambda: answers or answers.append(memory.ask("What?")))
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            deadline = time.monotonic() + 20
            while not answers and time.monotonic() < deadline:
                executor.spin_once(timeout_sec=0.1)
            assert answers[0].text == "a plain answer"
            rclpy.shutdown()
            with pytest.raises(NotRunningError, match="closed, or rclpy was shut down"):
                memory.ask("What?")
            node.destroy_node()


def test_without_nodes_an_error_says_how_to_start_them(room: Room) -> None:
    with isolated(), SpatialMemory("nowhere", wait=0.3) as memory:
        for call, who in (
            (lambda: memory.ask("What?"), "cc_reasoner answers on /nowhere/cc/ask_with_feedback"),
            (memory.keyframes, "cc_keyframes answers on /nowhere/cc/get_keyframes"),
            (lambda: memory.where(1), "cc_keyframes"),
            (memory.reset, "cc_tracker, cc_keyframes, cc_reasoner answers on /nowhere/cc/reset"),
        ):
            with pytest.raises(NotRunningError, match=who) as caught:
                call()
            assert "cc-ros up" in str(caught.value)


def test_a_reasoner_that_is_killed_meanwhile_is_an_error(
    memory: SpatialMemory, room: Room, server: ModelServer, tmp_path: Path
) -> None:
    up = ["-m", "cc_ros.cli", "up", "--nodes", "reasoner", "--namespace", "fragile"]
    answer = Room.__new__(Room)  # only its keyframes, in another namespace
    answer.asked, answer.why_not, answer.odometry, answer.remembered = [], "", True, []
    room.onlooker.node.create_service(GetKeyframes, "/fragile/cc/get_keyframes", answer._give)
    server.always(Hang())
    with (
        Program([*up, "--base-url", server.base_url], environment(TMPDIR=str(tmp_path))) as program,
        isolated(),
        SpatialMemory("fragile", wait=START) as fragile,
    ):

        def ask() -> object:  # until it has found the keyframes, the reasoner says that there are none
            while (answer := fragile.ask("Who dies?")).status == Status.NO_KEYFRAMES:
                pass
            return answer

        with in_thread(ask) as ends:
            until(lambda: server.was_asked("Who dies?") or ends, START, program.text)
            until(lambda: fragile._reasoner.announced)  # one that dies before is missed once it has left the graph
            program.process.kill()
            killed = time.monotonic()
        assert isinstance(ends[0], NotRunningError) and "went away before it answered" in str(ends[0])
        assert time.monotonic() - killed < 5


def test_closing_cancels_what_is_being_asked(room: Room, server: ModelServer) -> None:
    server.always(Hang())
    closed = server.closed_early
    with isolated():
        memory = SpatialMemory("lab")
        with in_thread(lambda: memory.ask("Who closes?")) as ends:
            until(lambda: server.was_asked("Who closes?"))
            memory.close()
    assert ends[0].status == Status.CANCELLED
    until(lambda: server.closed_early > closed, 5, "the request to the model stayed open")
    with pytest.raises(NotRunningError, match="closed"):
        memory.ask("What?")


def test_the_security_policy_allows_what_the_client_uses(memory: SpatialMemory, room: Room) -> None:
    policies = ElementTree.parse(ROOT / "config" / "sros2" / "policies.xml")
    graph = room.onlooker.node
    calls = {
        ("topics", "publish"): graph.get_publisher_names_and_types_by_node,
        ("topics", "subscribe"): graph.get_subscriber_names_and_types_by_node,
        ("services", "reply"): graph.get_service_names_and_types_by_node,
        ("services", "request"): graph.get_client_names_and_types_by_node,
    }
    for name in ("cc_ask", "cc_follow", "cc_client", "cc_mcp", "cc_web"):
        profile = policies.find(f".//profile[@node='{name}']")
        assert profile is not None
        for (kind, how), used in calls.items():
            rules = {rule.text or "" for group in profile.iterfind(f"{kind}[@{how}='ALLOW']") for rule in group}
            allowed = {rule.replace("~", "/lab/cc_client", 1) if rule[0] in "~/" else f"/lab/{rule}" for rule in rules}
            seen = {topic for topic, _ in used("cc_client", "/lab") if "/_action/" not in topic}
            assert seen <= allowed, (name, kind, how)

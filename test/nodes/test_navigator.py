"""Following instructions over DDS: a base that moves, a model that is scripted, and everything that can fail.

The base moves in time, by a clock of its own that stands still while the machine gives it no processor time: what is
said here of half a second is of that clock. It has no watchdog: nothing but a command of zero stops it.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from action_msgs.msg import GoalStatus
from cc_ros.action import FollowInstruction
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Empty
from support.base import MOUNTED, Base
from support.model_server import Cut, Hang, HttpStatus, ModelServer, Say, reply
from support.rig import START, Program, announced, cc_ros, isolated, until

from cc_ros.client import SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import CCError
from cc_ros.motion.halt import FollowStatus
from cc_ros.motion.obstacles import Obstacles
from cc_ros.nodes.action_call import GoalClient
from cc_ros.nodes.navigator import ACTION, NavigatorNode
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.registry import NODES, parameters
from cc_ros.nodes.runtime import executor_of, spin

Result = FollowInstruction.Result
MOUNTING = {f"camera.{name}": getattr(MOUNTED, name) for name in ("camera_x", "camera_z", "camera_pitch")}
HALF_A_SECOND = 0.5
# As fast as a wheelchair, and in no hurry to find inputs stale: what is tested by that is not the machine's leisure.
BRISK = {
    "motion.max_speed": 1.0,
    "motion.acceleration": 1.5,
    "motion.braking": 6.0,
    "motion.max_turn_rate": 1.2,
    "motion.turn_acceleration": 2.0,
    "odom_timeout": 5.0,
    "image_timeout": 5.0,
    "motion.stuck_time": 10.0,
}
STANDARD = {name: knob.default for name, knob in parameters(NODES[-1]) if name in BRISK}


def move(name: str, value: float = 0.0, why: str = "seen") -> str:
    return reply(action=name, value=value, reason=why)


@dataclass
class Rig:
    """The nodes of one robot, the robot, and the server of its model."""

    node: NavigatorNode
    base: Base
    server: ModelServer
    client: Any
    following: Any = None

    def use(self, **parameters: Any) -> None:
        """Activate the node anew with these parameters."""
        given = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        assert all(result.successful for result in self.node.set_parameters(given))
        self.node.trigger_deactivate()
        self.node.trigger_activate()
        assert self.node.active
        until(lambda: self.node._senses.silent() is None, 10, "the robot's inputs do not come")

    def follow(self, *says: Any, **goal: Any) -> Following:
        """Begin to follow an instruction; the model says this turn by turn."""
        self.server.script_only(*says)
        self.server.always(move("STOP"))
        self.following = Following(self, FollowInstruction.Goal(instruction="Go to the door.", **goal))
        return self.following

    def driving(self) -> int:
        """Wait until the robot drives at some speed, and return the tick of its clock."""
        deadline = time.monotonic() + 10
        while abs(self.base.speed[0]) < 0.15:
            told = [(told.phase, told.done, told.words) for told in self.following.told]
            assert time.monotonic() < deadline, (told, self.base.commands[-9:], self.base.told_at)
            time.sleep(0.005)
        return self.base.tick

    def stands_since(self, tick: int) -> None:
        """Hold it to standing within half a second of a tick, by the base's clock, and to zero as the last command."""
        self.following.end()
        ended = self.base.tick
        until(lambda: self.base.tick > ended + 10)  # and nothing comes later
        assert self.base.commands[-1] == (0.0, 0.0)
        assert self.base.seconds(tick) < HALF_A_SECOND


class Following:
    """An instruction under way."""

    def __init__(self, rig: Rig, goal: Any) -> None:
        self.told: list[Any] = []
        self.struck_at = 0  # the tick of what should stop it
        sent = rig.client.send_goal_async(goal, lambda message: self.told.append(message.feedback))
        until(sent.done, 10, "the goal was not answered")
        self.handle = sent.result()
        if self.handle.accepted:
            self._result = self.handle.get_result_async()

    def end(self, seconds: float = 20) -> Any:
        until(self._result.done, seconds, "it did not end")
        return self._result.result().result

    @property
    def goal_status(self) -> int:
        return int(self._result.result().status)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Rig]:
    with isolated(), ModelServer() as server:
        prepare()
        context, stop, threads, running = rclpy.Context(), threading.Event(), [], []
        given = [f"base_url:={server.base_url}", "retries:=0", *(f"{k}:={v}" for k, v in (MOUNTING | BRISK).items())]
        rclpy.init(args=["--ros-args", *(word for one in given for word in ("-p", one))], context=context)
        for kind in (ReasonerNode, NavigatorNode):
            node = kind(context=context)
            executor = executor_of(node)
            threads.append(threading.Thread(target=spin, args=(node, executor, stop)))
            threads[-1].start()
            running.append((node, executor))
            assert node.autostart()
        base = Base(context)
        made: list[Any] = []  # between two waits: rclpy shows the executor an action client before it is whole
        base.drop(lambda: made.append(GoalClient(base.node, FollowInstruction, ACTION)))
        (client,) = made
        until(client.server_is_ready, START)
        until(lambda: running[1][0]._reasoner.server_is_ready() and running[1][0]._keyframes.service_is_ready(), START)
        yield Rig(running[1][0], base, server, client)
        stop.set()
        for thread in threads:
            thread.join(10)
        base.close()
        for node, executor in running:
            executor.shutdown(5)
            node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def rig(nodes: Rig) -> Rig:
    """The robot at its place, brisk, and with nobody driving it."""
    until(nodes.node._idle.is_set, 10)
    until(lambda: not any(watch.gone() for watch in nodes.node._watched.values()))
    nodes.base.place()
    nodes.use(**BRISK, log_dir="", obstacles__allow_blind=False, max_step=3.0, patience=20.0)
    return nodes


def test_the_statuses_are_those_of_the_action() -> None:
    constants = {name: getattr(Result, name) for name in dir(Result) if name.isupper() and name != "SLOT_TYPES"}
    assert constants == {status.name: int(status) for status in FollowStatus}


def test_it_drives_the_steps_of_the_model_and_tells_of_each(rig: Rig, tmp_path: Path) -> None:
    rig.use(log_dir=str(tmp_path))
    base = rig.base
    before = len(rig.server.received)
    following = rig.follow(
        Say(move("FORWARD", 0.8, "The door is ahead.")), move("TURN_LEFT", 90), move("FORWARD", 0.4), move("STOP")
    )
    result = following.end()
    assert (result.status, result.steps) == (Result.OK, 3), result.message
    assert [told.words for told in following.told if told.phase == "driven"] == ["", "", ""]
    assert following.goal_status == GoalStatus.STATUS_SUCCEEDED
    assert (base.x, base.y) == pytest.approx((0.8, 0.4), abs=0.12)
    assert base.yaw == pytest.approx(math.pi / 2, abs=0.1)
    assert result.distance == pytest.approx(1.2, abs=0.12)
    assert base.commands[-1] == (0.0, 0.0)
    assert max(forward for forward, _ in base.commands) <= 1.0
    # one conversation, of one more picture a turn
    asked = rig.server.received[before:]
    assert [len(request.images) for request in asked] == [1, 2, 3, 4]
    # what was told on the way
    until(lambda: any(told.step == 4 and told.move == "STOP" for told in following.told), 5)
    moves = {told.step: (told.move, round(told.value, 2)) for told in following.told if told.phase == "driving"}
    assert moves == {1: ("FORWARD", 0.8), 2: ("TURN_LEFT", 90.0), 3: ("FORWARD", 0.4), 4: ("STOP", 0.0)}
    assert sum(bool(told.picture.data) for told in following.told) == 4
    assert any("The door is ahead." in told.words for told in following.told)
    assert any(told.phase == "driving" and 0 < told.done < 0.8 for told in following.told)
    # and the log
    folder = Path(result.log)
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["begin", *["look", "answer", "driven"] * 3, "look", "answer", "end"]
    assert all((folder / event["picture"]).read_bytes()[:2] == b"\xff\xd8" for event in events if "picture" in event)
    # the next instruction, of the same words, is a conversation of its own
    assert rig.follow(move("STOP")).end().status == Result.OK
    assert len(rig.server.received[-1].images) == 1


def test_nothing_is_sent_to_the_robot_unless_an_instruction_is_followed(rig: Rig) -> None:
    tick = rig.base.tick
    until(lambda: rig.base.tick > tick + 20)
    assert rig.base.commands == []
    assert rig.follow(move("STOP")).end().status == Result.OK
    assert set(rig.base.commands) <= {(0.0, 0.0)}


def test_it_stands_before_a_wall_and_tells_the_model(rig: Rig) -> None:
    rig.base.walls = [(1.5, 2.0)]
    result = rig.follow(move("FORWARD", 3), move("STOP")).end()
    assert result.status == Result.OK and result.steps == 1
    assert 1.5 - 0.25 - 0.15 - 0.15 < rig.base.x < 1.5 - 0.25 - 0.05
    assert any("something is in the way" in text for text in rig.server.received[-1].texts)


def test_a_wall_that_comes_all_of_a_sudden_is_not_touched(rig: Rig) -> None:
    following = rig.follow(move("FORWARD", 3), move("STOP"))
    rig.driving()
    wall = rig.base.x + 1.0
    rig.base.walls = [(wall, 2.0)]
    assert following.end().status == Result.OK
    assert rig.base.x < wall - 0.25


def test_a_model_that_insists_on_a_wall_is_given_up(rig: Rig) -> None:
    rig.base.walls = [(0.38, 2.0)]
    result = rig.follow(*[move("FORWARD", 1)] * 5).end()
    assert result.status == Result.BLOCKED and result.steps == 3, result.message
    assert rig.base.x < 0.1


def test_without_depth_it_does_not_drive_forward_unless_it_is_allowed_to(rig: Rig) -> None:
    rig.base.silent = {"depth"}
    rig.use(patience=1.0)
    result = rig.follow(move("TURN_LEFT", 20), move("FORWARD", 1)).end()
    assert result.status == Result.REFUSED and "allow_blind" in result.message
    assert rig.base.x == 0.0 and rig.base.yaw > 0.2
    rig.use(obstacles__allow_blind=True)
    assert rig.follow(move("FORWARD", 0.3), move("STOP")).end().status == Result.OK
    assert rig.base.x > 0.2


def test_a_mounting_that_nobody_told_is_not_guessed(rig: Rig) -> None:
    rig.use(**dict.fromkeys(MOUNTING, 0.0), patience=1.0)
    result = rig.follow(move("FORWARD", 1)).end()
    rig.use(**MOUNTING)
    assert result.status == Result.REFUSED and "camera.camera_x" in result.message
    assert rig.base.x == 0.0


def test_longer_moves_than_allowed_are_cut(rig: Rig) -> None:
    rig.use(max_step=0.3)
    assert rig.follow(move("FORWARD", 2), move("STOP")).end().status == Result.OK
    assert 0.2 < rig.base.x < 0.45
    assert any("longer moves than 0.3 metres are cut" in text for text in rig.server.received[-1].texts)


def test_a_second_instruction_is_refused(rig: Rig) -> None:
    first = rig.follow(move("FORWARD", 3))
    rig.driving()
    assert not Following(rig, FollowInstruction.Goal(instruction="Go away.")).handle.accepted
    first.handle.cancel_goal_async()
    assert first.end().status == Result.CANCELLED
    assert first.goal_status == GoalStatus.STATUS_CANCELED


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ({"instruction": " "}, "empty"),
        ({"timeout": -1.0}, "timeout must be"),
        ({"timeout": math.nan}, ""),
        ({"style": "loud"}, "no style 'loud'"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused_with_the_reason(rig: Rig, goal: dict[str, Any], told: str) -> None:
    result = Following(rig, FollowInstruction.Goal(**{"instruction": "Go.", **goal})).end()
    assert result.status == Result.BAD_REQUEST and told in result.message


# -- what stops it


def silence(what: str) -> Callable[[Rig, Following], None]:
    return lambda rig, following: rig.base.silent.add(what)


def cancel(rig: Rig, following: Following) -> None:
    following.handle.cancel_goal_async()


def break_odometry(rig: Rig, following: Following) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    rig.node._senses._poses.add = fail  # type: ignore[method-assign]


def break_the_loop(rig: Rig, following: Following) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a defect")

    rig.node._senses.silent = fail  # type: ignore[assignment,method-assign]


def deactivate(rig: Rig, following: Following) -> None:
    rig.node.trigger_deactivate()


def jump(rig: Rig, following: Following) -> None:
    rig.base.x += 2.0


def press(kind: Any) -> Callable[[Rig, Following], None]:
    def stop(rig: Rig, following: Following) -> None:
        # In a program of its own, as buttons are: DDS knows one type of a topic in each.
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        button = rclpy.create_node("button", context=context)
        publisher = button.create_publisher(kind, "cc/stop", 10)
        if kind is Empty:
            until(publisher.get_subscription_count, 10)
            following.struck_at = rig.base.tick
            publisher.publish(kind())
        following.end()
        button.destroy_node()
        rclpy.shutdown(context=context)
        until(lambda: not rig.node.count_publishers("cc/stop"), 10)

    return stop


SILENT = {
    "odometry stops": (silence("odom"), Result.NO_INPUT),
    "images stop": (silence("images"), Result.NO_INPUT),
    "depth stops": (silence("depth"), Result.NO_INPUT),
    "a defect in a callback": (break_odometry, Result.NO_INPUT),
}
FAULTS = SILENT | {
    "cancelled": (cancel, Result.CANCELLED),
    "a message on the stop topic": (press(Empty), Result.STOPPED),
    "a defect in the loop": (break_the_loop, Result.FAILED),
    "deactivated": (deactivate, Result.CLOSED),
    "odometry jumps": (jump, Result.ASTRAY),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_stands_within_half_a_second_when(rig: Rig, fault: str) -> None:
    # Until the inputs themselves are the fault, those that come late on a busy machine are none.
    patient = {"odom_timeout": 5.0, "image_timeout": 5.0, "motion.stuck_time": 10.0}
    rig.use(**{**STANDARD, **patient, "patience": 1.0})
    following = rig.follow(*[move("FORWARD", 3)] * 9)
    following.struck_at = rig.driving()
    if fault in SILENT:
        senses = rig.node._senses
        senses.odom.limit = STANDARD["odom_timeout"]
        senses.images.limit = senses._depth.limit = STANDARD["image_timeout"]
    strike, status = FAULTS[fault]
    strike(rig, following)
    rig.stands_since(following.struck_at)
    result = following.end()
    assert result.status == status and result.message, result


def test_depth_that_waited_to_be_looked_at_is_no_news(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, go_on, see = [], threading.Event(), Obstacles.see

    def slowly(*arguments: Any) -> None:
        looked.append(rig.base.tick)
        go_on.wait(20)
        see(*arguments)

    monkeypatch.setattr(Obstacles, "see", slowly)
    rig.node._senses.watch(True)
    until(lambda: looked)
    until(lambda: rig.base.tick > looked[0] + 60)  # more comes than is looked at
    rig.base.silent.add("depth")
    go_on.set()
    tick = rig.base.tick
    until(lambda: rig.base.tick > tick + 30)
    rig.node._senses.watch(False)
    assert len(looked) <= 2


def test_somebody_who_presses_another_kind_of_button_stops_it_as_well(rig: Rig) -> None:
    following = rig.follow(move("FORWARD", 3))
    rig.driving()
    press(Bool)(rig, following)
    result = following.end()
    assert result.status == Result.STOPPED and "stop_type" in result.message
    assert rig.base.commands[-1] == (0.0, 0.0)


def test_time_that_is_up_stops_it(rig: Rig) -> None:
    following = rig.follow(*[move("FORWARD", 3)] * 9, timeout=1.5)
    result = following.end()
    assert result.status == Result.TIMEOUT and "1.5 s" in result.message
    assert rig.base.commands[-1] == (0.0, 0.0)
    assert result.seconds < 5


def test_wheels_that_are_jammed_are_told_to_the_model(rig: Rig) -> None:
    rig.base.jammed = True
    rig.use(motion__stuck_time=1.0)
    before = len(rig.server.received)
    # twice: where the machine holds a node up for long, the first move ends because the node is not heard
    assert rig.follow(move("FORWARD", 1), move("FORWARD", 1), move("STOP")).end().status == Result.OK
    told = [text for request in rig.server.received[before:] for text in request.texts]
    assert any("has not moved" in text for text in told), told


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (Hang(), "TIMEOUT"),
        (Cut(), ""),
        (HttpStatus(500), ""),
        ("I would rather not.", ""),
        (reply(action="FORWARD", value=99), "at most 5"),
    ],
    ids=["hangs", "dies", "fails", "refuses", "goes too far"],
)
def test_a_model_without_a_usable_move_moves_nothing(rig: Rig, says: Any, told: str) -> None:
    rig.use(turn_timeout=2.5 if told == "TIMEOUT" else 60.0)
    following = rig.follow(move("TURN_LEFT", 10), says, says)
    result = following.end()
    rig.use(turn_timeout=60.0)
    assert result.status == Result.NO_ANSWER and result.steps == 1 and result.message
    assert told in result.message or told == "TIMEOUT"
    assert rig.base.x == 0.0 and rig.base.commands[-1] == (0.0, 0.0)


def test_a_tracker_that_is_killed_while_it_drives_stops_it(rig: Rig) -> None:
    rig.use(max_step=5.0)
    with announced("cc/masks") as tracker:
        until(lambda: rig.node._watched["cc_tracker"].announced, START)
        following = rig.follow(*[move("FORWARD", 5)] * 9)
        struck_at = rig.driving()
        tracker.signal(signal.SIGKILL)
        result = following.end()
    assert result.status == Result.NO_INPUT and "cc_tracker went away" in result.message, result
    assert rig.base.commands[-1] == (0.0, 0.0)
    assert rig.base.seconds(struck_at) < 0.8  # it is missed after a quarter of a second


@pytest.fixture(scope="module")
def second() -> Iterator[tuple[Program, Base, ModelServer]]:
    """The nodes in a process of their own, as users run them, and a robot in the same namespace."""
    with isolated(), ModelServer() as server:
        wanted = MOUNTING | BRISK | {"motion.max_speed": 0.5}
        given = [f"cc_navigator:{name}:={value}" for name, value in wanted.items()]
        options = ["--nodes", "reasoner", "navigator", "--namespace", "second", "--base-url", server.base_url]
        with cc_ros("up", *options, *(word for one in given for word in ("--param", one))) as program:
            program.wait_for("[second.cc_navigator]: active")
            prepare()
            context = rclpy.Context()
            rclpy.init(args=["--ros-args", "-r", "__ns:=/second"], context=context)
            base = Base(context)
            yield program, base, server
            base.close()
            rclpy.shutdown(context=context)


def test_ctrl_c_stops_the_robot_and_so_does_the_end_of_the_nodes(second: tuple[Program, Base, ModelServer]) -> None:
    nodes, base, server = second
    server.always(move("FORWARD", 3, "The hall goes on."))
    with cc_ros("follow", "Go to the door.", "--namespace", "second") as command:
        command.wait_for("1. FORWARD 3 m  The hall goes on.")
        until(lambda: base.speed[0] > 0.15, 10)
        command.signal(signal.SIGINT)
        assert command.end() == 130
        assert "stopping ..." in command.text and "CANCELLED" in command.text
    assert base.commands[-1] == (0.0, 0.0)
    assert 0 < base.x < 3
    base.place()
    with SpatialMemory("second") as memory:
        ends: list[str] = []

        def follow() -> None:
            try:
                ends.append(memory.follow("Go on.").status.name)
            except CCError as error:
                ends.append(str(error))

        thread = threading.Thread(target=follow)
        thread.start()
        until(lambda: base.speed[0] > 0.15, START)
        tick = base.tick
        nodes.signal(signal.SIGTERM)
        assert nodes.end() == 0 and "Traceback" not in nodes.text
        until(lambda: base.commands[-1] == (0.0, 0.0), 10)
        assert base.seconds(tick) < HALF_A_SECOND
        thread.join(20)
        assert ends[0] == "CLOSED" or "went away" in ends[0]

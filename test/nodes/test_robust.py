"""Nodes that others cannot break: faults in callbacks, values out of range, overload, a lifecycle that holds."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
from cc_ros.msg import MarkStyle, TrackedMasks, Tracks
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from support.rig import Onlooker, Program, cc_ros, image_of, scene, until
from support.single_node import SECOND, SMALL, T0, Start, alone, keyframes_of, masks_of, matched, send, small

from cc_ros.errors import SettingsError
from cc_ros.frame import Frame
from cc_ros.nodes import tracker as tracker_module
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.tracker import TrackerNode
from cc_ros.tracking.base import Tracked, Tracker, check_image


@pytest.fixture
def start() -> Iterator[Start]:
    with alone() as begin:
        yield begin


class Scripted(Tracker):
    """Notes what is asked of it; waits for ``go`` in each step, and for ``ready`` while it is prepared."""

    def __init__(self) -> None:
        self.go, self.ready, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.go.set()
        self.ready.set()
        self.prepared = self.closed = 0
        self.frames: list[Frame] = []

    def prepare(self) -> None:
        assert self.ready.wait(30)
        self.prepared += 1

    def step(self, frame: Frame) -> Tracked:
        check_image(frame.image)
        self.frames.append(frame)
        assert self.go.wait(30)
        return Tracked(np.zeros(frame.image.shape[:2], np.uint16), ())

    def seed(self, labels: np.ndarray) -> None:
        raise AssertionError

    def reset(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[Scripted]:
    """Return the trackers that nodes make from now on."""
    made: list[Scripted] = []

    def make(*_: Any) -> Tracker:
        made.append(Scripted())
        return made[-1]

    monkeypatch.setattr(tracker_module, "make_tracker", make)
    return made


def change(look: Onlooker, node: str, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return look.call(ChangeState, f"{node}/change_state", request).success


def state(look: Onlooker, node: str) -> int:
    return look.call(GetState, f"{node}/get_state", GetState.Request()).current_state.id


def set_parameter(look: Onlooker, node: str, name: str, value: Any) -> Any:
    kinds = {str: ("STRING", "string_value"), float: ("DOUBLE", "double_value"), int: ("INTEGER", "integer_value")}
    kind, field = kinds[type(value)]
    content = ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind}"), **{field: value})
    request = SetParameters.Request(parameters=[Parameter(name=name, value=content)])
    return look.call(SetParameters, f"{node}/set_parameters", request).results[0]


# -- lifecycle


def test_a_tracker_is_prepared_before_it_is_active_and_kept_until_it_is_cleaned_up(
    start: Start, scripted: list[Scripted]
) -> None:
    _, look = start(TrackerNode, activate=False)
    assert change(look, "cc_tracker", Transition.TRANSITION_CONFIGURE)
    assert scripted[0].prepared == 1
    for _ in range(2):
        assert change(look, "cc_tracker", Transition.TRANSITION_ACTIVATE)
        assert change(look, "cc_tracker", Transition.TRANSITION_DEACTIVATE)
    assert len(scripted) == 1 and not scripted[0].closed
    assert set_parameter(look, "cc_tracker", "flow.work_width", 160).successful
    assert change(look, "cc_tracker", Transition.TRANSITION_ACTIVATE)
    assert (len(scripted), scripted[0].closed, scripted[1].prepared) == (2, 1, 1), "made anew for the new setting"
    assert change(look, "cc_tracker", Transition.TRANSITION_DEACTIVATE)
    assert change(look, "cc_tracker", Transition.TRANSITION_CLEANUP)
    assert scripted[1].closed == 1


def test_a_reasoner_makes_its_client_when_it_is_configured(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("cc_ros.reasoning.llm.client.ChatClient.__init__", lambda self, to: made.append(to.base_url))
    monkeypatch.setattr("cc_ros.reasoning.llm.client.ChatClient.close", noop)
    _, look = start(ReasonerNode, "-p", "base_url:=http://127.0.0.1:9/v1", activate=False)
    assert change(look, "cc_reasoner", Transition.TRANSITION_CONFIGURE)
    assert made == ["http://127.0.0.1:9/v1"]


async def noop(*_: object) -> None:
    """Do nothing."""


def test_preparing_is_broken_off_when_the_process_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch, scripted: list[Scripted]
) -> None:
    monkeypatch.setattr(Scripted, "prepare", lambda self: self.stopped.wait(30) and 1 / 0)
    node, _ = start(TrackerNode, activate=False)
    starting = threading.Thread(target=node.autostart)
    starting.start()
    until(lambda: scripted)
    node.end()
    starting.join(10)
    assert not starting.is_alive() and not node.active


@pytest.mark.parametrize("transition", ["prepare", "start", "stop", "release"])
def test_whatever_a_transition_raises_is_logged_and_the_node_lives(
    start: Start, monkeypatch: pytest.MonkeyPatch, transition: str
) -> None:
    node, look = start(KeyframesNode, activate=False)
    broken = monkeypatch.context()
    with broken as patch:
        patch.setattr(node, transition, b"\xff".decode)
        results = [
            change(look, "cc_keyframes", number)
            for number in (
                Transition.TRANSITION_CONFIGURE,
                Transition.TRANSITION_ACTIVATE,
                Transition.TRANSITION_DEACTIVATE,
                Transition.TRANSITION_CLEANUP,
            )
        ]
    assert results[0] == (transition != "prepare")
    assert results[1] == (transition not in ("prepare", "start"))
    assert node.counters["failed_transitions"] >= 1
    if state(look, "cc_keyframes") == State.PRIMARY_STATE_INACTIVE:
        assert change(look, "cc_keyframes", Transition.TRANSITION_CLEANUP)
    assert node.autostart()
    assert keyframes_of(look).message.startswith("no frames yet")


def test_what_a_failed_start_has_begun_is_undone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    node, look = start(KeyframesNode, activate=False)
    assert change(look, "cc_keyframes", Transition.TRANSITION_CONFIGURE)
    with monkeypatch.context() as patch:
        patch.setattr(node, "create_timer", lambda *_, **__: 1 / 0)
        assert not change(look, "cc_keyframes", Transition.TRANSITION_ACTIVATE)
    assert not node.count_subscribers("image") and not node.count_subscribers("cc/masks")


def test_after_cleanup_a_node_holds_no_episode(start: Start) -> None:
    node, look = start(KeyframesNode)
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    send(look.publisher(Image, "image"), small(0, T0), lambda: node._images)
    send(masks, masks_of(small(0, T0)), lambda: node._keyframes.store.frames_seen)
    assert change(look, "cc_keyframes", Transition.TRANSITION_DEACTIVATE)
    assert change(look, "cc_keyframes", Transition.TRANSITION_CLEANUP)
    assert not node._keyframes.store.choose(8) and not node._images
    assert not keyframes_of(look).success


# -- requests and parameters


def test_every_wish_gets_a_response(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    node, look = start(KeyframesNode)
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    send(look.publisher(Image, "image"), small(0, T0), lambda: node._images)
    send(masks, masks_of(small(0, T0)), lambda: node._keyframes.store.frames_seen)
    for wish, told in (
        ({"style": MarkStyle(diameter=2**32 - 1)}, "diameter must be at most 1000"),
        ({"style": MarkStyle(diameter=100_000)}, "diameter must be at most 1000"),
        ({"style": MarkStyle(outline=7)}, "outline must be 0"),
        ({"style": MarkStyle(fill="notacolour")}, "is no colour"),
        ({"style": MarkStyle(kind="doodles")}, "kind must be one of"),
        ({"frames": 2**32 - 1}, "frames must be at most 64"),
        ({"marks": 2**32 - 1}, "marks must be at most 500"),
        ({"last_seconds": math.nan}, "last_seconds"),
        ({"last_seconds": math.inf}, "last_seconds"),
    ):
        response = keyframes_of(look, **wish)
        assert not response.success and told in response.message, (wish, response.message)
    assert keyframes_of(look, blur_marks=[0, 2**32 - 1]).success
    with monkeypatch.context() as patch:
        patch.setattr(node._keyframes, "marked", lambda *_: 1 / 0)
        response = keyframes_of(look)
        assert not response.success and "ZeroDivisionError" in response.message
    with monkeypatch.context() as patch:
        patch.setattr(node, "new_episode", lambda: 1 / 0)
        response = look.call(Trigger, "cc/reset", Trigger.Request())
        assert not response.success and "ZeroDivisionError" in response.message
    assert keyframes_of(look).success


def test_a_parameter_is_refused_when_it_is_set_and_says_when_it_takes_effect(start: Start) -> None:
    _, look = start(KeyframesNode)
    for name, value, told in (
        ("mark.fill", "notacolour", "'notacolour' is no colour"),
        ("marks_file", "/nowhere/marks.json", "/nowhere/marks.json cannot be read"),
        ("camera.camera_x", math.nan, "Max: 100.0, value: nan"),
        ("camera.camera_yaw", -math.inf, "Max: 7.0, value: -inf"),
        ("camera.camera_x", 1e308, "camera.camera_x"),
        ("mark.diameter", 1001, "mark.diameter"),
    ):
        result = set_parameter(look, "cc_keyframes", name, value)
        assert not result.successful and told in result.reason, (name, result.reason)
    result = set_parameter(look, "cc_keyframes", "mark.fill", "blue")
    assert result.successful and "mark.fill takes effect when the node is activated again" in result.reason
    result = set_parameter(look, "cc_keyframes", "diagnostics_period", 2.0)
    assert result.successful and "takes effect when the node is started again" in result.reason
    assert change(look, "cc_keyframes", Transition.TRANSITION_DEACTIVATE)
    result = set_parameter(look, "cc_keyframes", "mark.fill", "green")
    assert result.successful and not result.reason


def test_missing_folders_and_files_of_the_reasoner_are_refused(start: Start) -> None:
    _, look = start(ReasonerNode)
    for name in ("prompts_dir", "key_file"):
        result = set_parameter(look, "cc_reasoner", name, "/nowhere")
        assert not result.successful and "there is no f" in result.reason
    result = set_parameter(look, "cc_reasoner", "blur_marks", "the red one")
    assert not result.successful and "blur_marks: ids such as 3,7 are wanted" in result.reason
    with pytest.raises(SettingsError, match=r"cc_keyframes: parameter camera.camera_x: .*"):
        start(KeyframesNode, "-p", "camera.camera_x:=.nan")


def test_a_prompt_that_cannot_be_decoded_fails_the_activation_with_a_word(start: Start, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_bytes(b"\xff\xfe\x00\x80")
    node, look = start(ReasonerNode, "-p", f"prompts_dir:={tmp_path}", activate=False)
    assert not node.autostart()
    assert state(look, "cc_reasoner") in (State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_UNCONFIGURED)
    assert node.counters["failed_transitions"] == 1


# -- what comes in


def test_bad_masks_and_calibration_are_counted_with_their_reason(start: Start) -> None:
    node, look = start(KeyframesNode)
    images, infos = look.publisher(Image, "image"), look.publisher(CameraInfo, "camera_info")
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    diagnostics = look.listen(DiagnosticArray, "/diagnostics")
    send(infos, CameraInfo(width=160, height=120, k=[9.0, 0, 80, 0, 0, 60, 0, 0, 1]), lambda: node.counters)
    large = image_of(scene(0, 320, 240), T0)
    send(images, large, lambda: node._images)
    send(masks, masks_of(large), lambda: node.counters["bad_frames"])
    jpeg = image_of(scene(0, 320, 240), T0, compressed=True)
    node._on_image(jpeg)
    send(masks, masks_of(large), lambda: node.counters["bad_frames"] == 2)
    assert not keyframes_of(look).success
    until(lambda: figures(diagnostics, "cc_keyframes").get("bad_frames") == "2")
    told = figures(diagnostics, "cc_keyframes")
    assert "the instance map is 160x120, its image 320x240" in told["bad_frames_last"]
    assert "focal lengths must be positive" in told["bad_camera_info_last"]


def figures(diagnostics: list[Any], node: str) -> dict[str, str]:
    """Return the newest figures of a node."""
    heard = [{v.key: v.value for v in s.values} for m in diagnostics for s in m.status if s.name == node]
    return heard[-1] if heard else {}


def test_diagnostics_go_on_when_the_state_cannot_be_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    node, look = start(KeyframesNode, "-p", "diagnostics_period:=0.1")
    diagnostics = look.listen(DiagnosticArray, "/diagnostics")
    monkeypatch.setattr(node, "health", lambda: {}["nothing"])
    until(lambda: any("KeyError" in s.message for m in diagnostics for s in m.status))


# -- the stream


def test_tracks_come_without_their_map_too(start: Start) -> None:
    _, look = start(TrackerNode)
    masks, tracks = look.listen(TrackedMasks, "cc/masks"), look.listen(Tracks, "cc/tracks")
    send(look.publisher(Image, "image"), small(0, T0), lambda: masks and tracks)
    assert tracks[0].tracks == masks[0].tracks and tracks[0].tracks
    assert (tracks[0].header, tracks[0].episode) == (masks[0].header, masks[0].episode)


def test_under_overload_the_newest_image_is_worked_on_and_the_rest_counted(
    start: Start, scripted: list[Scripted]
) -> None:
    node, look = start(TrackerNode)
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = matched(look.publisher(Image, "image", reliable=True))
    scripted[0].go.clear()
    send(camera, small(0, T0), lambda: scripted[0].frames)
    for i in range(1, 20):
        send(camera, small(i, T0 + i * SECOND // 30), lambda i=i: node.counters["images"] == i + 1)
    scripted[0].go.set()
    until(lambda: len(masks) == 2)
    newest = T0 + 19 * SECOND // 30
    assert masks[-1].header.stamp.sec * SECOND + masks[-1].header.stamp.nanosec == newest
    assert node.counters["images_skipped_lower_camera_rate_or_raise_queue"] == 18


def test_a_tracker_that_is_busy_does_not_complain_of_missing_images(start: Start, scripted: list[Scripted]) -> None:
    node, look = start(TrackerNode, "-p", "silence:=0.5", "-p", "diagnostics_period:=0.1")
    said = Trouble(look)
    camera = matched(look.publisher(Image, "image", reliable=True))
    scripted[0].go.clear()
    send(camera, small(0, T0), lambda: scripted[0].frames)
    until(lambda: node.counters["slow_frames"])
    until(lambda: "one image has been in work for" in said())
    before = node.counters["silences"]
    scripted[0].go.set()
    until(lambda: said() == "running")
    until(lambda: "no images for" in said())
    until(lambda: node.counters["silences"] > before)


class Trouble:
    """The newest state of the tracker on /diagnostics."""

    def __init__(self, look: Onlooker) -> None:
        self._heard = look.listen(DiagnosticArray, "/diagnostics")

    def __call__(self) -> str:
        return self._heard[-1].status[0].message if self._heard else ""


@pytest.mark.parametrize("compressed", [False, True])
def test_large_images_are_reduced_and_their_masks_are_of_the_whole_size(
    start: Start, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    seen: list[tuple[int, ...]] = []
    step = tracker_module.CameraContext.at

    def at(self: Any, stamp: int, width: int, height: int, *rest: Any) -> Any:
        seen.append((width, height))
        return step(self, stamp, width, height, *rest)

    monkeypatch.setattr(tracker_module.CameraContext, "at", at)
    _, look = start(TrackerNode, "-p", "flow.work_width:=80")
    masks = look.listen(TrackedMasks, "cc/masks")
    kind = type(small(0, T0, compressed))
    camera = look.publisher(kind, "image/compressed" if compressed else "image")
    send(camera, image_of(scene(0, 640, 480), T0, compressed), lambda: masks)
    assert seen == [SMALL]
    labels = np.frombuffer(masks[0].labels.data, "<u2").reshape(480, 640)
    assert {t.id for t in masks[0].tracks} == set(np.unique(labels)) - {0}
    for track in masks[0].tracks:
        rows, columns = np.nonzero(labels == track.id)
        box = track.box
        assert (box.x_offset, box.y_offset) == (columns.min(), rows.min())
        assert (box.width, box.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert track.area == len(rows)
        assert np.abs(track.centre - np.array([columns.mean(), rows.mean()])).max() < 1


LOADING = """
import time
from cc_ros.nodes import runtime
from cc_ros.nodes.keyframes import KeyframesNode

class Loading(KeyframesNode):
    def prepare(self):
        print("loading", flush=True)
        time.sleep(60)

runtime.PATIENCE = 0.2
raise SystemExit(runtime.main_of([Loading], []))
"""


def test_a_signal_does_not_wait_for_what_cannot_be_broken_off() -> None:
    with Program(["-c", LOADING]) as program:
        program.wait_for("loading")
        program.signal(signal.SIGINT)
        assert program.end(15) == 0, program.text
        assert "ended while a node was still loading" in program.text


def test_up_says_how_long_it_took_and_ends_while_it_starts() -> None:
    with cc_ros("up", "--backend", "flow", "--nodes", "tracker", "keyframes") as program:
        program.wait_for("cc_ros: cc_tracker, cc_keyframes active after ")
        program.signal(signal.SIGINT)
        assert program.end() == 0, program.text
    assert "Traceback" not in program.text

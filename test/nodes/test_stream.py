"""The three nodes as a user runs them, `cc-ros up` in one process, fed by cameras in other processes."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("rclpy")

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from support.model_server import Hang, ModelServer, Say, reply
from support.rig import START, Onlooker, Program, cc_ros, environment, isolated, until

from cc_ros.dds import prepare
from cc_ros.nodes.registry import NODES


@dataclass
class Rig:
    look: Onlooker
    server: ModelServer
    program: Program

    @contextmanager
    def camera(self, kind: str, frames: int, rate: int = 15) -> Iterator[None]:
        """Publish from another process, with the transports that Fast DDS comes with, which lives on meanwhile."""
        topic = "/camera/image_raw" + ("/compressed" if kind == "jpeg" else "")
        until(lambda: self.look.node.count_subscribers(topic), 10, "the tracker does not listen for the other kind")
        with Program(
            ["-m", "support.camera_process", topic, kind, str(frames), str(rate), "1"], environment()
        ) as camera:
            camera.wait_for("published", 90)
            yield


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    from cc_ros.srv import SpatialQuery

    with isolated(), ModelServer() as server:
        arguments = ["up", "--remap", "image:=/camera/image_raw", "--backend", "flow", "--base-url", server.base_url]
        # the silence lets a camera of the other kind be heard soon after the last
        more = ["--model", "scripted", "--param", "cc_tracker:silence:=1", "--param", "cc_reasoner:retries:=0"]
        more += [
            "--param",
            "cc_tracker:queue:=100",
        ]  # how fast the tracker is on a busy machine is not the question here
        with cc_ros(*arguments, *more) as program:
            prepare()
            context = rclpy.Context()
            rclpy.init(context=context)
            look = Onlooker(context)
            client = look.node.create_client(SpatialQuery, "cc/ask")
            until(client.service_is_ready, START, program.text)
            program.wait_for("[cc_reasoner]: active")
            yield Rig(look, server, program)
            look.close()
            rclpy.shutdown(context=context)
            program.signal(signal.SIGINT)
            assert program.end() == 0, program.text
            assert "Traceback" not in program.text, program.text


def test_before_the_first_frame_the_answer_says_what_is_missing(rig: Rig) -> None:
    from cc_ros.srv import GetKeyframes, SpatialQuery

    response = rig.look.call(SpatialQuery, "cc/ask", SpatialQuery.Request(question="How many marked objects?"))
    assert response.status == response.NO_KEYFRAMES
    assert "camera" in response.message
    keyframes = rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request())
    assert not keyframes.success
    assert "no frames yet" in keyframes.message


def test_without_images_the_tracker_says_what_it_waits_for(rig: Rig) -> None:
    rig.program.wait_for("/camera/image_raw (sensor_msgs/msg/Image): nobody publishes on it")
    rig.program.wait_for("/camera/image_raw/compressed (sensor_msgs/msg/CompressedImage): nobody publishes")


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_a_best_effort_camera_at_15_hz_gets_masks_for_its_frames(rig: Rig, kind: str) -> None:
    from cc_ros.msg import TrackedMasks

    heard = rig.look.listen(TrackedMasks, "cc/masks")
    with rig.camera(kind, 45):
        until(lambda: len(heard) >= 43, 15, f"{len(heard)} of 45 frames; the nodes said\n{rig.program.text}")
    assert [m.index for m in heard] == list(range(heard[0].index, heard[0].index + len(heard)))
    labels = np.frombuffer(heard[-1].labels.data, "<u2").reshape(heard[-1].labels.height, heard[-1].labels.width)
    assert labels.shape == (480, 640)
    assert {t.id for t in heard[-1].tracks if t.area} == set(np.unique(labels)) - {0}
    for track in heard[-1].tracks:
        if track.area:
            assert track.last_seen == heard[-1].header.stamp


def test_marked_keyframes_as_they_are_wished_for(rig: Rig) -> None:
    from cc_ros.msg import MarkedKeyframes, MarkStyle
    from cc_ros.srv import GetKeyframes

    def get(**wish: Any) -> Any:
        response = rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request(**wish))
        assert response.success, response.message
        return response.keyframes

    four = get(frames=4, marks=2)
    assert len(four.keyframes) == 4
    assert len({mark.id for keyframe in four.keyframes for mark in keyframe.marks}) <= 2
    stamps = [k.header.stamp.sec + k.header.stamp.nanosec * 1e-9 for k in four.keyframes]
    assert stamps == sorted(stamps)
    picture = cv2.imdecode(np.frombuffer(four.keyframes[0].image.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (480, 640, 3)
    assert math.isnan(four.keyframes[0].marks[0].depth)

    raw = get(frames=1, style=MarkStyle(kind="raw"))
    assert not raw.keyframes[0].marks
    last = get(frames=64, last_seconds=0.5)
    assert last.keyframes[-1].index >= four.keyframes[-1].index
    assert len(last.keyframes) < 10
    styled = get(frames=1, style=MarkStyle(fill="blue", diameter=80, outline=MarkStyle.OFF))
    assert (styled.style.fill, styled.style.diameter, styled.style.outline) == ("blue", 80, MarkStyle.OFF)
    target = four.keyframes[-1].marks[0].id
    blurred = get(frames=1, blur_marks=[target], style=MarkStyle(kind="raw"))
    assert bytes(blurred.keyframes[0].image.data) != bytes(raw.keyframes[0].image.data)

    wrong = rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request(frames=65))
    assert not wrong.success
    assert "at most 64" in wrong.message
    heard = rig.look.listen(MarkedKeyframes, "cc/keyframes")
    newest = rig.look.listen(CompressedImage, "cc/marked_image/compressed")
    until(lambda: heard and newest, 10, "nothing was published for those who look on")
    assert len(heard[0].keyframes) == 8


def test_a_question_is_answered_by_the_model(rig: Rig) -> None:
    from cc_ros.srv import SpatialQuery

    rig.server.always(reply("a red box"))
    before = len(rig.server.received)
    response = rig.look.call(SpatialQuery, "cc/ask", SpatialQuery.Request(question="What is on the left?", frames=3))
    assert (response.status, response.answer, response.source) == (response.OK, "a red box", "model"), response.message
    request = rig.server.received[before]
    assert len(request.images) == 3
    assert response.usage.images == 3


def test_a_question_can_be_watched_and_cancelled(rig: Rig) -> None:
    from cc_ros.action import SpatialQuery

    from cc_ros.nodes.action_call import GoalClient

    client = GoalClient(rig.look.node, SpatialQuery, "cc/ask_with_feedback")
    until(client.server_is_ready, START)
    feedback: list[Any] = []

    def send(question: str) -> Any:
        goal = SpatialQuery.Goal(question=question)
        sent = client.send_goal_async(goal, feedback_callback=lambda m: feedback.append(m.feedback))
        until(sent.done)
        assert sent.result().accepted
        return sent.result()

    rig.server.always(Say(reply("the lamp by the window"), piece=4, pause=0.06))
    result = send("What is bright?").get_result_async()
    until(result.done)
    assert result.result().result.answer == "the lamp by the window"
    assert [f.stage for f in feedback if f.text]
    assert "queued" in {f.stage for f in feedback}

    rig.server.always(Hang())
    closed, count = rig.server.closed_early, len(rig.server.received)
    handle = send("Will this ever end?")
    until(lambda: len(rig.server.received) > count)
    handle.cancel_goal_async()
    result = handle.get_result_async()
    until(result.done, 5)
    assert result.result().result.status == SpatialQuery.Result.CANCELLED
    until(lambda: rig.server.closed_early > closed, 5, "the request to the model stayed open")
    rig.look.drop(client.destroy)


def test_reset_reaches_all_nodes_and_begins_a_new_episode(rig: Rig) -> None:
    from cc_ros.msg import TrackedMasks
    from cc_ros.srv import GetKeyframes

    episode = rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request()).keyframes.episode
    assert rig.look.call(Trigger, "cc/reset", Trigger.Request()).success

    def empty() -> bool:  # the first of three responses came back; the others may lag behind
        return not rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request()).success

    until(empty, 5)
    heard = rig.look.listen(TrackedMasks, "cc/masks")
    with rig.camera("jpeg", 5):
        until(lambda: heard, 10)
    assert heard[0].index == 0
    assert heard[0].episode != episode
    new = rig.look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request())
    assert new.keyframes.episode == heard[0].episode
    assert new.keyframes.frames_seen <= 5


def test_diagnostics_and_overlay(rig: Rig) -> None:
    diagnostics = rig.look.listen(DiagnosticArray, "/diagnostics")
    overlay = rig.look.listen(Image, "cc/overlay", qos=1)
    with rig.camera("jpeg", 8):
        until(lambda: overlay, 10)
    assert (overlay[0].encoding, overlay[0].width) == ("bgr8", 640)
    assert np.frombuffer(overlay[0].data, np.uint8).reshape(480, 640, 3).std() > 1

    def figures() -> dict[str, str]:
        return {v.key: v.value for m in diagnostics for s in m.status for v in s.values if s.name == "cc_tracker"}

    until(lambda: {s.name for m in diagnostics for s in m.status} == {node.name for node in NODES}, 10)
    until(lambda: int(figures().get("masks", 0)) > 90, 10)
    told = figures()
    assert int(told["images"]) >= int(told["masks"])
    assert float(told["ms_median"]) > 0

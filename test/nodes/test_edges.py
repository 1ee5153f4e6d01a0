"""Each node alone, in the test's own process but over real topics and services: bad input, bad times, lifecycle."""

from __future__ import annotations

import array
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
from cc_ros.msg import TrackedMasks
from cc_ros.srv import GetKeyframes, SpatialQuery
from geometry_msgs.msg import Quaternion
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.rig import Onlooker, image_of, scene, until
from support.single_node import SECOND, SMALL, T0, Start, alone, keyframes_of, masks_of, matched, send, small

from cc_ros.errors import SettingsError
from cc_ros.nodes.graph import explain_silence
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.tracker import TrackerNode


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts a node with ROS arguments, and brings it to active."""
    with alone() as begin:
        yield begin


def test_what_cannot_be_decoded_is_counted_and_the_stream_goes_on(start: Start) -> None:
    node, look = start(TrackerNode)
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = look.publisher(Image, "image")
    bad = [
        image_of(scene(0, *SMALL), T0, encoding="yuv411"),
        Image(encoding="bgr8"),
        Image(encoding="bgr8", width=10, height=10, step=30, data=array.array("B", b"x" * 5)),
        image_of(np.zeros((8, 8), np.uint16), T0, encoding="16UC1"),
    ]
    for count, message in enumerate(bad, 1):
        send(camera, message, lambda count=count: node.counters["bad_images"] == count)
    send(camera, small(0, T0), lambda: len(masks) == 1)
    send(camera, image_of(scene(1, 320, 240), T0 + SECOND // 15), lambda: len(masks) == 2)
    assert [(m.labels.width, m.labels.height) for m in masks] == [SMALL, (320, 240)]
    heat = np.linspace(7000, 7900, SMALL[0] * SMALL[1]).reshape(SMALL[::-1]).astype(np.uint16)
    send(camera, image_of(heat, T0 + SECOND // 5, encoding="16UC1"), lambda: len(masks) == 3)
    assert "holds depth, not a picture" in node._reasons["bad_images"]
    assert node.counters["errors"] == 0


def test_damaged_jpegs_are_counted_and_the_other_topic_is_heard_after_a_silence(start: Start) -> None:
    node, look = start(TrackerNode, "-p", "silence:=0.5")
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = look.publisher(CompressedImage, "image/compressed")
    whole = small(0, T0, compressed=True)
    cut = CompressedImage(header=whole.header, format="jpeg", data=whole.data[: len(whole.data) // 2])
    send(camera, cut, lambda: node.counters["bad_images"] == 1)
    send(camera, CompressedImage(format="jpeg"), lambda: node.counters["bad_images"] == 2)
    send(camera, whole, lambda: len(masks) == 1)
    raw = look.publisher(Image, "image")
    send(raw, small(1, T0 + SECOND), lambda: len(masks) == 2)


def test_time_that_stands_still_runs_late_or_jumps_back(start: Start) -> None:
    node, look = start(TrackerNode, "-p", "use_sim_time:=true")  # without a /clock, too, images are tracked
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = look.publisher(Image, "image")

    def step(index: int, stamp: int) -> None:
        before = len(masks)
        send(camera, small(index, stamp), lambda: len(masks) > before)

    step(0, T0)
    step(1, T0)
    assert node.counters["still_stamps"] == 1
    step(2, T0 + SECOND)
    send(camera, small(2, T0 + SECOND - 10**8), lambda: node.counters["late_images"] == 1)
    step(3, T0 + 2 * SECOND)
    assert len({m.episode for m in masks}) == 1
    assert [m.index for m in masks] == [0, 1, 2, 3]
    step(0, T0)
    assert masks[-1].episode != masks[-2].episode
    assert masks[-1].index == 0
    assert {t.id for t in masks[-1].tracks} == {t.id for t in masks[0].tracks}


def test_reset_begins_a_new_episode_also_with_images_under_way(start: Start) -> None:
    _node, look = start(TrackerNode, "-p", "queue:=100")
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = matched(look.publisher(Image, "image", reliable=True))
    for i in range(30):
        camera.publish(small(i, T0 + i * SECOND // 15))
    until(lambda: masks, 10)
    assert look.call(Trigger, "cc/reset", Trigger.Request()).success
    heard = len(masks)
    send(camera, small(31, T0 + 31 * SECOND // 15), lambda: masks[-1].episode != masks[0].episode)
    assert next(m.index for m in masks if m.episode == masks[-1].episode) == 0
    assert sum(m.episode == masks[0].episode for m in masks) <= heard + 1  # one may be in the tester's queue


def test_lifecycle_by_its_services_over_and_over(start: Start) -> None:
    _node, look = start(TrackerNode, "-p", "autostart:=false")
    masks = look.listen(TrackedMasks, "cc/masks")
    camera = look.publisher(Image, "image")

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return look.call(ChangeState, "cc_tracker/change_state", request).success

    def state() -> int:
        return look.call(GetState, "cc_tracker/get_state", GetState.Request()).current_state.id

    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    assert not camera.get_subscription_count()
    assert change(Transition.TRANSITION_CONFIGURE)
    for cycle in range(3):
        assert change(Transition.TRANSITION_ACTIVATE)
        assert state() == State.PRIMARY_STATE_ACTIVE
        send(camera, small(cycle, T0 + cycle * SECOND), lambda cycle=cycle: len(masks) == cycle + 1)
        assert change(Transition.TRANSITION_DEACTIVATE)
        until(lambda: not camera.get_subscription_count())
        assert not [t for t in threading.enumerate() if t.name == "cc_tracker"]
    assert len({m.episode for m in masks}) == 3
    assert look.call(Trigger, "cc/reset", Trigger.Request()).success
    assert change(Transition.TRANSITION_CLEANUP)
    assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_ACTIVATE)
    assert change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state() == State.PRIMARY_STATE_FINALIZED


def test_parameters_are_vetoed_with_a_reason(start: Start) -> None:
    node, look = start(TrackerNode, "-p", "silence:=3")  # a whole number does for a float
    assert node.get_parameter("silence").value == 3

    def change(name: str, **value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name=name, value=ParameterValue(**value))])
        return look.call(SetParameters, "cc_tracker/set_parameters", request).results[0]

    assert change("silence", type=ParameterType.PARAMETER_INTEGER, integer_value=7).successful
    for name, value, reason in (
        ("silence", {"type": ParameterType.PARAMETER_DOUBLE, "double_value": 0.1}, "silence"),
        ("silence", {"type": ParameterType.PARAMETER_STRING, "string_value": "long"}, "must be float"),
        ("backend", {"type": ParameterType.PARAMETER_STRING, "string_value": "magic"}, "one of auto, flow, sam2"),
        ("queue", {"type": ParameterType.PARAMETER_INTEGER, "integer_value": 0}, "queue"),
    ):
        result = change(name, **value)
        assert not result.successful
        assert reason in result.reason


@pytest.mark.parametrize(
    ("given", "told"),
    [("queue:=many", "queue"), ("queue:=0", "queue"), ("camera.transport:=pigeon", "raw, compressed")],
)
def test_a_wrong_parameter_at_start_is_named(start: Start, given: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"cc_tracker: parameter .*{told}"):
        start(TrackerNode, "-p", given)


def test_remapping_image_moves_its_compressed_topic_along(start: Start) -> None:
    for rules, expected in (
        (["image:=/cam/image_raw"], ["/cam/image_raw", "/cam/image_raw/compressed"]),
        (["image:=/cam/image_raw", "image/compressed:=/zip"], ["/cam/image_raw", "/zip"]),
        (["__ns:=/robot"], ["/robot/image", "/robot/image/compressed"]),
    ):
        node, _ = start(TrackerNode, *(item for rule in rules for item in ("-r", rule)))
        assert [topic for topic, _ in node._images.topics()] == expected


def test_two_robots_side_by_side(start: Start) -> None:
    _, first = start(TrackerNode, "-r", "__ns:=/one")
    _, second = start(TrackerNode, "-r", "__ns:=/two")
    heard = [look.listen(TrackedMasks, "cc/masks") for look in (first, second)]
    send(first.publisher(Image, "image"), small(0, T0), lambda: heard[0])
    assert not heard[1]
    send(second.publisher(Image, "image"), small(0, T0), lambda: heard[1])
    assert len(heard[0]) == 1


def test_silence_is_explained(start: Start) -> None:
    _, look = start(TrackerNode, "-r", "image:=/camera/image_raw")
    _, other = start(TrackerNode, "-r", "__ns:=/other")  # one participant cannot have two types on one topic
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    wanted = [("/camera/image_raw", "sensor_msgs/msg/Image")]
    assert "no image topic is published at all" in explain_silence(look.node, wanted, qos)[-1]
    look.publisher(Image, "/camera/color/image_raw")
    other.publisher(String, "/camera/image_raw")
    until(lambda: all(map(look.node.count_publishers, ("/camera/color/image_raw", "/camera/image_raw"))))

    def explained() -> str:
        return "\n".join(explain_silence(look.node, wanted, qos))

    until(lambda: "published by /other/tester as std_msgs/msg/String, wanted sensor_msgs/msg/Image" in explained())
    text = explained()
    assert "/camera/color/image_raw (sensor_msgs/msg/Image)" in text
    assert "image:=/camera/color/image_raw" in text
    text = "\n".join(explain_silence(look.node, [("/camera/color/image_raw", wanted[0][1])], qos))
    assert "its QoS cannot match" in text


def test_keyframes_know_calibration_depth_and_pose_where_there_are_any(start: Start) -> None:
    node, look = start(KeyframesNode, "-p", "camera.camera_z:=0.5")
    images = look.publisher(Image, "image")
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    bare = small(0, T0)
    send(images, bare, lambda: node._images)
    send(masks, masks_of(bare), lambda: keyframes_of(look).success)
    keyframe = keyframes_of(look).keyframes.keyframes[0]
    assert not keyframe.has_pose
    assert not any(keyframe.k)
    assert np.isnan(keyframe.marks[0].depth)
    assert keyframe.header == bare.header
    assert (keyframe.marks[0].id, keyframe.marks[0].area) == (3, 1600)

    stamp = T0 + SECOND
    picture = small(1, stamp)
    matched(look.publisher(CameraInfo, "camera_info")).publish(
        CameraInfo(width=320, height=240, k=np.array([200.0, 0, 160, 0, 200, 120, 0, 0, 1]))
    )
    depth = image_of(np.full((120, 160), 2500, np.uint16), stamp + 10**6, encoding="16UC1")
    matched(look.publisher(Image, "depth")).publish(depth)
    odometry = Odometry(header=image_of(scene(0, *SMALL), stamp).header)
    odometry.header.frame_id = "map"
    odometry.pose.pose.position.x = 2.0
    odometry.pose.pose.orientation = Quaternion(w=1.0)
    matched(look.publisher(Odometry, "odom")).publish(odometry)
    until(lambda: node._camera.world_frame and node._camera._info and node._camera._depths)
    images.publish(picture)
    until(lambda: stamp in node._images)
    send(masks, masks_of(picture, 1), lambda: keyframes_of(look).keyframes.frames_seen == 2)
    keyframe = keyframes_of(look).keyframes.keyframes[-1]
    assert keyframe.k[0] == 100
    assert keyframe.k[2] == 80
    assert keyframe.marks[0].depth == pytest.approx(2.5)
    assert (keyframe.pose.position.x, keyframe.pose.position.z, keyframe.world_frame) == (2.0, 0.5, "map")

    nan = Odometry(header=odometry.header)
    nan.pose.pose.orientation = Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)
    send(look.publisher(Odometry, "odom"), nan, lambda: node.counters["bad_odom"] == 1)


def test_masks_without_their_image_or_of_another_episode(start: Start) -> None:
    node, look = start(KeyframesNode)
    images = look.publisher(Image, "image")
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    send(masks, masks_of(small(0, T0)), lambda: node.counters["unmatched_masks"] == 1)
    first, second = small(0, T0), small(1, T0 + SECOND)
    for i, picture in enumerate((first, second)):
        images.publish(matched(images) and picture)
        until(lambda i=i: T0 + i * SECOND in node._images)
    send(masks, masks_of(first), lambda: keyframes_of(look).keyframes.frames_seen == 1)
    damaged = masks_of(second)
    damaged.labels.data = damaged.labels.data[:10]
    send(masks, damaged, lambda: node.counters["bad_frames"] == 1)
    send(masks, masks_of(second, 0, episode=6), lambda: keyframes_of(look).keyframes.episode == 6)
    assert keyframes_of(look).keyframes.frames_seen == 1
    look.call(Trigger, "cc/reset", Trigger.Request())
    assert not keyframes_of(look).success
    # the reset may reach this node after the first masks of the tracker's new episode
    images.publish(small(2, T0 + 2 * SECOND))
    until(lambda: T0 + 2 * SECOND in node._images)
    send(masks, masks_of(small(2, T0 + 2 * SECOND), 1, episode=6), lambda: keyframes_of(look).success)


def test_questions_end_when_the_reasoner_is_deactivated(start: Start) -> None:
    node, look = start(ReasonerNode)
    asked = look.call(SpatialQuery, "cc/ask", SpatialQuery.Request(question="How many marked objects are there?"))
    assert asked.status == asked.NO_KEYFRAMES
    assert "is cc_keyframes running?" in asked.message

    waiting, release = threading.Event(), threading.Event()

    def hang(request: Any, response: Any) -> Any:
        waiting.set()
        release.wait(30)
        return response

    with closing(Onlooker(node.context, "slow_keyframes")) as slow:
        slow.node.create_service(GetKeyframes, "cc/get_keyframes", hang)
        until(node._keyframes.service_is_ready)
        client = look.node.create_client(SpatialQuery, "cc/ask")
        future = client.call_async(SpatialQuery.Request(question="How many marked objects are there?"))
        until(waiting.is_set)
        node.stop_if_active()
        until(future.done, 5, "the question was not ended")
        release.set()
    assert future.result().status == asked.CLOSED
    assert look.call(SpatialQuery, "cc/ask", SpatialQuery.Request(question="x")).status == asked.CLOSED


def test_more_questions_than_threads_are_refused_at_once_and_block_nobody(start: Start) -> None:
    node, look = start(ReasonerNode, "-p", "max_parallel:=1", "-p", "max_queue:=0")
    release = threading.Event()

    def slow(request: Any, response: Any) -> Any:
        release.wait(30)
        response.message = "nothing yet"
        return response

    client = look.node.create_client(SpatialQuery, "cc/ask")
    request = SpatialQuery.Request(question="How many marked objects are there?")
    with closing(Onlooker(node.context, "slow_keyframes")) as keyframes:
        keyframes.node.create_service(GetKeyframes, "cc/get_keyframes", slow)
        until(lambda: node._keyframes.service_is_ready() and client.service_is_ready())
        futures = []
        for i in range(9):
            futures.append(client.call_async(request))
            until(lambda i=i: node.counters["questions"] == i + 1)
        refused = SpatialQuery.Response.QUEUE_FULL
        until(lambda: sum(f.done() for f in futures) == 4)
        assert {f.result().status for f in futures if f.done()} == {refused}
        release.set()
        until(lambda: all(f.done() for f in futures), 20, "some questions were not answered")
    assert {f.result().status for f in futures} == {refused, SpatialQuery.Response.NO_KEYFRAMES}


def test_a_callback_that_fails_does_not_silence_the_node(start: Start) -> None:
    node, look = start(KeyframesNode)

    def fail() -> None:
        raise ZeroDivisionError("a defect")

    node.create_timer(0.05, fail)
    until(lambda: node.counters["errors"] >= 2)
    assert keyframes_of(look).message.startswith("no frames yet")

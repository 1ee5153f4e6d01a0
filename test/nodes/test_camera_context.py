"""What is known about a picture besides its pixels: depth, calibration, pose, and what is said where they are amiss."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from support.rig import until
from tf2_msgs.msg import TFMessage

from cc_ros.frame import Distortion
from cc_ros.nodes.camera import CameraContext, CameraSettings
from cc_ros.nodes.depths import SPARE, DepthBuffer

SECOND = 1_000_000_000


class Told(Node):
    """Remembers what was counted and said."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("poses", context=context)
        self.counted: Counter[str] = Counter()
        self.texts: dict[str, str] = {}

    def count(self, what: str, by: int = 1) -> None:
        self.counted[what] += by

    def fault(self, kind: str, text: str) -> None:
        self.count(kind)
        self.texts[kind] = text

    remark = fault


def odometry(seconds: float, x: float) -> Odometry:
    message = Odometry()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.pose.pose.orientation.w = 1.0
    message.pose.pose.position.x = x
    return message


def depth_image(seconds: float, metres: float = 1.0, frame_id: str = "", width: int = 4, height: int = 4) -> Image:
    message = Image(height=height, width=width, encoding="16UC1", step=2 * width)
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.data = np.full((height, width), round(1000 * metres), np.uint16).tobytes()
    return message


def calibration(fx: float = 100.0, fy: float = 100.0, width: int = 64, height: int = 48) -> CameraInfo:
    return CameraInfo(width=width, height=height, k=[fx, 0.0, 32.0, 0.0, fy, 24.0, 0.0, 0.0, 1.0])


@contextmanager
def spoken(node: Node, publisher: Any) -> Iterator[Callable[..., None]]:
    """Yield what publishes messages, while the node's callbacks run."""
    executor, stop = SingleThreadedExecutor(context=node.context), threading.Event()
    executor.add_node(node)

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()

    def say(*messages: Any) -> None:
        until(publisher.get_subscription_count, 15)
        for message in messages:
            publisher.publish(message)

    try:
        yield say
    finally:
        stop.set()
        thread.join(10)
        executor.shutdown(5)


Make = Callable[..., CameraContext]


@pytest.fixture
def told() -> Iterator[Told]:
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    node = Told(context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def make(told: Told) -> Iterator[Make]:
    made: list[CameraContext] = []

    def begin(oldest_waiting: Callable[[], int | None] = lambda: None, **knobs: Any) -> CameraContext:
        made.append(CameraContext(told, CameraSettings(**knobs), oldest_waiting))
        return made[-1]

    yield begin
    for camera in made:
        camera.close()


def test_a_picture_waits_for_its_own_depth_and_takes_that_of_the_picture_before_only_if_it_does_not_come(
    make: Make,
) -> None:
    camera = make()
    assert camera.at(100 * SECOND, 4, 4, patience=60.0).depth is None, "no depth at all: nothing to wait for"
    camera._on_depth(depth_image(100.0, 1.0))
    late = threading.Timer(0.2, camera._on_depth, [depth_image(100.03, 2.0)])
    late.start()
    depth = camera.at(100 * SECOND + 30_000_000, 4, 4, patience=60.0).depth
    late.join()
    assert depth is not None and depth[0, 0] == 2.0
    begun = time.monotonic()
    depth = camera.at(100 * SECOND + 60_000_000, 4, 4, patience=0.05).depth
    assert depth is not None and depth[0, 0] == 2.0 and time.monotonic() - begun < 30


def test_a_recording_that_loops_replaces_the_poses_and_the_depth_of_the_lap_before(make: Make) -> None:
    camera = make()
    for i in range(20):
        camera._on_odom(odometry(100 + i / 10, x=1.0))
        camera._on_depth(depth_image(100 + i / 10, 1.0))
    for i in range(3):
        camera._on_odom(odometry(100 + i / 10, x=2.0))
        camera._on_depth(depth_image(100 + i / 10, 2.0))
    view = camera.at(100 * SECOND, 4, 4)
    assert view.pose is not None and view.pose[0, 3] == 2.0
    assert view.depth is not None and view.depth[0, 0] == 2.0
    view = camera.at(101 * SECOND, 4, 4)
    assert view.pose is None and view.depth is None, "of the lap before"


def test_depth_is_kept_for_as_long_as_an_image_waits_for_its_turn(make: Make, told: Told) -> None:
    waiting: list[int] = [10 * SECOND]
    camera = make(lambda: waiting[0] if waiting else None)
    for i in range(100):  # an image that waits is looked up a hundred images later
        camera._on_depth(depth_image(10 + i / 30, metres=1 + i / 10))
    for i in (0, 1, 50, 99):
        depth = camera.at(10 * SECOND + i * SECOND // 30, 4, 4).depth
        assert depth is not None and depth[0, 0] == pytest.approx(1 + i / 10)
    waiting.clear()
    camera._on_depth(depth_image(14.0))
    assert len(camera._depths._kept) == SPARE
    assert camera.at(10 * SECOND, 4, 4).depth is None
    assert told.counted == {"images_without_depth": 1}


def test_depth_that_must_make_room_is_counted() -> None:
    buffer = DepthBuffer(megabytes=0.1)
    dropped = [buffer.add(i * SECOND, depth_image(i, width=100, height=100), i, 0) for i in range(10)]
    assert dropped == [0] * 5 + [1] * 5  # five of 20,000 bytes fit


def test_only_depth_of_the_same_optical_frame_and_shape_is_used(make: Make, told: Told) -> None:
    camera = make()
    for i, (frame, size) in enumerate(
        [("left", (4, 4)), ("/colour", (4, 4)), ("", (2, 2)), ("colour", (8, 8)), ("colour", (8, 4))]
    ):
        camera._on_depth(depth_image(10 * i, 1.0, frame, *size))
        depth = camera.at(10 * i * SECOND, 4, 4, "colour").depth
        assert (depth is not None and depth.shape == (4, 4)) == (0 < i < 4), (frame, size)
    assert told.counted == {"depth_not_registered": 2}
    assert "8x4" in told.texts["depth_not_registered"]


def test_bad_calibration_is_refused_and_the_last_good_one_counts(make: Make, told: Told) -> None:
    camera = make()
    assert camera.at(0, 64, 48).intrinsics is None
    camera._on_info(calibration())
    for bad in (calibration(fy=0.0), calibration(fx=-1.0), calibration(fx=float("nan")), calibration(fy=float("inf"))):
        camera._on_info(bad)
    camera._on_info(CameraInfo(width=64, height=48))  # REP 104: not calibrated
    assert told.counted == {"bad_camera_info": 4, "uncalibrated_camera_info": 1}
    k = camera.at(0, 128, 96).intrinsics
    assert k is not None and (k[0, 0], k[1, 1], k[0, 2]) == (200.0, 200.0, 64.0)
    assert camera.at(0, 128, 72).intrinsics is None
    assert told.counted["camera_info_of_another_shape"] == 1
    camera._on_info(calibration(fx=50.0, width=0, height=0))  # for the images as they are
    k = camera.at(0, 128, 72).intrinsics
    assert k is not None and k[0, 0] == 50.0


def transform(parent: str, child: str, x: float) -> Any:
    pose = SimpleNamespace(
        translation=SimpleNamespace(x=x, y=0.0, z=0.0), rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)
    )
    return SimpleNamespace(header=SimpleNamespace(frame_id=parent), child_frame_id=child, transform=pose)


def test_where_the_camera_sits_is_told_or_said_to_be_unknown(make: Make, told: Told) -> None:
    camera = make()
    message = odometry(1.0, x=1.0)
    message.child_frame_id = "base"
    camera._on_odom(message)
    pose = camera.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == 1.0
    assert "no transform from 'base' to 'eye'" in told.texts["mounting_unknown"]
    camera._mounting.learn(SimpleNamespace(transforms=[transform("base", "neck", 0.5), transform("neck", "eye", 0.25)]))
    pose = camera.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == 1.75 and pose[0, 0] == 1.0
    given = make(camera_x=0.5)
    given._on_odom(message)
    pose = given.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == 1.5
    assert told.counted == {"mounting_unknown": 1}


def test_an_image_without_odometry_near_it_is_counted_where_odometry_comes(make: Make, told: Told) -> None:
    camera = make()
    assert camera.at(SECOND, 4, 4).pose is None
    assert not told.counted
    camera._on_odom(odometry(1.0, x=1.0))
    assert camera.at(5 * SECOND, 4, 4).pose is None
    assert told.counted == {"images_without_pose": 1}


def moving(parent: str, child: str, seconds: float, x: float) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.transform.translation.x, message.transform.rotation.w = x, 1.0
    return message


def links(*transforms: TransformStamped) -> TFMessage:
    return TFMessage(transforms=list(transforms))


def test_a_camera_that_moves_on_the_robot_is_followed_over_tf(make: Make, told: Told) -> None:
    camera = make()
    base = odometry(1.0, x=1.0)
    base.child_frame_id = "base"
    camera._on_odom(base)
    assert told.count_subscribers("/tf") == 0, "nothing needs it yet"
    camera._mounting.learn(links(moving("neck", "eye", 0.0, 0.25)))
    assert camera.at(SECOND, 4, 4, "eye").pose is not None and "mounting_unknown" in told.texts
    with spoken(told, told.create_publisher(TFMessage, "/tf", 10)) as say:
        say(links(moving("base", "neck", 0.9, 0.4)), links(moving("base", "neck", 1.1, 0.6)))

        def follows() -> bool:
            pose = camera.at(SECOND, 4, 4, "eye").pose
            return pose is not None and pose[0, 3] == pytest.approx(1.75)

        until(follows)
    base.header.stamp.sec = 9
    camera._on_odom(base)
    assert camera.at(9 * SECOND, 4, 4, "eye").pose is None, "no place of the neck is made up"
    assert "comes too late" in told.texts["images_without_mounting"]


def test_without_odometry_tf_tells_where_the_camera_is(make: Make, told: Told) -> None:
    camera = make()
    assert camera.at(SECOND, 4, 4, "eye").pose is None and not told.counted
    camera._mounting.learn(links(moving("base", "eye", 0.0, 0.25)))
    for seconds, x in ((0.95, 1.0), (1.05, 2.0)):
        camera._mounting.move(links(moving("map", "odom", seconds, 10.0), moving("odom", "base", seconds, x)))
    pose = camera.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == pytest.approx(1.75) and camera.world_frame == "odom"
    camera._on_odom(odometry(1.0, x=70.0))
    pose = camera.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == pytest.approx(1.75), "the frame of an episode does not change"
    assert camera.at(5 * SECOND, 4, 4, "eye").pose is None and "near an image" in told.texts["images_without_pose"]
    on_map = make(fixed_frame="map")
    on_map._on_odom(odometry(1.0, x=70.0))
    assert on_map.at(SECOND, 4, 4, "eye").pose is None and "join map" in told.texts["images_without_pose"]
    on_map._mounting = camera._mounting
    pose = on_map.at(SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == pytest.approx(11.75) and on_map.world_frame == "map"


def test_a_recording_that_loops_forgets_where_links_were(make: Make) -> None:
    camera = make()
    camera._mounting.move(links(moving("odom", "eye", 100.0, 1.0)))
    camera._mounting.move(links(moving("odom", "eye", 10.0, 2.0)))
    pose = camera.at(10 * SECOND, 4, 4, "eye").pose
    assert pose is not None and pose[0, 3] == 2.0
    assert camera.at(100 * SECOND, 4, 4, "eye").pose is None


def test_the_lens_is_that_of_the_pictures_topic(make: Make, told: Told) -> None:
    camera = make()
    message = calibration()
    message.distortion_model, message.d = "equidistant", [0.1, 0.0, 0.0, 0.0]
    camera._on_info(message)
    assert camera.at(0, 64, 48).distortion == Distortion("equidistant", (0.1, 0.0, 0.0, 0.0))
    message.distortion_model = "mirror"
    camera._on_info(message)
    assert "unknown distortion model 'mirror'" in told.texts["bad_camera_info"]
    assert camera.at(0, 64, 48).distortion is not None, "the last good one counts"

"""What is known about a picture besides its pixels: poses survive the start of an episode, not a jump back in time."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from cc_ros.nodes.camera import CameraContext, CameraSettings

SECOND = 1_000_000_000


def odometry(seconds: float, x: float) -> Odometry:
    message = Odometry()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.pose.pose.orientation.w = 1.0
    message.pose.pose.position.x = x
    return message


def depth_image(seconds: float, metres: float) -> Image:
    message = Image(height=4, width=4, encoding="16UC1", step=8)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.data = np.full((4, 4), round(1000 * metres), np.uint16).tobytes()
    return message


@pytest.fixture
def camera() -> Iterator[CameraContext]:
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    node = rclpy.create_node("poses", context=context)
    camera = CameraContext(node, CameraSettings(), lambda kind, text: None)
    yield camera
    camera.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_picture_waits_for_its_own_depth_and_takes_that_of_the_picture_before_only_if_it_does_not_come(
    camera: CameraContext,
) -> None:
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


def test_a_recording_that_loops_replaces_the_poses_of_the_lap_before(camera: CameraContext) -> None:
    for i in range(20):
        camera._on_odom(odometry(100 + i / 10, x=1.0))
    for i in range(3):
        camera._on_odom(odometry(100 + i / 10, x=2.0))
    pose = camera.at(100 * SECOND, 64, 48).pose
    assert pose is not None and pose[0, 3] == 2.0
    assert camera.at(101 * SECOND, 64, 48).pose is None, "of the lap before"

"""What is known about a picture besides its pixels: poses survive the start of an episode, not a jump back in time."""

import rclpy
from nav_msgs.msg import Odometry

from cc_ros.nodes.camera import CameraContext, CameraSettings

SECOND = 1_000_000_000


def odometry(seconds: float, x: float) -> Odometry:
    message = Odometry()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    message.pose.pose.orientation.w = 1.0
    message.pose.pose.position.x = x
    return message


def test_a_recording_that_loops_replaces_the_poses_of_the_lap_before() -> None:
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    node = rclpy.create_node("poses", context=context)
    try:
        camera = CameraContext(node, CameraSettings(), lambda kind, text: None)
        for i in range(20):
            camera._on_odom(odometry(100 + i / 10, x=1.0))
        for i in range(3):
            camera._on_odom(odometry(100 + i / 10, x=2.0))
        pose = camera.at(100 * SECOND, 64, 48).pose
        assert pose is not None and pose[0, 3] == 2.0
        assert camera.at(101 * SECOND, 64, 48).pose is None, "of the lap before"
        camera.close()
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)

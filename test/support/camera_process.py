"""A camera driver of its own process, best effort: ``python -m support.camera_process TOPIC raw|jpeg FRAMES HZ N``.

Waits for as many subscribers as given, publishes, prints ``published N``, and stays in the graph until a signal.
"""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from support.rig import image_of, scene


def main() -> None:
    topic, kind, frames, rate, subscribers = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    rclpy.init()
    node = rclpy.create_node("camera")
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(CompressedImage if kind == "jpeg" else Image, topic, qos)
    pictures = [image_of(scene(i), 0, kind == "jpeg") for i in range(frames)]
    deadline = time.monotonic() + 40
    while publisher.get_subscription_count() < subscribers and time.monotonic() < deadline:
        time.sleep(0.01)
    begun = time.monotonic()
    for i, picture in enumerate(pictures):
        picture.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(picture)
        time.sleep(max(0.0, begun + (i + 1) / rate - time.monotonic()))
    print("published", frames, flush=True)
    while rclpy.ok() and time.monotonic() < begun + 60:  # what was sent last is still on its way until a signal comes
        time.sleep(0.01)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()

"""One node in the test's own process, over real topics and services: what the tests of single nodes share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import rclpy
from cc_ros.msg import TrackedMasks
from cc_ros.srv import GetKeyframes
from nav_msgs.msg import Odometry

from cc_ros.dds import prepare
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.runtime import executor_of, spin
from cc_ros.nodes.tracker import TrackerNode
from support.rig import Onlooker, image_of, isolated, scene, until

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
SMALL = (160, 120)

Start = Callable[..., tuple[Any, Onlooker]]


@contextmanager
def alone() -> Iterator[Start]:
    """Yield what starts a node with ROS arguments, and brings it to active."""
    with ExitStack() as stack:
        stack.enter_context(isolated())
        prepare()

        def begin(kind: type[BaseNode], *arguments: str, activate: bool = True, **options: Any) -> tuple[Any, Onlooker]:
            context = rclpy.Context()
            rclpy.init(args=["--ros-args", *arguments], context=context)
            stack.callback(rclpy.shutdown, context=context)
            if issubclass(kind, TrackerNode):
                options["cli_args"] = ["--ros-args", "-p", "backend:=flow"]
            node = kind(context=context, **options)
            stack.callback(node.destroy_node)
            look = Onlooker(context)
            stack.callback(look.close)
            stack.enter_context(spinning(node))
            assert not activate or node.autostart()
            return node, look

        yield begin


@contextmanager
def spinning(node: BaseNode) -> Iterator[None]:
    """Run a node's callbacks as ``cc-ros up`` does."""
    stop, executor = threading.Event(), executor_of(node)
    thread = threading.Thread(target=spin, args=(node, executor, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        executor.create_task(lambda: None)  # wakes it
        thread.join(10)
        executor.shutdown(5)


def small(index: int, stamp: int, compressed: bool = False) -> Any:
    """Return a small image message."""
    return image_of(scene(index, *SMALL), stamp, compressed)


def matched(publisher: Any) -> Any:
    """Wait until somebody subscribes, and return the publisher."""
    until(publisher.get_subscription_count, 15, "the subscriber was not found")
    return publisher


def send(publisher: Any, message: Any, done: Callable[[], Any]) -> None:
    """Publish, and wait for what it leads to."""
    matched(publisher).publish(message)
    until(done, 10)


def odometry(stamp: int, x: float, y: float, world: str = "odom") -> Odometry:
    """Return a pose that looks along x (metres)."""
    message = Odometry(child_frame_id="base")
    message.header.frame_id = world
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
    message.pose.pose.position.x, message.pose.pose.position.y = x, y
    message.pose.pose.orientation.w = 1.0
    return message


def masks_of(message: Any, index: int = 0, episode: int = 5, labels: np.ndarray | None = None) -> TrackedMasks:
    """Return masks of an image; by default of a small one with one object."""
    if labels is None:
        labels = np.zeros((120, 160), np.uint16)
        labels[40:80, 60:100] = 3
    result = TrackedMasks(header=message.header, episode=episode, index=index)
    result.labels = image_of(labels, 0, encoding="16UC1")
    return result


def keyframes_of(look: Onlooker, **wish: Any) -> Any:
    """Ask for keyframes."""
    return look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request(**wish))

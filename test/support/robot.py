"""A robot in a known room: the reasoner node, and a stand-in for cc_keyframes that hands out what it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import rclpy
from cc_ros.msg import Keyframe, MarkedKeyframes
from cc_ros.srv import GetKeyframes
from std_msgs.msg import Header

from cc_ros.dds import prepare
from cc_ros.ground import Ground
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.nodes.alive import announce
from cc_ros.nodes.convert.grounds import ground_message
from cc_ros.nodes.convert.keyframes import keyframe_message
from cc_ros.nodes.reasoner import ReasonerNode
from support.marked_scene import looking, see
from support.model_server import ModelServer
from support.rig import START, Onlooker, until
from support.single_node import spinning

FLOOR = Ground(np.zeros((200, 300), np.int8), 0.05, (-3.0, -5.0), floor=0.0)  # all of it is free
ROOM = {1: (2.8, 1.0, 0.5), 2: (2.0, 0.0, 0.7), 3: (9.0, -1.4, 1.0)}


@contextmanager
def robot(server: ModelServer) -> Iterator[Onlooker]:
    """Run it in this process, and yield the node of the stand-in."""
    prepare()
    context = rclpy.Context()
    settings = (f"base_url:={server.base_url}", "cache_seconds:=0", "prefer:=geometry")
    rclpy.init(args=["--ros-args", *(word for one in settings for word in ("-p", one))], context=context)
    node = ReasonerNode(context=context)
    look = Onlooker(context, "cc_keyframes")

    def give(request: GetKeyframes.Request, response: GetKeyframes.Response) -> GetKeyframes.Response:
        response.keyframes = seen(request.frames)
        response.grounds = [ground_message(FLOOR, "odom")]
        response.success = True
        return response

    kept = [announce(look.node, "cc/get_keyframes"), look.node.create_service(GetKeyframes, "cc/get_keyframes", give)]
    try:
        with spinning(node):
            assert node.autostart()
            until(node._keyframes.service_is_ready, START)
            yield look
    finally:
        look.close()
        node.destroy_node()
        rclpy.shutdown(context=context)
        kept.clear()


def seen(frames: int = 0) -> MarkedKeyframes:
    """Return the newest keyframes of the room, three by default."""
    pan = see([looking(0, 0, 10), looking(0, 0, 0), looking(0, 0, -10)], ROOM, depth=True)
    return MarkedKeyframes(keyframes=[_message(frame) for frame in pan[-(frames or 3) :]])


def _message(frame: MarkedKeyframe) -> Keyframe:
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = divmod(round(frame.stamp * 1e9), 10**9)
    return keyframe_message(replace(frame, world_frame="odom"), header)

"""Publishes where things are, for people to look at and for other nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from cc_ros.nodes.base_node import STEADY, BaseNode
from cc_ros.nodes.convert.markers import detections_message, markers_message
from cc_ros.place import Place

PERIOD = 1.0  # seconds: many objects without depth take a good part of it


class MarkerOutput:
    """Markers on ``cc/markers``, and where vision_msgs is installed, detections on ``cc/detections``.

    Both only while somebody subscribes.

    :param places: returns the place of each track.
    :param header: returns the fixed frame and the time of the newest frame; its frame is empty where there is none.
    """

    def __init__(self, node: BaseNode, places: Callable[[], Mapping[int, Place]], header: Callable[[], Header]) -> None:
        self._node = node
        self._places = places
        self._header = header
        self._goal: PoseStamped | None = None
        self._markers = node.create_publisher(MarkerArray, "cc/markers", QoSProfile(depth=1))
        self._detections: Any = None
        if find_spec("vision_msgs") is not None:
            from vision_msgs.msg import Detection3DArray

            self._detections = node.create_publisher(Detection3DArray, "cc/detections", QoSProfile(depth=1))
        self._listener = node.create_subscription(PoseStamped, "cc/goal", self._on_goal, QoSProfile(depth=1))
        self._timer = node.create_timer(PERIOD, self._publish, node.background, STEADY)

    def _on_goal(self, message: PoseStamped) -> None:
        self._goal = message

    def clear(self) -> None:
        """Forget the goal: a new episode."""
        self._goal = None

    def _publish(self) -> None:
        header = self._header()
        wanted = [p for p in (self._markers, self._detections) if p is not None and p.get_subscription_count()]
        if not wanted or not header.frame_id:
            return
        places, goal = self._places(), self._goal
        for publisher in wanted:
            if publisher is self._markers:
                at = goal.pose if goal is not None and goal.header.frame_id == header.frame_id else None
                publisher.publish(markers_message(places, header, at))
            else:
                publisher.publish(detections_message(places, header))

    def close(self) -> None:
        """Stop publishing."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._listener)
        for publisher in filter(None, (self._markers, self._detections)):
            self._node.destroy_publisher(publisher)

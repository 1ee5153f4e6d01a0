"""Places of objects as what RViz and Foxglove show, and as 3-D detections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cc_ros.keyframes.drawing import colour
from cc_ros.nodes.convert.places import point_message
from cc_ros.nodes.convert.poses import pose_message
from cc_ros.place import Place

THINNEST = 0.02  # metres: a box that is flat is drawn all the same
NUMBER = 0.18  # metres, height of the digits


def markers_message(places: Mapping[int, Place], header: Header, goal: Pose | None = None) -> MarkerArray:
    """Return boxes, numbers, ellipsoids of two standard deviations, and the goal; whatever was drawn before goes.

    What moved has a fainter box.

    :param header: of the fixed frame.
    :param goal: where the robot was sent last, in that frame.
    """
    shown = [Marker(header=header, action=Marker.DELETEALL)]
    for id, place in sorted(places.items()):
        blue, green, red = (channel / 255 for channel in colour("by_id", id))
        middle = np.eye(4)
        middle[:3, 3] = (place.low + place.high) / 2
        box = _marker(header, "boxes", id, Marker.CUBE, pose_message(middle), np.maximum(place.size, THINNEST))
        box.color = ColorRGBA(r=red, g=green, b=blue, a=0.35 if place.is_static else 0.12)
        axes, way = np.linalg.eigh(place.covariance)
        way[:, 0] *= np.sign(np.linalg.det(way))  # a rotation, no reflection
        turned = np.eye(4)
        turned[:3, :3], turned[:3, 3] = way, place.point
        spread = _marker(header, "uncertainty", id, Marker.SPHERE, pose_message(turned), 4 * np.sqrt(axes))
        spread.color = ColorRGBA(r=red, g=green, b=blue, a=0.25)
        top = np.eye(4)
        top[:3, 3] = (*middle[:2, 3], place.high[2] + NUMBER)
        number = _marker(header, "numbers", id, Marker.TEXT_VIEW_FACING, pose_message(top), np.full(3, NUMBER))
        number.text, number.color = str(id), ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        shown += [box, spread, number]
    if goal is not None:
        arrow = _marker(header, "goals", 0, Marker.ARROW, goal, np.array([0.5, 0.06, 0.06]))
        arrow.color = ColorRGBA(r=0.1, g=0.9, b=0.2, a=1.0)
        shown.append(arrow)
    return MarkerArray(markers=shown)


def _marker(header: Header, namespace: str, id: int, kind: int, pose: Pose, size: np.ndarray) -> Marker:
    x, y, z = map(float, size)
    return Marker(header=header, ns=namespace, id=id, type=kind, pose=pose, scale=Vector3(x=x, y=y, z=z))


def detections_message(places: Mapping[int, Place], header: Header) -> Any:
    """Return the places as a ``vision_msgs/Detection3DArray``; the class of an object is not known, its id is.

    :raises ImportError: vision_msgs is not installed.
    """
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    found = Detection3DArray(header=header)
    for id, place in sorted(places.items()):
        seen = ObjectHypothesisWithPose()
        seen.hypothesis.score = 1.0
        seen.pose.pose.position, seen.pose.pose.orientation.w = point_message(place.point), 1.0
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = place.covariance
        seen.pose.covariance = covariance.ravel()
        detection = Detection3D(header=header, results=[seen], id=str(id))
        detection.bbox.center.position, detection.bbox.center.orientation.w = (
            point_message((place.low + place.high) / 2),
            1.0,
        )
        detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = map(float, place.size)
        found.detections.append(detection)
    return found

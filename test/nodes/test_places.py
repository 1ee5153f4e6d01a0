"""Where things are, from sensor topics to the marks of keyframes and to what RViz shows, over real topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
import yaml
from cc_ros.msg import TrackedMasks
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support.rig import ROOT, image_of, until
from support.single_node import SECOND, T0, Start, alone, keyframes_of, masks_of, matched, odometry, small
from visualization_msgs.msg import Marker, MarkerArray

from cc_ros.nodes.convert.keyframes import to_keyframe
from cc_ros.nodes.convert.markers import markers_message
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.place import Place


@pytest.fixture
def start() -> Iterator[Start]:
    with alone() as begin:
        yield begin


def test_an_object_has_a_place_in_its_marks_and_in_markers_of_the_fixed_frame(start: Start) -> None:
    node, look = start(KeyframesNode, "-p", "camera.camera_z:=1.0", "-p", "publish_period:=60.0")
    info, image, depth, odom, masks, goal = (
        matched(look.publisher(kind, topic, reliable=True))
        for kind, topic in (
            (CameraInfo, "camera_info"),
            (Image, "image"),
            (Image, "depth"),
            (Odometry, "odom"),
            (TrackedMasks, "cc/masks"),
            (PoseStamped, "cc/goal"),
        )
    )
    info.publish(CameraInfo(width=160, height=120, k=[100.0, 0, 80, 0, 100, 60, 0, 0, 1]))
    until(lambda: node._camera._info is not None)
    for i in range(3):
        stamp = T0 + i * SECOND // 5
        odom.publish(odometry(stamp, 0.1 * i, 0.0))
        picture = small(i, stamp)
        deep = np.full((120, 160), 2100 - 100 * i, np.uint16)  # an object before a wall
        deep[40:80, 60:100] = 2000 - 100 * i
        depth.publish(image_of(deep, stamp, encoding="16UC1"))
        image.publish(picture)
        until(lambda: node._images and node._camera._depths.reaches(stamp) and node._camera.world_frame)  # noqa: B023
        masks.publish(masks_of(picture, i))
        until(lambda: node._keyframes.store.frames_seen == i + 1)  # noqa: B023
    until(lambda: node._places.places().get(3) is not None and node._places.places()[3].views == 3)
    answer = keyframes_of(look)
    (mark,) = to_keyframe(answer.keyframes.keyframes[-1]).marks
    assert mark.place is not None and mark.place.views == 3 and mark.place.is_static
    assert mark.place.point == pytest.approx([2.0, 0.0, 1.0], abs=0.1)
    assert answer.keyframes.keyframes[-1].world_frame == "odom"
    goal.publish(PoseStamped(header=Header(frame_id="odom")))
    until(lambda: node._markers._goal is not None)
    shown = look.listen(MarkerArray, "cc/markers")
    until(lambda: shown, 15, "no markers although somebody subscribes")
    kinds = {(m.ns, m.id) for m in shown[-1].markers if m.action == Marker.ADD}
    assert kinds == {("boxes", 3), ("numbers", 3), ("uncertainty", 3), ("goals", 0)}
    assert {m.header.frame_id for m in shown[-1].markers} == {"odom"}
    assert shown[-1].markers[0].action == Marker.DELETEALL


def test_markers_draw_the_box_and_two_standard_deviations() -> None:
    turned = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    covariance = turned @ np.diag([0.25, 0.01, 0.04]) @ turned.T
    low, high = np.array([1.0, 2, 0]), np.array([2.0, 4, 0.0])
    place = Place(np.array([1.5, 3, 0]), covariance, low, high, False, 4)
    _, box, spread, number = markers_message({7: place}, Header(frame_id="map")).markers
    assert (box.scale.x, box.scale.y, box.scale.z) == (1.0, 2.0, 0.02), "what is flat is drawn as well"
    assert (box.pose.position.x, box.pose.position.y) == (1.5, 3.0)
    assert number.text == "7" and number.type == Marker.TEXT_VIEW_FACING
    lengths = np.array([spread.scale.x, spread.scale.y, spread.scale.z])
    assert np.sort(lengths) == pytest.approx([0.4, 0.8, 2.0])
    q = spread.pose.orientation
    assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1.0)
    from scipy.spatial.transform import Rotation

    axes = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    assert axes @ np.diag((lengths / 4) ** 2) @ axes.T == pytest.approx(covariance, abs=1e-9)


def test_layouts_of_rviz_and_foxglove_name_what_the_node_publishes() -> None:
    rviz = yaml.safe_load((ROOT / "config" / "cc.rviz").read_text())
    displays = {one["Name"]: one for one in rviz["Visualization Manager"]["Displays"]}
    assert displays["Objects"]["Topic"]["Value"] == "cc/markers"
    place = Place(np.zeros(3), np.eye(3), np.zeros(3), np.ones(3), True, 4)
    drawn = markers_message({1: place}, Header(), PoseStamped().pose).markers
    assert {m.ns for m in drawn if m.ns} == set(displays["Objects"]["Namespaces"])
    layout = json.loads((ROOT / "config" / "cc_foxglove.json").read_text())
    assert "/cc/markers" in layout["configById"]["3D!ccplaces"]["topics"]
    assert set(_panels(layout["layout"])) == set(layout["configById"])


def test_layout_of_foxglove_looks_at_a_room_around_the_start() -> None:
    layout = json.loads((ROOT / "config" / "cc_foxglove.json").read_text())
    view = layout["configById"]["3D!ccplaces"]["cameraState"]
    assert view["thetaOffset"] == 90  # what lies ahead is above
    tilt = np.radians(view["phi"])
    ahead, up = np.array([np.sin(tilt), 0, -np.cos(tilt)]), np.array([np.cos(tilt), 0, np.sin(tilt)])
    eye = np.array(view["targetOffset"]) - view["distance"] * ahead
    corners = np.array([(x, y, 0.0) for x in (-2.5, 2.5) for y in (-2.5, 2.5)]) - eye
    seen = np.column_stack([corners[:, 1], corners @ up]) / (corners @ ahead)[:, None]
    assert np.all(np.abs(seen) < np.tan(np.radians(view["fovy"] / 2)))


def _panels(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        yield from _panels(layout["first"])
        yield from _panels(layout["second"])


def test_detections_where_vision_msgs_is_installed() -> None:
    pytest.importorskip("vision_msgs")
    from cc_ros.nodes.convert.markers import detections_message

    place = Place(np.array([1.0, 2, 3]), np.diag([0.1, 0.2, 0.3]), np.zeros(3), np.array([1.0, 2, 4]), True, 4)
    (found,) = detections_message({9: place}, Header(frame_id="odom")).detections
    assert found.id == "9" and found.header.frame_id == "odom"
    assert (found.bbox.size.x, found.bbox.size.y, found.bbox.size.z) == (1.0, 2.0, 4.0)
    assert found.results[0].pose.pose.position.z == 3.0 and found.results[0].pose.covariance[7] == 0.2

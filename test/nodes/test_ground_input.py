"""The keyframe node tells what is known of the ground: by depth, and by a map or costmap in the odometry's frame."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from cc_ros.msg import TrackedMasks
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from support.rig import image_of, until
from support.room import Box, draw, looking
from support.single_node import SECOND, T0, alone, keyframes_of, matched

from cc_ros.geometry.poses import OPTICAL_IN_BODY
from cc_ros.ground import FREE, TAKEN, Ground
from cc_ros.nodes.convert.grounds import ground_message, to_ground
from cc_ros.nodes.convert.poses import pose_message
from cc_ros.nodes.keyframes import KeyframesNode

CRATE = Box((1.2, -0.4, 0.0), (1.8, 0.4, 0.8), (30, 40, 200))


def test_a_map_and_what_depth_shows_come_with_the_keyframes() -> None:
    frame, which = draw([CRATE], looking((0, 0, 1.2), 0.0, -0.45))
    assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
    height, width = which.shape
    with alone() as start:
        node, look = start(KeyframesNode)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        maps = look.node.create_publisher(OccupancyGrid, "map", latched)
        odometry = look.publisher(Odometry, "odom")
        infos, depths = look.publisher(CameraInfo, "camera_info"), look.publisher(Image, "depth")
        images, masks = look.publisher(Image, "image"), look.publisher(TrackedMasks, "cc/masks", reliable=True)

        def see(stamp: int) -> None:
            image = image_of(frame.image, stamp)
            place = Odometry()
            place.header.stamp, place.header.frame_id = image.header.stamp, "odom"
            place.pose.pose = pose_message(frame.pose @ np.linalg.inv(OPTICAL_IN_BODY))
            seen, wanted = node._keyframes.store.frames_seen, node._camera
            matched(odometry).publish(place)
            matched(infos).publish(CameraInfo(width=width, height=height, k=frame.intrinsics.ravel()))
            matched(depths).publish(image_of(np.round(1000 * frame.depth).astype(np.uint16), stamp, encoding="16UC1"))
            until(lambda: wanted.at(stamp, width, height).depth is not None)
            until(lambda: wanted.at(stamp, width, height).intrinsics is not None)
            until(lambda: wanted.at(stamp, width, height).pose is not None)
            matched(images).publish(image)
            until(lambda: stamp in node._images)
            result = TrackedMasks(header=image.header, episode=5)
            result.labels = image_of(which.astype(np.uint16), 0, encoding="16UC1")
            matched(masks).publish(result)
            until(lambda: node._keyframes.store.frames_seen > seen)

        def grounds() -> list[Ground]:
            return [to_ground(message) for message in keyframes_of(look).grounds]

        see(T0)
        (seen,) = grounds()
        assert seen.at(np.array([(0.75, 0.0), (1.22, 0.0)])).tolist() in ([FREE, TAKEN], [-1, TAKEN])
        assert seen.floor == pytest.approx(0, abs=0.05)

        elsewhere = Ground(np.full((40, 40), TAKEN, np.int8), 0.05, (-1.0, -1.0))
        matched(maps).publish(ground_message(elsewhere, "map"))
        until(lambda: node._ground._map is not None)
        assert len(grounds()) == 1
        assert "'map'" in node.remarks["map_in_another_frame"]
        matched(maps).publish(ground_message(elsewhere, "odom"))
        until(lambda: node._ground._map[1] == "odom")
        _, given = grounds()
        assert given.at(np.array([(0.0, 0.0)]))[0] == TAKEN and np.isnan(given.floor)

        maps.publish(OccupancyGrid())
        until(lambda: node.counters["bad_maps"])
        assert len(grounds()) == 2  # the one before stays
        node.new_episode()
        see(T0 + SECOND)
        assert len(grounds()) == 2

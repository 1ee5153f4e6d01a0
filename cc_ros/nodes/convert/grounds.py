"""What is known of the ground, as occupancy grids."""

from __future__ import annotations

import math
from array import array

import numpy as np
from nav_msgs.msg import OccupancyGrid

from cc_ros.geometry import GeometryError
from cc_ros.ground import Ground
from cc_ros.nodes.convert.poses import pose_message, to_pose

MOST_CELLS = 16_000_000  # of a grid: 200 m by 200 m in cells of 5 cm
UPRIGHT = 0.999  # cosine to the vertical that the axis of a grid needs


def ground_message(ground: Ground, frame: str) -> OccupancyGrid:
    """Return a ground as a message without a stamp; the height of its origin is the floor's, NaN = unknown."""
    message = OccupancyGrid()
    message.header.frame_id = frame
    message.info.resolution = ground.resolution
    message.info.height, message.info.width = ground.cells.shape
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(ground.yaw), -math.sin(ground.yaw)], [math.sin(ground.yaw), math.cos(ground.yaw)]]
    message.info.origin = pose_message(pose)
    message.info.origin.position.x, message.info.origin.position.y = ground.origin
    message.info.origin.position.z = ground.floor
    message.data = array("b", ground.cells.tobytes())
    return message


def to_ground(message: OccupancyGrid) -> Ground:
    """Return the ground of a message.

    :raises GeometryError: it is empty, too large, not as long as it says, or does not lie level.
    """
    info = message.info
    size = info.height, info.width
    if not 0 < size[0] * size[1] <= MOST_CELLS or len(message.data) != size[0] * size[1]:
        raise GeometryError(f"a grid of {size[1]} x {size[0]} cells holds {len(message.data)} of them")
    if not 0 < info.resolution < math.inf:
        raise GeometryError(f"the cells of a grid cannot be {info.resolution} m wide")
    floor, info.origin.position.z = info.origin.position.z, 0.0
    try:
        pose = to_pose(info.origin)
    finally:
        info.origin.position.z = floor
    if pose[2, 2] < UPRIGHT:
        raise GeometryError("the grid does not lie level")
    cells = np.array(message.data, np.int8).reshape(size)
    yaw = math.atan2(pose[1, 0], pose[0, 0])
    return Ground(cells, info.resolution, (float(pose[0, 3]), float(pose[1, 3])), yaw, floor)

"""Poses, and the calibration of a camera."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose
from sensor_msgs.msg import CameraInfo

from cc_ros.frame import Distortion
from cc_ros.geometry.camera import calibration, check_intrinsics
from cc_ros.geometry.poses import camera_pose


def to_pose(message: Pose) -> np.ndarray:
    """Return a pose as a 4x4 matrix.

    :raises GeometryError: it is not finite, or its quaternion is none.
    """
    place, turn = message.position, message.orientation
    return camera_pose((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w), np.eye(4))


def pose_message(pose: np.ndarray) -> Pose:
    """Return a 4x4 pose as a message."""
    from scipy.spatial.transform import Rotation

    message = Pose()
    message.position.x, message.position.y, message.position.z = map(float, pose[:3, 3])
    x, y, z, w = map(float, Rotation.from_matrix(pose[:3, :3]).as_quat())
    message.orientation.x, message.orientation.y, message.orientation.z, message.orientation.w = x, y, z, w
    return message


def to_calibration(message: CameraInfo, topic: str = "") -> tuple[np.ndarray, Distortion | None] | None:
    """Return a camera's matrix, 3x3 in pixels of ``width`` x ``height``, and the distortion of its lens.

    None where it is not calibrated (REP 104: ``k`` is zero).

    :param topic: of the pictures; those of rectified ones tell it by their name.
    :raises GeometryError: a number is not finite, a focal length not positive, or the lens of an unknown kind.
    """
    if not any(message.k):
        return None
    matrix, distortion = calibration(message.k, message.p, message.distortion_model, message.d, topic)
    return check_intrinsics(matrix), distortion

"""Where the camera sits on the robot, as a user gives it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from cc_ros.geometry.poses import OPTICAL_IN_BODY
from cc_ros.settings import knob

_metres, _radians = partial(knob, 0.0, ge=-100.0, le=100.0), partial(knob, 0.0, ge=-7.0, le=7.0)


@dataclass(frozen=True)
class MountingSettings:
    """Pose of the camera in base_link, by REP 103, and the frame in which the robot moves."""

    camera_x: float = _metres("camera in base_link: forward, in m; all six 0 = as tf says")
    camera_y: float = _metres("camera in base_link: left, in m")
    camera_z: float = _metres("camera in base_link: up, in m")
    camera_roll: float = _radians("camera in base_link: about x, in rad")
    camera_pitch: float = _radians("camera in base_link: about y, positive looks down, in rad")
    camera_yaw: float = _radians("camera in base_link: about z, positive looks left, in rad")
    fixed_frame: str = knob(
        "", "frame of poses and places, by tf, such as map; empty = that of the odometry, and without any odom or map"
    )

    def base_to_camera(self) -> np.ndarray | None:
        """Return the 4x4 pose of the optical frame in base_link, or None where it is not given."""
        place = self.camera_x, self.camera_y, self.camera_z
        angles = [self.camera_yaw, self.camera_pitch, self.camera_roll]
        if not any((*place, *angles)):
            return None
        from scipy.spatial.transform import Rotation

        body = np.eye(4)
        body[:3, :3] = Rotation.from_euler("ZYX", angles).as_matrix()
        body[:3, 3] = place
        return body @ OPTICAL_IN_BODY

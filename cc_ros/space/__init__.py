"""From a mark in a picture to a bearing and a point in the world."""

from cc_ros.space.camera import GeometryError, back_project, bearings
from cc_ros.space.poses import PoseTrack, camera_pose, interpolate_pose
from cc_ros.space.scene import Azimuth, Place, SceneMap, Sighting
from cc_ros.space.triangulate import Point

__all__ = [
    "Azimuth",
    "GeometryError",
    "Place",
    "Point",
    "PoseTrack",
    "SceneMap",
    "Sighting",
    "back_project",
    "bearings",
    "camera_pose",
    "interpolate_pose",
]

"""From a mark in a picture to a bearing and a point in the world."""

from cc_ros.geometry.camera import GeometryError, back_project, bearings
from cc_ros.geometry.poses import PoseTrack, camera_pose, interpolate_pose
from cc_ros.geometry.scene import Azimuth, Place, SceneMap, Sighting
from cc_ros.geometry.triangulate import Point

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

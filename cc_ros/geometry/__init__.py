"""From a mark in a picture to a bearing and a point in the world."""

from cc_ros.geometry.camera import GeometryError, back_project, bearings
from cc_ros.geometry.places import Place
from cc_ros.geometry.poses import PoseTrack, camera_pose, interpolate_pose
from cc_ros.geometry.scene import Azimuth, SceneMap, Sighting, Whereabouts
from cc_ros.geometry.triangulate import Point

__all__ = [
    "Azimuth",
    "GeometryError",
    "Place",
    "Point",
    "PoseTrack",
    "SceneMap",
    "Sighting",
    "Whereabouts",
    "back_project",
    "bearings",
    "camera_pose",
    "interpolate_pose",
]

"""Camera poses from odometry, and poses in between."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.geometry import GeometryError, PoseTrack, camera_pose, interpolate_pose
from cc_ros.geometry.poses import rotation_from_quaternion

ANGLE = st.floats(-math.pi, math.pi)
PART = st.floats(-1, 1)


def turned(axis: np.ndarray, angle: float) -> np.ndarray:
    """The 4x4 pose of a body at the origin, turned about an axis."""
    unit = axis / np.linalg.norm(axis)
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quaternion([*(unit * math.sin(angle / 2)), math.cos(angle / 2)])
    return pose


def test_a_body_that_looks_along_x_has_a_camera_whose_axis_is_x() -> None:
    pose = camera_pose((1, 2, 3), (0, 0, 0, 1))
    right, down, forward = pose[:3, 0], pose[:3, 1], pose[:3, 2]
    np.testing.assert_allclose((forward, right, down), ((1, 0, 0), (0, -1, 0), (0, 0, -1)), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], (1, 2, 3))


def test_a_body_turned_left_has_a_camera_that_looks_left() -> None:
    pose = camera_pose((0, 0, 0), (0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)))
    np.testing.assert_allclose(pose[:3, 2], (0, 1, 0), atol=1e-12)


def test_a_mounted_camera_moves_with_its_body() -> None:
    mount = camera_pose((0.1, 0, 0.5), (0, 0, 0, 1))  # optical frame 10 cm ahead of and 50 cm above base_link
    pose = camera_pose((2, 0, 0), (0, 0, 1, 0), base_to_camera=mount)  # the body looks back
    np.testing.assert_allclose(pose[:3, 3], (1.9, 0, 0.5), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 2], (-1, 0, 0), atol=1e-12)


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (0, 0, math.nan, 1), (0, 0, 1)])
def test_an_unset_orientation_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="quaternion"):
        camera_pose((0, 0, 0), quaternion)


def test_a_position_that_is_not_finite_is_refused() -> None:
    with pytest.raises(GeometryError, match="position"):
        camera_pose((0, math.inf, 0), (0, 0, 0, 1))


@given(axis=st.tuples(PART, PART, PART).filter(lambda a: np.linalg.norm(a) > 0.1), angle=ANGLE, part=st.floats(0, 1))
def test_a_turn_is_made_at_an_even_rate(axis: tuple[float, ...], angle: float, part: float) -> None:
    start = turned(np.array([0.3, -0.2, 0.9]), 0.7)
    end = start @ turned(np.array(axis), angle)
    between = interpolate_pose(start, end, part)
    if abs(angle) < math.pi - 1e-3:
        np.testing.assert_allclose(between, start @ turned(np.array(axis), angle * part), atol=1e-5)
    np.testing.assert_allclose(between[:3, :3] @ between[:3, :3].T, np.eye(3), atol=1e-6)


def test_where_nothing_turned_the_pose_stays_whatever_the_heading() -> None:
    for heading in np.linspace(0, 2 * math.pi, 500):
        pose = camera_pose((1, 2, 0), (0, 0, math.sin(heading / 2), math.cos(heading / 2)))
        np.testing.assert_allclose(interpolate_pose(pose, pose, 0.5), pose, atol=1e-12)


def test_half_a_turn_ends_where_it_should() -> None:
    for axis in np.eye(3):
        end = turned(axis, math.pi)
        np.testing.assert_allclose(interpolate_pose(np.eye(4), end, 1.0), end, atol=1e-6)


def test_poses_are_found_between_and_near_their_stamps_only() -> None:
    track = PoseTrack(max_gap=0.2)
    for stamp, x in ((1.1, 1.0), (1.0, 0.0), (5.0, 9.0)):  # out of order
        pose = np.eye(4)
        pose[0, 3] = x
        track.add(stamp, pose)
    found = [track.at(stamp) for stamp in (1.05, 0.9, 1.2, 4.9)]
    assert [None if p is None else round(float(p[0, 3]), 6) for p in found] == [0.5, 0.0, 1.0, 9.0]
    assert track.at(0.7) is None
    assert track.at(3.0) is None
    track.clear()
    assert track.at(1.05) is None


def test_a_pose_track_keeps_only_the_newest() -> None:
    track = PoseTrack(size=10)
    for stamp in range(100):
        track.add(float(stamp), np.eye(4))
    assert track.at(89.0) is None
    assert track.at(90.0) is not None

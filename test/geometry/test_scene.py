"""Where marks are: points from depth or parallax, bearings from a pan, and nothing where nothing is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.marked_scene import INTRINSICS, keyframe, looking, see

from cc_ros.geometry import GeometryError, SceneMap, back_project, bearings

WALK = [looking(0.3 * i, -0.4 * i, 10 * i) for i in range(5)]
ROOM = {1: (4.0, 0.5, 1.2), 2: (5.0, -0.3, 0.6)}


@given(st.floats(0, 639), st.floats(0, 479), st.floats(0.1, 50))
def test_a_point_projects_back_to_its_pixel(x: float, y: float, depth: float) -> None:
    point = back_project(np.array([[x, y]]), np.array([depth]), INTRINSICS)[0]
    u, v, w = INTRINSICS @ point
    np.testing.assert_allclose((u / w, v / w, w), (x, y, depth), rtol=1e-9, atol=1e-9)
    bearing = bearings(np.array([[x, y]]), INTRINSICS)[0]
    np.testing.assert_allclose(bearing, point / np.linalg.norm(point), atol=1e-12)


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.eye(4), np.full((3, 3), np.nan), np.diag([-1.0, 1, 1])])
def test_a_camera_matrix_that_is_none_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        bearings(np.array([[1.0, 2.0]]), matrix)


@pytest.mark.parametrize(("depth", "source", "within"), [(True, "depth", 0.01), (False, "parallax", 0.05)])
def test_a_walking_camera_finds_where_the_marks_are(depth: bool, source: str, within: float) -> None:
    scene = SceneMap.from_keyframes(see(WALK, ROOM, depth=depth))
    for id, place in ROOM.items():
        found = scene.places[id]
        assert found.source == source
        assert found.point is not None
        assert np.linalg.norm(found.point.xyz - place) < within
        assert 0 < found.point.sigma < 1


def test_a_camera_that_only_turns_gives_bearings_and_no_points() -> None:
    scene = SceneMap.from_keyframes(see([looking(0, 0, a) for a in (20, 0, -20)], ROOM))
    assert scene.stands_still
    assert all(place.point is None for place in scene.places.values())
    azimuth = scene.azimuth(1, np.array([0.0, 0.0, 1.0]))
    assert azimuth is not None
    assert azimuth.angle == pytest.approx(math.atan2(0.5, 4.0), abs=1e-6)


def test_a_bearing_is_not_used_from_another_place() -> None:
    scene = SceneMap.from_keyframes(see([looking(0, 0, 0), looking(0.02, 0, 5)], ROOM))
    assert scene.azimuth(1, np.array([0.0, 3.0, 0.0])) is None


def test_without_a_pose_there_is_neither_point_nor_bearing() -> None:
    scene = SceneMap.from_keyframes(see(WALK, ROOM, depth=True, pose=False))
    assert scene.here is None
    assert scene.places[1].point is None
    assert scene.azimuth(1, np.zeros(3)) is None


def test_an_object_that_moved_has_no_one_place() -> None:
    frames = see(WALK[:2], {1: (4, 0.5, 1)}, depth=True) + [
        dataclasses.replace(frame, index=9, stamp=9.0 + i)
        for i, frame in enumerate(see(WALK[:2], {1: (4, -2.0, 1)}, depth=True))
    ]
    assert SceneMap.from_keyframes(frames).places[1].point is None


def test_rays_that_miss_each_other_give_no_point() -> None:
    frames = see(WALK, {1: (4, 0.5, 1.2)})
    wandering = [
        dataclasses.replace(frame, marks=tuple(dataclasses.replace(m, y=m.y + 90 * (-1) ** i) for m in frame.marks))
        for i, frame in enumerate(frames)
    ]
    assert SceneMap.from_keyframes(wandering).places[1].point is None


def test_one_cut_off_sighting_does_not_spoil_a_point() -> None:
    frames = see(WALK, {1: (4, 0.5, 1.2)})
    last = frames[-1]
    frames[-1] = dataclasses.replace(last, marks=(dataclasses.replace(last.marks[0], x=last.marks[0].x + 120),))
    found = SceneMap.from_keyframes(frames).places[1].point
    assert found is not None
    assert np.linalg.norm(found.xyz - (4, 0.5, 1.2)) < 0.1


@pytest.mark.parametrize("depth", [False, True])
def test_a_corner_of_an_object_is_not_its_place(depth: bool) -> None:
    frames = see(WALK, {1: (4, 0.5, 1.2)}, depth=depth)
    last = frames[-1]
    frames[-1] = dataclasses.replace(last, marks=(dataclasses.replace(last.marks[0], x=0.0, y=0.0, area=20),))
    found = SceneMap.from_keyframes(frames).places[1].point
    assert found is not None
    assert np.linalg.norm(found.xyz - (4, 0.5, 1.2)) < 0.05


def test_keyframes_come_in_any_order() -> None:
    frames = see(WALK, ROOM, depth=True)
    scene = SceneMap.from_keyframes(reversed(frames))
    assert [frame.stamp for frame in scene.keyframes] == sorted(frame.stamp for frame in frames)
    assert scene.here is frames[-1].pose


def test_pictures_know_their_marks() -> None:
    scene = SceneMap.from_keyframes([keyframe(0, {1: (5, 6)}), keyframe(1, {1: (7, 8), 2: (9, 9)}), keyframe(2, {})])
    assert scene.ids == (1, 2)
    assert scene.pictures_with(1) == [0, 1]
    assert scene.pictures_with(1, 2) == [1]

"""Left and right, near and far: measured where that can be done, unknown where it cannot, never guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.marked_scene import keyframe, looking, see

from cc_ros.geometry import SceneMap, relations
from cc_ros.geometry.outcome import Measured, Unknown
from cc_ros.geometry.queries import View
from cc_ros.keyframes.types import MarkedKeyframe


def around(*headings: float) -> dict[int, tuple[float, float, float]]:
    """Objects 3 m from the origin at these headings in degrees, ids from 1."""
    return {
        id: (3 * math.cos(math.radians(h)), 3 * math.sin(math.radians(h)), 1.0)
        for id, h in enumerate(headings, start=1)
    }


def pan(*headings: float) -> list[np.ndarray]:
    """A camera at the origin that looks in these directions in turn."""
    return [looking(0, 0, heading) for heading in headings]


def side(frames: Sequence[MarkedKeyframe], a: int, b: int) -> str:
    """left, right or unknown."""
    found = relations.side(SceneMap.from_keyframes(frames), a, b)
    return "unknown" if isinstance(found, Unknown) else "left" if found.value > 0 else "right"


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("pose", [False, True])
@pytest.mark.parametrize("intrinsics", [False, True])
def test_a_pan_orders_marks_that_no_picture_shows_together(reverse: bool, pose: bool, intrinsics: bool) -> None:
    """The question that the SOT benchmark asks: it must not matter which way the camera turned."""
    headings = (60, 40, 20, 0, -20, -40, -60)
    frames = see(
        pan(*(reversed(headings) if reverse else headings)),
        around(70, 55, 40, 25, 10, -5, -20, -35, -50, -65),
        pose=pose,
        intrinsics=intrinsics,
    )
    assert side(frames, 1, 10) == "left"
    assert side(frames, 10, 1) == "right"


def test_one_shared_mark_does_not_prove_a_pan() -> None:
    frames = see(pan(30, 0, -30), around(45, 15, -15, -45), pose=False)
    assert all(len({m.id for m in a.marks} & {m.id for m in b.marks}) == 1 for a, b in pairwise(frames))
    assert side(frames, 1, 4) == "unknown"


def test_a_camera_that_moves_sideways_is_not_taken_for_one_that_turns() -> None:
    objects = {1: (2.0, 1.0, 1.0), 2: (6.0, 0.5, 1.0), 3: (2.2, -0.8, 1.0), 4: (6.0, -4.0, 1.0)}
    frames = see([looking(0, 0.5, 0), looking(0, -1.5, 0)], objects, pose=False)
    assert {m.id for m in frames[0].marks} & {m.id for m in frames[1].marks} >= {2, 3}
    assert side(frames, 1, 4) == "unknown"


def test_pictures_that_contradict_each_other_tell_nothing() -> None:
    frames = [keyframe(0, {1: (100, 200), 2: (400, 200)}), keyframe(1, {1: (400, 200), 2: (100, 200)})]
    assert side(frames, 1, 2) == "unknown"


def test_marks_in_line_are_neither_left_nor_right() -> None:
    assert side(see(pan(0), {1: (2, 0.02, 1), 2: (5, 0, 1)}), 1, 2) == "unknown"


def test_a_pan_of_more_than_half_a_turn_has_no_left_and_right_across_it() -> None:
    frames = see(pan(110, 60, 20, -20, -60, -110), around(110, 60, 20, -20, -60, -110))
    assert side(frames, 1, 6) == "unknown"
    assert side(frames, 1, 3) == "left"


def test_left_and_right_are_those_of_where_the_robot_is_now() -> None:
    objects = {1: (4.0, 1.0, 1.0), 2: (4.0, -1.0, 1.0)}
    there = [looking(0, y, 0) for y in (-0.8, 0, 0.8)]
    behind_them = looking(8, 0, 180)
    assert side(see(there, objects), 1, 2) == "left"
    assert side(see([*there, behind_them], objects), 1, 2) == "right"


def test_pictures_from_elsewhere_do_not_tell_left_and_right_here() -> None:
    objects = {1: (4.0, 1.0, 1.0), 2: (4.0, -1.0, 1.0)}
    assert side(see([looking(0, 0, 0), looking(8, 0, 0)], objects), 1, 2) == "unknown"


def test_somebody_who_faces_the_camera_sees_it_the_other_way_round() -> None:
    objects = {1: (4.0, 1.5, 1.0), 2: (4.0, -1.5, 1.0), 3: (7.0, 0.0, 1.0), 4: (1.5, 0.0, 1.0)}
    scene = SceneMap.from_keyframes(see([looking(0, y, 0) for y in (-1, 0, 1)], objects, depth=True))
    here = relations.side(scene, 1, 2)
    there = relations.side(scene, 1, 2, View(3, 4))
    assert isinstance(here, Measured) and isinstance(there, Measured)
    assert here.value > 0 > there.value
    to_the_right = relations.side(scene, 1, None, View(3, 4))
    assert isinstance(to_the_right, Measured) and to_the_right.value < 0


def test_a_viewpoint_needs_places() -> None:
    scene = SceneMap.from_keyframes(see(pan(10, 0, -10), around(10, 0, -10)))
    found = relations.side(scene, 1, None, View(2, 3))
    assert isinstance(found, Unknown) and "marks 1, 2, 3" in found.reason


def test_distances_are_measured() -> None:
    scene = SceneMap.from_keyframes(see(pan(0), {1: (3.0, 1.0, 1.0), 2: (3.0, -1.0, 1.0)}, depth=True))
    apart, away = relations.distance(scene, 1, 2), relations.distance_from_robot(scene, 1)
    assert isinstance(apart, Measured) and isinstance(away, Measured)
    assert apart.value == pytest.approx(2.0, abs=1e-6)
    assert away.value == pytest.approx(math.hypot(3, 1), abs=1e-6)


def test_a_depth_in_the_newest_picture_is_enough_for_a_distance() -> None:
    newest = SceneMap.from_keyframes(see(pan(0), {1: (3.0, 1.0, 1.0)}, depth=True, pose=False))
    away = relations.distance_from_robot(newest, 1)
    assert isinstance(away, Measured) and away.value == pytest.approx(math.hypot(3, 1), abs=1e-6)
    older = SceneMap.from_keyframes(see(pan(0, 120), {1: (3.0, 1.0, 1.0)}, depth=True, pose=False))
    assert isinstance(relations.distance_from_robot(older, 1), Unknown)


PLACE = st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.floats(0.2, 2.5))


@given(PLACE, PLACE, st.floats(-180, 180))
def test_if_one_is_left_the_other_is_right_whichever_way_the_world_is_turned(
    a: tuple[float, float, float], b: tuple[float, float, float], world: float
) -> None:
    turn = looking(0, 0, world, z=0.0) @ np.linalg.inv(looking(0, 0, 0, z=0.0))
    poses = [looking(0, 0, heading) for heading in range(0, 360, 30)]
    frames = see(poses, {1: a, 2: b}, depth=True)
    seen = {mark.id for frame in frames for mark in frame.marks}
    assume(seen == {1, 2})
    turned = see(
        [turn @ pose for pose in poses],
        {id: tuple((turn @ [*place, 1.0])[:3]) for id, place in ((1, a), (2, b))},  # type: ignore[misc]
        depth=True,
    )
    opposite = {"left": "right", "right": "left", "unknown": "unknown"}
    assert side(frames, 1, 2) == opposite[side(frames, 2, 1)]
    first, second = (relations.side(SceneMap.from_keyframes(kept), 1, 2) for kept in (frames, turned))
    if isinstance(first, Measured) and isinstance(second, Measured):
        assert first.value == pytest.approx(second.value, abs=1e-6)

"""Goals: free, reachable, before the edge and facing the object, or refused with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.room import Box, draw, looking

from cc_ros.geometry.bodies import Body
from cc_ros.geometry.goals import GoalRules, Stand, stand_before
from cc_ros.geometry.ground_seen import SeenGround
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.ground import FREE, TAKEN, UNKNOWN, Ground

HERE = np.array([0.0, 0.0])
RULES = GoalRules()
TABLE = ((2.0, -0.5, 0.0), (3.0, 0.5, 0.7))


def body(
    low: Sequence[float],
    high: Sequence[float],
    id: int = 1,
    sigma: float = 0.05,
    seen_from: tuple[float, float] = (0.0, 0.0),
) -> Body:
    corners = np.array(low, float), np.array(high, float)
    return Body(id, (corners[0] + corners[1]) / 2, sigma, *corners, True, 0.0, np.array([seen_from]))


def room(*walls: tuple[float, float, float, float], value: int = FREE, floor: float = math.nan) -> Ground:
    """A map of 12 m by 12 m around the origin with rectangles (x, y, x, y) that hold something."""
    cells = np.full((240, 240), value, np.int8)
    for x0, y0, x1, y1 in walls:
        (c0, r0), (c1, r1) = (
            np.floor((np.array(corner) + 6) / 0.05 + 1e-6).astype(int) for corner in ((x0, y0), (x1, y1))
        )
        cells[r0 : r1 + 1, c0 : c1 + 1] = TAKEN
    return Ground(cells, 0.05, (-6.0, -6.0), floor=floor)


def goal(target: Body, *grounds: Ground, things: Sequence[Body] = (), rules: GoalRules = RULES) -> Stand:
    found = stand_before(target, things, HERE, grounds, rules)
    assert isinstance(found, Stand), found
    return found


def refused(target: Body, *grounds: Ground, things: Sequence[Body] = ()) -> Unknown:
    found = stand_before(target, things, HERE, grounds, RULES)
    assert isinstance(found, Unknown), found
    return found


def gap(stand: Stand, ground: Ground) -> float:
    """How far a goal is from the nearest edge of a cell that holds something, exactly."""
    cosine, sine = math.cos(ground.yaw), math.sin(ground.yaw)
    off = np.array([stand.x, stand.y]) - ground.taken()
    inside = np.abs(off @ np.array([[cosine, -sine], [sine, cosine]])) - ground.resolution / 2
    return float(np.linalg.norm(np.maximum(inside, 0), axis=1).min(initial=math.inf))


def test_it_is_the_nearest_place_so_far_from_the_edge_and_faces_the_object() -> None:
    found = goal(body(*TABLE), room())
    assert (found.x, found.y, found.yaw) == pytest.approx((1.2, 0, 0), abs=0.06)
    nearer = goal(body(*TABLE), room(), rules=GoalRules(distance=0.5))
    assert nearer.x == pytest.approx(1.5, abs=0.06)


def test_where_the_nearest_place_is_taken_another_side_is() -> None:
    found = goal(body(*TABLE), room((1.0, -0.4, 1.9, 0.9)))
    assert body(*TABLE).away(np.array([found.x, found.y])) == pytest.approx(0.8, abs=0.06)
    assert found.yaw == pytest.approx(math.atan2(-found.y, 2.5 - found.x)) and abs(found.y) > 0.5


def test_a_robot_that_is_there_already_only_turns() -> None:
    near = body((0.6, 0.3, 0), (1.0, 0.7, 1))
    assert goal(near, room()) == Stand(0.0, 0.0, pytest.approx(math.atan2(0.5, 0.8)))


def test_a_place_behind_a_wall_is_no_goal() -> None:
    table, wall = body(*TABLE, seen_from=(2.5, 3.0)), room((1.0, -5.9, 1.05, 5.9))
    assert "no free way" in refused(table, wall).reason
    door = room((1.0, -5.9, 1.05, -2.6), (1.0, -1.8, 1.05, 5.9))
    assert goal(table, door).x > 1.3
    narrow = room((1.0, -5.9, 1.05, -2.5), (1.0, -2.1, 1.05, 5.9))
    assert "no free way" in refused(table, narrow).reason
    picture = body((1.9, -0.2, 1.3), (1.95, 0.2, 1.7))  # on the near side of a wall, in which is a door
    assert goal(picture, room((1.95, -5.9, 2.0, 1.0), (1.95, 2.0, 2.0, 5.9))).x < 1.9


def test_what_stands_against_a_thin_wall_is_not_gone_to_from_behind_the_wall() -> None:
    shelf = body((1.1, -1.0, 0), (1.4, 0.2, 1.8), seen_from=(1.9, 1.6))  # through the door
    wall = room((1.0, -5.9, 1.05, 1.0), (1.0, 2.0, 1.05, 5.9))
    for here in (HERE, np.array([0.5, -0.4])):  # the other is near the shelf already
        found = stand_before(shelf, [], here, [wall], RULES)
        assert isinstance(found, Stand) and found.x > 1.3
    free = goal(shelf, room())  # from behind it, where nothing is between
    assert free.x < 1.1


def test_what_was_seen_through_a_door_is_not_gone_to_from_beside_the_door() -> None:
    plant, wall = body((1.3, 1.6, 0), (1.6, 1.9, 1), seen_from=(-0.5, -0.5)), (1.0, 1.5, 1.05, 5.9)
    found = stand_before(plant, [], np.array([-0.5, 1.6]), [room((1.0, -5.9, 1.05, 0.5), wall)], RULES)
    assert isinstance(found, Stand)
    slope = (1.6 - found.y) / (1.3 - found.x)
    assert found.x > 1.1 or 0.5 < found.y + (1.05 - found.x) * slope < 1.5


def test_what_is_lower_may_stand_between_as_a_sofa_below_a_picture() -> None:
    sofa, picture = body((2.0, -1.0, 0), (2.9, 1.0, 0.8), id=2), body((2.9, -0.4, 1.3), (2.95, 0.4, 1.7))
    seen = room((2.95, -5.9, 3.0, 5.9), (2.0, -1.0, 2.9, 1.0))
    found = goal(picture, seen, things=[sofa, picture])
    assert found.x < 1.76 and abs(found.y) < 0.5  # before the sofa, not beside it


@pytest.mark.parametrize(
    ("target", "grounds", "cause", "why"),
    [
        (body(*TABLE, sigma=0.5), [room()], Cause.UNCERTAIN, "uncertain by 1.0 m, more than goals allow (0.8 m)"),
        (body(*TABLE, sigma=math.nan), [room()], Cause.UNCERTAIN, "uncertain"),
        (body((1, -1, 0), (3, 1, 0.02)), [room(floor=0.0)], Cause.NO_GOAL, "floor or a rug"),
        (body((3, -3, 0), (3.1, 3, 2.5)), [room()], Cause.NO_GOAL, "is a wall"),
        (body(*TABLE), [], Cause.NO_DEPTH, "it takes depth or a map"),
        (body(*TABLE), [room((-5.9, -5.9, 5.9, 5.9))], Cause.NO_GOAL, "nothing before mark 1 is free"),
        (body(*TABLE), [room(value=UNKNOWN)], Cause.NO_GOAL, "nothing before mark 1 is free"),
    ],
)
def test_a_goal_is_refused_with_the_reason(target: Body, grounds: list[Ground], cause: Cause, why: str) -> None:
    found = refused(target, *grounds)
    assert found.cause is cause and why in found.reason


def test_a_tall_thing_that_is_no_wall_has_a_goal() -> None:
    assert isinstance(goal(body((2, -1, 0), (2.3, 1, 2.1)), room()), Stand)


@st.composite
def scenes(draw_: st.DrawFn) -> tuple[Body, list[Body], Ground]:
    """Things and a turned map, the robot anywhere relative to them."""
    number = st.floats(-4, 4)
    size = st.floats(0.1, 1.5)

    def thing(id: int) -> Body:
        x, y, wide, deep = draw_(number), draw_(number), draw_(size), draw_(size)
        return body((x, y, 0), (x + wide, y + deep, 1), id)

    seed, share = draw_(st.integers(0, 2**16)), draw_(st.floats(0, 0.01))
    resolution = draw_(st.sampled_from([0.03, 0.05, 0.1, 0.25]))
    count = int(12 / resolution)
    cells = np.where(np.random.default_rng(seed).random((count, count)) < share, TAKEN, FREE).astype(np.int8)
    yaw, floor = draw_(st.floats(-3, 3)), math.nan
    corner = -6 * math.sqrt(2) * np.array([math.cos(yaw + math.pi / 4), math.sin(yaw + math.pi / 4)])
    return thing(1), [thing(2), thing(3)], Ground(cells, resolution, (corner[0], corner[1]), yaw, floor)


@settings(max_examples=40)
@given(scenes(), st.floats(0.1, 0.6), st.floats(0.0, 1.5))
def test_no_goal_is_within_the_radius_of_anything_known(
    seen: tuple[Body, list[Body], Ground], radius: float, distance: float
) -> None:
    target, others, ground = seen
    found = stand_before(target, others, HERE, [ground], GoalRules(distance, radius))
    if isinstance(found, Unknown):
        return
    place = np.array([found.x, found.y])
    assert gap(found, ground) >= radius
    assert target.away(place) >= radius
    assert all(other.away(place) >= radius for other in others if other.away(HERE) > 0)
    assert ground.at(place[None])[0] == FREE


# -- the ground as depth shows it


def look_around(
    *boxes: Box, places: Sequence[tuple[float, float]] = ((0, -2), (0, 0)), smeared: bool = False
) -> SeenGround:
    seen = SeenGround()
    for stamp, (place, yaw) in enumerate(
        (place, yaw) for place in places for yaw in np.arange(0, 2 * np.pi, np.pi / 5)
    ):
        frame, _ = draw(list(boxes), looking((*place, 1.2), float(yaw), -0.45))
        assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
        mean = cv2.blur(frame.depth, (5, 5))
        edge = np.abs(mean - frame.depth) > 0.1  # as depth cameras have them
        assert seen.add(float(stamp), np.where(smeared & edge, mean, frame.depth), frame.intrinsics, frame.pose)
    return seen


CRATE = Box((1.2, -0.4, 0.0), (1.8, 0.4, 0.8), (30, 40, 200))


def test_depth_shows_floor_and_walls_and_what_stands_there() -> None:
    ground = look_around(CRATE).ground()
    assert ground is not None and ground.floor == pytest.approx(0, abs=0.03)
    points = np.array([(0.8, 0.0), (0.0, 1.0), (1.22, 0.0), (1.5, 0.0), (2.98, 0.8), (9.0, 0.0)])
    assert ground.at(points).tolist() == [FREE, FREE, TAKEN, TAKEN, TAKEN, UNKNOWN]


def test_floor_that_was_seen_from_afar_has_no_holes() -> None:
    seen = SeenGround()
    frame, _ = draw([], looking((-2.5, 0, 1.2), 0.0))
    assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
    seen.add(0.0, frame.depth, frame.intrinsics, frame.pose)
    ground = seen.ground()
    assert ground is not None
    x, y = np.meshgrid(np.arange(-0.45, 1.95, 0.05), np.arange(-0.5, 0.5, 0.05))
    assert (ground.at(np.column_stack([x.ravel(), y.ravel()])) == FREE).all()


def test_what_floats_between_the_two_sides_of_an_edge_takes_no_room() -> None:
    ground = look_around(CRATE, smeared=True).ground()
    assert ground is not None
    taken = ground.taken()
    crate = np.linalg.norm(taken - np.clip(taken, CRATE.low[:2], CRATE.high[:2]), axis=1)
    in_the_open = (crate > 0.2) & (np.abs(taken).max(axis=1) < 2.8)
    assert not in_the_open.any(), taken[in_the_open]


def test_what_went_away_is_forgotten_once_something_is_seen_through_it() -> None:
    seen = look_around(CRATE, places=((0, 0),))
    frame, _ = draw([], looking((0, 0, 1.2), 0.0, -0.45), 100.0)
    assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
    blind = np.full_like(frame.depth, np.nan)
    seen.add(99.0, blind, frame.intrinsics, frame.pose)
    known = seen.ground()
    assert known is not None and known.at(np.array([(1.22, 0.0)]))[0] == TAKEN  # nothing was seen
    seen.add(100.0, frame.depth, frame.intrinsics, frame.pose)
    known = seen.ground()
    assert known is not None and known.at(np.array([(1.22, 0.0)]))[0] == FREE
    seen.clear()
    assert seen.ground() is None


def test_images_that_come_too_fast_are_left_out_and_time_that_runs_backwards_is_not() -> None:
    frame, _ = draw([], looking((0, 0, 1.2), 0.0))
    assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
    seen, known = SeenGround(), (frame.depth, frame.intrinsics, frame.pose)
    assert [seen.add(stamp, *known) for stamp in (5.0, 5.1, 5.4, 1.0)] == [True, False, True, True]


def test_a_robot_that_goes_far_keeps_what_is_around_it() -> None:
    seen = SeenGround()
    frame, _ = draw([CRATE], looking((0, 0, 1.2), 0.0, -0.45))
    assert frame.depth is not None and frame.intrinsics is not None and frame.pose is not None
    for step in range(0, 30, 2):
        moved = frame.pose.copy()
        moved[0, 3] += step
        seen.add(float(step), frame.depth, frame.intrinsics, moved)
    ground = seen.ground()
    assert ground is not None
    assert ground.at(np.array([(28 + 1.22, 0.0), (1.22, 0.0)])).tolist() == [TAKEN, UNKNOWN]


def test_the_part_around_a_place_says_the_same() -> None:
    whole = room((1.0, 1.0, 1.4, 2.0))
    turned = Ground(whole.cells, 0.05, (0.3, -0.2), 0.7)
    for ground in (whole, turned):
        middle = ground.taken().mean(axis=0)
        part = ground.around((float(middle[0]), float(middle[1])), 1.0)
        assert part.cells.size < ground.cells.size / 10
        points = middle + np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
        assert part.at(points).tolist() == ground.at(points).tolist()
        assert whole.around((50.0, 50.0), 1.0).cells.size == 0

"""Queries against plain NumPy: what is told is true, in any room and however the robot stands; the rest is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.known_room import ROOM, scene
from support.marked_scene import keyframe, looking, see

from cc_ros.geometry import GeometryError, SceneMap
from cc_ros.geometry.evaluate import Found, evaluate
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.geometry.queries import (
    Bearing,
    Beside,
    Between,
    Condition,
    Coordinates,
    Count,
    Distance,
    Extreme,
    GoTo,
    Is,
    ListMarks,
    Nearer,
    Order,
    Query,
    Relation,
    Same,
    Side,
    Sorting,
    TurnTo,
    View,
    Where,
    Which,
    Within,
    marks_in,
)

Places = dict[int, np.ndarray]
Eye = tuple[np.ndarray, np.ndarray]
"""where an observer is, and the horizontal unit vector along which he looks"""


def eye(places: Places, here: np.ndarray, view: View) -> Eye:
    at = here[:3, 3] if view.at is None else places[view.at]
    look = here[:2, 2]
    if view.facing is not None:
        look = places[view.facing][:2] - at[:2]
    if view.back is not None:
        look = at[:2] - places[view.back][:2]
    return at, look / max(float(np.linalg.norm(look)), 1e-9)


def cross(a: np.ndarray, b: np.ndarray) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def true_condition(places: Places, here: np.ndarray, mark: int, condition: Condition, view: View) -> bool:  # noqa: PLR0911
    """The definitions in their plainest words."""
    at, look = eye(places, here, view)
    p = places[mark]
    away = lambda id, of: float(np.linalg.norm(places[id] - (at if of is None else places[of])))  # noqa: E731
    match condition:
        case Beside("left" | "right" as relation, of):
            turn = cross(look if of is None else places[of][:2] - at[:2], p[:2] - at[:2])
            return (turn > 0) == (relation == "left")
        case Beside("front" | "behind" as relation, None):
            return (float(look @ (p[:2] - at[:2])) > 0) == (relation == "front")
        case Beside("front" | "behind" as relation, int(of)):
            deeper = float(look @ (p[:2] - places[of][:2])) > 0
            assert deeper == (away(mark, None) > away(of, None))  # else it should not have been told
            return deeper == (relation == "behind")
        case Beside(relation, of):
            return (p[2] > (at if of is None else places[of])[2]) == (relation == "above")
        case Within(metres, of, beyond):
            return (away(mark, of) <= metres) != beyond
        case Nearer(than, of, farther):
            return (away(mark, of) < away(than, of)) != farther
        case Between(a, b):
            way = places[b][:2] - places[a][:2]
            along = float(way @ (p[:2] - places[a][:2])) / float(way @ way)
            return 0 < along < 1 and abs(cross(way, p[:2] - places[a][:2])) < 0.5 * float(way @ way)
    raise AssertionError(condition)


def sorts_before(sorting: Sorting, of: int | None) -> Callable[[int], Condition]:
    conditions: dict[Sorting, Callable[[int], Condition]] = {
        "leftmost": lambda b: Beside("left", b),
        "rightmost": lambda b: Beside("right", b),
        "nearest": lambda b: Nearer(b, of),
        "farthest": lambda b: Nearer(b, of, farther=True),
        "highest": lambda b: Beside("above", b),
        "lowest": lambda b: Beside("below", b),
    }
    return conditions[sorting]


def check(query: Query, found: Found, places: Places, here: np.ndarray) -> None:
    """Assert that an answer is true."""

    def holds(mark: int, condition: Condition) -> bool:
        return true_condition(places, here, mark, condition, query.view)  # type: ignore[union-attr]

    match query:
        case Is(mark, condition):
            assert found.value == holds(mark, condition)
        case Which(condition) | Count(condition) if condition is not None:
            reference = {*marks_in(condition), query.view.at}
            # Of an unsure mark nothing was told, and its truth may be undefined.
            true = {id for id in places if id not in {*reference, *found.unsure} and holds(id, condition)}
            assert set(found.marks) <= true <= set(found.marks) | {query.view.facing, query.view.back}
        case Side(mark, of, axis):
            pairs: dict[str, tuple[Relation, Relation]] = {
                "sideways": ("left", "right"),
                "along": ("front", "behind"),
                "upright": ("above", "below"),
            }
            first, second = pairs[axis]
            assert str(found.value).removeprefix("in ") == (first if holds(mark, Beside(first, of)) else second)
        case Extreme(sorting, of, among):
            before = sorts_before(sorting, of)
            others = [id for id in among or places if id not in (*found.marks, *found.unsure, of, query.view.at)]
            assert all(holds(int(found.value), before(id)) for id in others)  # type: ignore[arg-type]
        case Order(sorting, of):
            order = found.marks
            before = sorts_before(sorting, of)
            assert all(holds(a, before(b)) for i, a in enumerate(order) for b in order[i + 1 :])
        case Distance(mark, of):
            start = eye(places, here, query.view)[0] if of is None else places[of]
            assert found.value == pytest.approx(np.linalg.norm(places[mark] - start), abs=0.25)
        case Bearing(mark, None) | TurnTo(mark):
            at, look = eye(places, here, getattr(query, "view", View()))
            way = places[mark][:2] - at[:2]
            off = float(found.value) - math.atan2(cross(look, way), float(look @ way))  # type: ignore[arg-type]
            assert abs(math.remainder(off, math.tau)) <= 3 * found.sigma
        case Same(a, b):
            assert found.value == (a == b)


NEAR = st.floats(-5, 5)
PLACE = st.tuples(NEAR, NEAR, st.floats(0.1, 2.5)).map(np.array)
MARK = st.integers(1, 6)
OF = st.none() | MARK
VIEW = st.one_of(
    st.just(View()),
    st.builds(View, st.none() | MARK, MARK),
    st.builds(View, at=st.none() | MARK, back=MARK),
)
CONDITION = st.one_of(
    st.builds(Beside, st.sampled_from(get_args(Relation)), OF),
    st.builds(Within, st.floats(0.2, 8), OF, st.booleans()),
    st.builds(Nearer, MARK, OF, st.booleans()),
    st.builds(Between, MARK, MARK),
)
SORTING = st.sampled_from(get_args(Sorting))
AMONG = st.just(()) | st.lists(MARK, min_size=2, unique=True).map(tuple)
QUERY: st.SearchStrategy[Any] = st.one_of(
    st.builds(Is, MARK, CONDITION, VIEW),
    st.builds(Which, CONDITION, VIEW),
    st.builds(Count, CONDITION, VIEW),
    st.builds(Side, MARK, OF, st.sampled_from(("sideways", "along", "upright")), VIEW),
    st.builds(Extreme, SORTING, OF, AMONG, VIEW),
    st.builds(Order, SORTING, OF, AMONG, VIEW),
    st.builds(Distance, MARK, OF, VIEW),
    st.builds(Bearing, MARK, view=VIEW),
    st.builds(TurnTo, MARK),
    st.builds(Same, MARK, MARK),
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(MARK, PLACE, min_size=3),
    st.tuples(NEAR, NEAR, st.floats(-180, 180)),
    st.lists(QUERY, min_size=30, max_size=30),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_what_is_told_is_true_whatever_is_asked_of_whatever_room(
    places: Places, robot: tuple[float, float, float], queries: list[Query], seed: int, depth: bool
) -> None:
    rng = np.random.default_rng(seed)
    x, y, heading = robot
    here = looking(x, y, heading)
    poses = [looking(x + 0.6 * math.cos(i), y + 0.6 * math.sin(i), heading + 45 * i) for i in range(8)] + [here]
    frames = see(poses, places, depth=depth)  # type: ignore[arg-type]
    for i, frame in enumerate(frames):
        marks = [
            dataclasses.replace(m, x=m.x + rng.uniform(-3, 3), depth=m.depth + rng.uniform(-0.04, 0.04))
            for m in frame.marks
        ]
        frames[i] = dataclasses.replace(frame, marks=tuple(marks))
    known = SceneMap.from_keyframes(frames)
    shown = {id: place for id, place in places.items() if id in known.places}
    assume(len(shown) >= 2)
    for query in queries:
        found = evaluate(query, known)
        if isinstance(found, Found):
            check(query, found, shown, here)
        else:
            assert found.reason


@pytest.mark.parametrize(
    ("query", "cause", "known"),
    [
        (Is(9, Beside("left", 3)), Cause.UNKNOWN_MARK, {}),
        (Distance(3, 1), Cause.NO_POSE, {"pose": False}),
        (Coordinates(3), Cause.NO_CALIBRATION, {"intrinsics": False}),
        (Is(3, Beside("left", 3)), Cause.UNDEFINED, {}),
        (Is(3, Between(3, 5)), Cause.UNDEFINED, {}),
        (Is(2, Beside("left")), Cause.TOO_CLOSE, {}),
        (Is(1, Within(2.5)), Cause.TOO_CLOSE, {}),
        (Is(1, Beside("front", 3)), Cause.TOO_CLOSE, {}),
        (Extreme("leftmost"), Cause.UNDEFINED, {}),
        (GoTo(3), Cause.NO_POSE, {"pose": False}),
        (Is(3, Beside("left"), View(at=3, facing=1)), Cause.UNDEFINED, {}),
    ],
)
def test_what_cannot_be_told_is_refused_for_its_cause(query: Query, cause: Cause, known: dict[str, bool]) -> None:
    found = evaluate(query, scene(**known))
    assert isinstance(found, Unknown) and found.cause is cause, found


def test_a_camera_that_only_turned_knows_directions_and_says_that_depth_is_missing_for_more() -> None:
    turned = SceneMap.from_keyframes(see([looking(0, 0, 40), looking(0, 0, -40), looking(0, 0, 0)], ROOM))
    assert isinstance(evaluate(Is(1, Beside("left", 3)), turned), Found)
    for query in (Distance(1), Is(1, Within(2)), Is(6, Between(2, 3)), Coordinates(1), GoTo(1)):
        found = evaluate(query, turned)
        assert isinstance(found, Unknown) and found.cause is Cause.NO_DEPTH


def test_a_list_names_the_marks_of_which_it_cannot_be_told_and_a_count_is_then_refused() -> None:
    left = Beside("left")
    found = evaluate(Which(left), scene())
    assert isinstance(found, Found)
    assert (found.value, found.unsure) == ((1, 4, 5), (2, 7))
    assert found.text == "marks 1, 4, 5; of 2, 7 it cannot be told" and found.confidence <= 0.7
    assert isinstance(evaluate(Count(left), scene()), Unknown)


def test_there_is_no_leftmost_of_marks_that_lie_all_around() -> None:
    around = {id: (3 * math.cos(angle), 3 * math.sin(angle), 1.0) for id, angle in enumerate((0.0, 2.1, 4.2), start=1)}
    for query in (Extreme("leftmost"), Order("leftmost")):
        found = evaluate(query, scene(around))
        assert isinstance(found, Unknown) and "all around" in found.reason


def test_a_mark_right_behind_is_neither_left_nor_right() -> None:
    behind = scene({1: (-3.0, 0.1, 1.0), 2: (3.0, 0.0, 1.0)})
    assert isinstance(evaluate(Is(1, Beside("left")), behind), Unknown)


def test_marks_that_no_picture_shows_together_may_be_one_object_where_they_are_near() -> None:
    frames = [
        dataclasses.replace(see([looking(0, 0, 0)], {id: place}, depth=True)[0], index=id, stamp=float(id))
        for id, place in ((1, (3.0, 0.0, 1.0)), (2, (3.0, 0.4, 1.0)), (3, (3.0, -1.5, 1.0)))
    ]
    known = SceneMap.from_keyframes(frames)
    near, apart, equal = (evaluate(Same(1, id), known) for id in (2, 3, 1))
    assert isinstance(near, Unknown) and "may be one object" in near.reason
    assert isinstance(apart, Found) and apart.value is False
    assert isinstance(equal, Found) and equal.value is True


def test_answers_are_in_plain_units() -> None:
    def text(query: Query) -> str:
        found = evaluate(query, scene())
        assert isinstance(found, Found)
        return found.text

    assert text(Where(3)) == "1.5 m away, 53° to the right"
    assert text(Distance(1, 3)) == "2.9 m"
    assert text(Bearing(1, 3)) == "90° to the left of mark 3"
    assert text(TurnTo(2)) == "mark 2, straight ahead"
    assert text(Coordinates(3)) == "x 0.90 m, y -1.20 m, z 1.00 m"
    assert text(ListMarks()) == "marks 1, 2, 3, 4, 5, 6, 7"
    assert text(Which(Within(0.5))) == "no mark"


def test_an_observer_faces_one_mark_or_has_his_back_to_one() -> None:
    for wrong in ({"at": 1}, {"at": 1, "facing": 2, "back": 3}):
        with pytest.raises(GeometryError, match="an observer"):
            View(**wrong)
    with pytest.raises(GeometryError, match="there is no 'over'"):
        Beside("over", 3)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="cannot be -1"):
        Within(-1)


def test_pictures_alone_tell_sides_and_nothing_else() -> None:
    known = SceneMap.from_keyframes([keyframe(0, {1: (100, 100), 2: (300, 100), 3: (500, 100)})])
    order = evaluate(Order("leftmost"), known)
    assert isinstance(order, Found) and order.value == (1, 2, 3)
    assert isinstance(evaluate(Extreme("nearest"), known), Unknown)
    assert isinstance(evaluate(Is(1, Beside("above", 2)), known), Unknown)


def test_what_is_nearer_but_farther_ahead_is_not_told_to_be_in_front() -> None:
    places = {1: np.array([3.0, 0.0, 1.0]), 2: np.array([2.5, 2.0, 1.0])}  # 2 is farther away and less far ahead
    poses = [looking(0.6 * math.cos(i), 0.6 * math.sin(i), 45.0 * i) for i in range(8)] + [looking(0.0, 0.0, 0.0)]
    known = SceneMap.from_keyframes(see(poses, places, depth=True))  # type: ignore[arg-type]
    for relation in ("front", "behind"):
        found = evaluate(Which(Beside(relation, 1)), known)  # type: ignore[arg-type]
        assert not isinstance(found, Found) or (found.marks == () and 2 in found.unsure)
        assert not isinstance(evaluate(Is(2, Beside(relation, 1)), known), Found)  # type: ignore[arg-type]

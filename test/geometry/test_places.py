"""Places fused over time: boxes with exact depth, what depth shows behind and before, parallax, motion, memory."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from support.room import INTRINSICS, Box, draw, looking

from cc_ros.frame import Distortion, Frame
from cc_ros.geometry import SceneMap
from cc_ros.geometry import places as module
from cc_ros.geometry.evaluate import evaluate
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.places import PlaceMap, with_places
from cc_ros.geometry.queries import Coordinates
from cc_ros.geometry.views import near_layer
from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.place import Place

CUPBOARD = Box((1.6, 0.4, 0.0), (2.1, 1.2, 1.2), (40, 60, 180))
STOOL = Box((1.0, -0.9, 0.0), (1.4, -0.5, 0.5), (50, 160, 60))
ARC = [((-1.6, y, 1.1), -0.15 * y) for y in np.linspace(-1.2, 1.2, 9)]


@cache
def drawn(boxes: tuple[Box, ...], place: tuple[float, float, float], yaw: float) -> tuple[Frame, np.ndarray]:
    frame, which = draw(list(boxes), looking(place, yaw))
    return frame, which.astype(np.uint16)


def walk(
    boxes: list[Box] | None = None, *, depth: bool = True, path: list = ARC, shift: float = 0.0
) -> tuple[PlaceMap, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Walk along a path; the second box moves to the left by ``shift`` metres half way."""
    places, seen = PlaceMap(), []
    for i, (place, yaw) in enumerate(path):
        now = list(boxes or [CUPBOARD, STOOL])
        if shift and i >= len(path) // 2:
            low, high = now[1].low, now[1].high
            now[1] = Box((low[0], low[1] + shift, low[2]), (high[0], high[1] + shift, high[2]), now[1].colour)
        frame, labels = drawn(tuple(now), place, yaw)
        seen.append((labels, frame.depth, frame.pose))
        places.add(i / 5, labels, frame.depth if depth else None, frame.intrinsics, frame.pose, {})
    return places, seen


def middle(box: Box) -> np.ndarray:
    return (np.array(box.low) + np.array(box.high)) / 2


def held(place: Place, truth: np.ndarray) -> bool:
    """Whether two standard deviations, three axes at once, hold the true middle."""
    off = place.point - truth
    return float(off @ np.linalg.inv(place.covariance) @ off) <= 8.0


@pytest.mark.parametrize("depth", [True, False])
def test_a_place_is_the_middle_of_its_object_and_its_box_is_the_objects(depth: bool) -> None:
    places = walk(depth=depth)[0].places()
    assert set(places) == {1, 2}
    for id, box in ((1, CUPBOARD), (2, STOOL)):
        place = places[id]
        assert held(place, middle(box)), (place, box)
        assert np.linalg.norm(place.point - middle(box)) < 0.2
        assert np.abs(place.low - box.low).max() < 0.25 and np.abs(place.high - box.high).max() < 0.25
        assert np.linalg.eigvalsh(place.covariance)[0] > 0 and place.sigma < 0.4
        assert place.is_static and place.views == len(ARC)


def test_without_parallax_or_depth_there_is_no_place_and_a_pan_with_depth_has_one() -> None:
    pan = [((-1.6, 0.0, 1.1), yaw) for yaw in np.linspace(-0.4, 0.4, 5)]
    assert walk(depth=False, path=pan)[0].places() == {}
    assert set(walk(depth=True, path=pan)[0].places()) == {1, 2}


def test_what_is_cut_off_by_the_pictures_edge_in_every_view_is_less_certain() -> None:
    whole = walk(path=[((-1.6, 0.8, 1.1), 0.0)] * 3)[0].places()[1]
    cut = walk(path=[((-1.6, 0.8, 1.1), 0.62)] * 3)[0].places()[1]  # its right side is out of the picture
    assert cut.covariance[1, 1] > 2 * whole.covariance[1, 1]
    assert held(cut, middle(CUPBOARD)) and held(whole, middle(CUPBOARD))


def test_a_side_that_something_nearer_hides_in_every_view_is_less_certain() -> None:
    path = [((-1.6, 0.8, 1.1), 0.0)] * 3
    screen = Box((0.6, 0.75, 0.0), (0.65, 1.6, 1.6), (200, 180, 40))  # before the left half of the cupboard
    free, hidden = walk(path=path)[0].places()[1], walk([CUPBOARD, screen], path=path)[0].places()[1]
    assert hidden.covariance[1, 1] > 4 * free.covariance[1, 1]
    assert held(hidden, middle(CUPBOARD)) and held(free, middle(CUPBOARD))


def test_views_that_disagree_about_an_edge_make_it_less_certain() -> None:
    steady, torn = PlaceMap(), PlaceMap()
    for i, (labels, depth, pose) in enumerate(walk()[1]):
        both = np.where(labels == 2, 1, labels).astype(np.uint16)  # one mask over two things
        steady.add(i / 5, labels, depth, INTRINSICS, pose, {})
        torn.add(i / 5, both if i % 3 == 0 else labels, depth, INTRINSICS, pose, {})
    assert torn.places()[1].sigma > 1.5 * steady.places()[1].sigma


def test_what_the_tracker_is_unsure_of_has_a_less_certain_place() -> None:
    sigmas = []
    for sure in (1.0, 0.5):
        places = PlaceMap()
        for i, (labels, depth, pose) in enumerate(walk()[1]):
            places.add(i / 5, labels, depth, INTRINSICS, pose, {}, confidences={1: sure})
        sigmas.append(places.places()[1].sigma)
    assert sigmas[1] > max(0.25, sigmas[0])


def test_depth_behind_and_before_an_object_and_holes_do_not_move_its_place() -> None:
    places, rng = PlaceMap(), np.random.default_rng(0)
    for i, (labels, depth, pose) in enumerate(walk()[1]):
        ragged = cv2.dilate(labels, np.ones((9, 9), np.uint8))  # masks that reach over to the wall
        spoiled = depth.copy()
        spoiled[rng.random(depth.shape) < 0.4] = np.nan
        spoiled[rng.random(depth.shape) < 0.1] = 0.4  # dust before the lens
        spoiled[rng.random(depth.shape) < 0.2] = 5.5  # the wall, through gaps
        places.add(i / 5, ragged, spoiled, INTRINSICS, pose, {})
    for id, box in ((1, CUPBOARD), (2, STOOL)):
        assert np.linalg.norm(places.places()[id].point - middle(box)) < 0.25


def test_too_little_depth_is_none() -> None:
    places = PlaceMap()
    for labels, depth, pose in walk()[1][:1]:
        places.add(0.0, labels, np.where(np.arange(depth.shape[1]) % 20 == 0, depth, np.nan), INTRINSICS, pose, {})
    assert places.places() == {}


def test_the_nearest_layer_that_is_no_small_part_is_the_object() -> None:
    def layer(*depths: float) -> set[float]:
        return set(np.array(depths)[near_layer(np.array(depths))])

    assert layer(*[1.0] * 2, *[2.0] * 50, *[4.0] * 48) == {2.0}
    assert layer(*[1.0] * 30, *[2.0] * 31, *[3.0] * 39) == {3.0}, "none is near and large: the largest"
    assert max(layer(*[2.0] * 95, *np.linspace(2, 4, 8))) < 2.6, "a few in between join nothing"
    assert near_layer(np.linspace(1, 2, 100)) == slice(0, 100)
    assert layer(3.0, 3.0) == {3.0} and layer(1.0, 3.0) == {1.0}


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_what_moved_has_the_place_of_its_newest_sightings_and_is_not_static(shift: float) -> None:
    places = walk(shift=shift)[0].places()
    where = middle(STOOL) + np.array([0, shift, 0])
    assert places[2].is_static == (shift == 0)
    assert np.linalg.norm(places[2].point - where) < 0.25
    assert places[1].is_static


def test_an_id_that_is_given_to_another_object_begins_anew() -> None:
    places = PlaceMap()
    for i, (labels, depth, pose) in enumerate(walk()[1]):
        only = np.where(labels == (1 if i < 5 else 2), 9, 0).astype(np.uint16)
        places.add(i / 5, only, depth, INTRINSICS, pose, {9: 0.0 if i < 5 else 1.0})
    found = places.places()[9]
    assert np.linalg.norm(found.point - middle(STOOL)) < 0.2 and found.views == len(ARC) - 5


def test_memory_is_constant_in_time_and_in_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 6)
    monkeypatch.setattr(module, "TRACKS", 20)
    places, seen = PlaceMap(), walk()[1]
    for i in range(20):
        labels, depth, pose = seen[i % len(seen)]
        places.add(i / 5, labels, depth, INTRINSICS, pose, {})
    assert all(0 < len(track.kept) <= 6 for track in places._tracks.values())
    labels, depth, pose = seen[4]
    many = np.zeros(labels.shape, np.uint16)
    for first in range(1, 40, 12):
        blocks = np.arange(first, first + 12, dtype=np.uint16).reshape(3, 4)
        many[:] = cv2.resize(blocks, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
        places.add(100 + first, many, depth, INTRINSICS, pose, {})
    assert len(places._tracks) == 20 and 1 not in places._tracks
    places.clear()
    assert places.places() == {}


def test_a_fisheye_camera_gives_the_same_places() -> None:
    lens = Distortion("equidistant", (-0.02, 0.005, -0.003, 0.0004))
    k = np.array([[200.0, 0, 160], [0, 200.0, 120], [0, 0, 1]])
    rows, columns = np.mgrid[:240, :320].astype(np.float64)
    places = PlaceMap()
    for i, (labels, depth, pose) in enumerate(walk()[1]):
        pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
        straight = cv2.fisheye.undistortPoints(pixels, k, np.array(lens.coefficients)).reshape(240, 320, 2)
        at = (straight * (INTRINSICS[0, 0], INTRINSICS[1, 1]) + INTRINSICS[:2, 2]).astype(np.float32)
        bent = [cv2.remap(one, at[..., 0], at[..., 1], cv2.INTER_NEAREST) for one in (labels, depth)]
        places.add(i / 5, *bent, k, pose, {}, lens)
    for id, box in ((1, CUPBOARD), (2, STOOL)):
        assert np.linalg.norm(places.places()[id].point - middle(box)) < 0.2


def test_queries_use_the_fused_place_of_a_mark() -> None:
    places, seen = walk()
    mark = Mark(1, 200.0, 100.0, 900)
    keyframe = MarkedKeyframe(0, 0.0, b"", 320, 240, (mark, Mark(7, 10.0, 10.0, 900)), INTRINSICS, seen[0][2])
    assert isinstance(evaluate(Coordinates(1), SceneMap.from_keyframes([keyframe])), Unknown)
    scene = SceneMap.from_keyframes([with_places(keyframe, places.places())])
    found = evaluate(Coordinates(1), scene)
    assert not isinstance(found, Unknown)
    assert found.value == pytest.approx(middle(CUPBOARD), abs=0.2) and "9 frames" in found.reason
    assert scene.places[7].point is None


def test_an_uncertainty_along_the_line_of_sight_blurs_a_distance_and_not_a_direction() -> None:
    place = Place(np.array([3.0, 0, 0]), np.diag([0.25, 1e-4, 1e-4]), np.zeros(3), np.ones(3), True, 5)
    mark = Mark(1, 160.0, 120.0, 900, place=place)
    scene = SceneMap.from_keyframes([MarkedKeyframe(0, 0.0, b"", 320, 240, (mark,), INTRINSICS, looking((0, 0, 0), 0))])
    azimuth = scene.azimuth(1, np.zeros(3))
    assert azimuth is not None and azimuth.sigma < 0.05
    assert scene.places[1].point.along(np.array([1.0, 0, 0])) == pytest.approx(0.5)

"""Objects of an earlier episode have their numbers again, like ones are not swapped, and doubt gives a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.remembered import BEGIN, candidate, scenery
from support.room import Box, draw, looking

from cc_ros.memory import Memory, MemoryReader, MemorySettings

RED, BLUE, GREEN = (40, 40, 200), (200, 90, 30), (60, 170, 60)
# two that are alike, at different places, and one of its own
BOXES = [
    Box((2.0, -1.3, 0.4), (2.5, -0.7, 1.2), RED),
    Box((2.0, 0.7, 0.4), (2.5, 1.3, 1.2), RED),
    Box((2.2, -0.3, 0.9), (2.6, 0.3, 1.5), BLUE),
]
PLACES = [((0.0, 0.2 * step - 0.4, 1.2), 0.06 * step - 0.12) for step in range(5)]
OTHER_PLACES = [((0.5, 0.3 - 0.25 * step, 1.4), 0.1 - 0.05 * step) for step in range(5)]
LATER = BEGIN + 86400


def walk(
    path: Path,
    boxes: Sequence[Box],
    ids: Mapping[int, int],
    begin: float,
    *,
    places: Sequence = PLACES,
    world: str = "map",
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> dict[int, int]:
    """Look at boxes, tracked by these ids; return box -> number.

    :param shift: of the world's origin since the places were measured.
    """
    memory = Memory(MemorySettings(memory_dir=str(path), memory_period=0.5))
    memory.new_episode()
    numbers: dict[int, int] = {}
    for index in range(2 * len(places)):
        pose = looking(*places[index // 2])
        frame, which = draw(list(boxes), pose)
        labels = np.zeros(which.shape, np.uint16)
        for box, i in ids.items():
            labels[which == box + 1] = i
        told = pose.copy()
        told[:3, 3] += shift
        offered = candidate(index, 0.5 * index, frame.image, labels, pose=told, depth=frame.depth)
        memory.offer(offered, begin, world)
        assert memory.flush(60)
        shown = memory.numbered(offered.keep()).labels()
        numbers |= {box: int(np.bincount(shown[labels == i]).argmax()) for box, i in ids.items() if (labels == i).any()}
    trouble, _ = memory.health()
    memory.close()
    assert not trouble, trouble
    return numbers


@pytest.mark.parametrize(("world", "places"), [("map", OTHER_PLACES), ("odom", PLACES)])
def test_by_place_each_of_two_like_objects_keeps_its_number(tmp_path: Path, world: str, places: Sequence) -> None:
    first = walk(tmp_path, BOXES, {0: 1, 1: 2, 2: 3}, BEGIN, world=world)
    assert first == {0: 1, 1: 2, 2: 3}
    assert walk(tmp_path, BOXES, {0: 2, 1: 3, 2: 1}, LATER, world=world, places=places) == first


def test_in_odometry_that_begins_anew_places_are_not_believed(tmp_path: Path) -> None:
    first = walk(tmp_path, BOXES, {0: 1, 1: 2, 2: 3}, BEGIN, world="odom")
    again = walk(
        tmp_path, BOXES, {0: 1, 1: 2, 2: 3}, LATER, world="odom", shift=(0.0, 2.0, 0.0)
    )  # the one where the other was
    assert all(number == first[box] or number not in first.values() for box, number in again.items()), again


def test_an_object_that_was_moved_is_told_and_so_is_one_that_is_gone(tmp_path: Path) -> None:
    walk(tmp_path, BOXES, {0: 1, 1: 2, 2: 3}, BEGIN)
    elsewhere = Box((1.6, 1.9, 0.4), (2.0, 2.4, 1.0), GREEN)
    steady = PLACES[2:3] * 8
    walk(tmp_path, [BOXES[0], BOXES[1], elsewhere], {0: 3, 1: 4, 2: 9}, LATER, places=steady)
    with MemoryReader(tmp_path) as reader:
        states = {known.id: known.state for known in reader.objects()}
        changes = reader.changes(3)
    assert states[1] == states[2] == "present" and states[3] == "absent"
    assert [(state, before) for _, state, before in changes] == [("absent", "present")] and changes[0][0] > LATER
    walk(tmp_path, BOXES, {0: 1, 1: 2, 2: 3}, LATER + 3600, places=steady)
    with MemoryReader(tmp_path) as reader:
        assert {known.id: known.state for known in reader.objects()}[3] == "present"


def test_what_stood_before_another_object_is_missed_though_that_one_is_seen_there(tmp_path: Path) -> None:
    behind, before = Box((2.4, -0.8, 0.5), (2.9, 0.8, 1.8), RED), Box((1.6, -0.2, 0.9), (1.8, 0.2, 1.3), BLUE)
    steady = [((0.0, 0.0, 1.2), 0.0)]
    walk(tmp_path, [behind, before], {0: 1, 1: 2}, BEGIN, places=steady * 3)
    walk(tmp_path, [behind], {0: 1}, LATER, places=steady * 8)
    with MemoryReader(tmp_path) as reader:
        assert {known.id: known.state for known in reader.objects()} == {1: "present", 2: "absent"}


def pan(path: Path, ids: Mapping[int, int], begin: float, wall: np.ndarray, backwards: bool = False) -> dict[int, int]:
    """Pan over a wall with two like boxes on it, without poses; return box -> number."""
    wall, which = wall.copy(), np.zeros(wall.shape[:2], np.uint16)
    for box, x in enumerate((150, 560)):
        wall[100:170, x : x + 70] = cv2.resize(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3, (70, 70))[..., None]
        which[100:170, x : x + 70] = box + 1
    memory = Memory(MemorySettings(memory_dir=str(path), memory_period=0.5))
    memory.new_episode()
    numbers: dict[int, int] = {}
    lefts = list(range(0, 560, 40))
    for index, left in enumerate(reversed(lefts) if backwards else lefts):
        image, part = wall[:, left : left + 320].copy(), which[:, left : left + 320]
        labels = np.zeros(part.shape, np.uint16)
        for box, i in ids.items():
            labels[part == box + 1] = i
        offered = candidate(index, 0.5 * index, image, labels)
        memory.offer(offered, begin)
        assert memory.flush(60)
        shown = memory.numbered(offered.keep()).labels()
        numbers |= {box: int(shown[labels == i].max()) for box, i in ids.items() if (labels == i).any()}
    memory.close()
    return numbers


def test_without_poses_like_objects_are_told_apart_by_what_is_around_them(tmp_path: Path) -> None:
    first = pan(tmp_path, {0: 1, 1: 2}, BEGIN, scenery())
    assert first == {0: 1, 1: 2}
    assert pan(tmp_path, {0: 2, 1: 1}, LATER, scenery(), backwards=True) == first


def test_like_objects_in_another_room_are_new(tmp_path: Path) -> None:
    first = pan(tmp_path, {0: 1, 1: 2}, BEGIN, scenery())
    again = pan(tmp_path, {0: 1, 1: 2}, LATER, scenery()[::-1, ::-1])
    assert not set(first.values()) & set(again.values())

"""Seeded buildings: the same each time, and a robot gets everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from cc_ros.errors import SettingsError
from cc_ros.sim.building import GAP, build

SEEDS = range(8)


def test_a_seed_is_a_building() -> None:
    assert build(3, 2) == build(3, 2)
    assert build(3, 2) != build(4, 2)
    for rooms in (0, 7):
        with pytest.raises(SettingsError, match="1 to 6 rooms"):
            build(3, rooms)


@pytest.mark.parametrize("seed", SEEDS)
def test_furniture_stands_in_its_room_and_apart_and_no_two_pieces_have_one_name(seed: int) -> None:
    building = build(seed, 2)
    standing = [placed for placed in building.placed if placed.piece.bounds[0][2] < 1.0]
    assert len(standing) >= 8
    assert len({placed.piece.name for placed in building.placed}) == len(building.placed)
    for number, placed in enumerate(standing):
        low_x, low_y, high_x, high_y = placed.footprint
        room = building.rooms[placed.room]
        assert room.low_x <= low_x and room.low_y <= low_y and high_x <= room.high_x and high_y <= room.high_y
        for other in standing[:number]:
            a, b, c, d = other.footprint
            assert np.hypot(max(0, a - high_x, low_x - c), max(0, b - high_y, low_y - d)) >= GAP - 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_a_robot_gets_through_all_doors(seed: int) -> None:
    building = build(seed, 3)
    floor = building.floor()
    ways = floor.ways([building.doors[0]], floor.where_fits(0.25))
    assert all(np.isfinite(ways.cost_from(door)) for door in building.doors)
    cells = np.argwhere(np.isfinite(ways.cost))
    points = floor.points(cells)
    for room in building.rooms:
        inside = ((points > (room.low_x, room.low_y)) & (points < (room.high_x, room.high_y))).all(axis=1)
        assert inside.sum() * floor.resolution**2 > 3.0  # square metres


def test_the_shortest_way_goes_around_what_stands_there() -> None:
    floor = build(0, 1).floor()
    floor.blocked[:] = False
    room = build(0, 1).rooms[0]
    x, y = room.centre
    start, goal = (x - 1.5, y), (x + 1.5, y)
    straight = floor.ways([goal], floor.where_fits(0.2)).cost_from(start)
    assert straight == pytest.approx(3.0, abs=0.06)
    floor.block(x - 0.1, y - 1.0, x + 0.1, y + 1.0)
    around = floor.ways([goal], floor.where_fits(0.2))
    assert around.cost_from(start) == pytest.approx(2 * np.hypot(1.4, 1.2) + 0.2, rel=0.1)  # of eight directions
    path = around.path(start)
    assert np.abs(path[:, 1] - y).max() > 1.15
    assert np.allclose(path[-1], goal, atol=0.06)

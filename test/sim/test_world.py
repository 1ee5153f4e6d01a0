"""MuJoCo's world: contact, pictures, depth, and what is under a pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from cc_ros.errors import CCError
from cc_ros.sim.building import build
from cc_ros.sim.simulation import Simulation
from cc_ros.sim.world import MujocoWorld, Pose

pytestmark = pytest.mark.skipif(find_spec("mujoco") is None, reason="MuJoCo is not installed")


@pytest.fixture(scope="module")
def world() -> Iterator[MujocoWorld]:
    world = MujocoWorld(build(1, 1))
    yield world
    world.close()


def free_wall(world: MujocoWorld) -> Pose:
    """Return a place from which nothing but a wall is straight ahead, two metres away or more."""
    room = world.building.rooms[0]
    for yaw in np.linspace(0, 2 * math.pi, 48, endpoint=False):
        pose = Pose(*room.centre, float(yaw))
        columns = [(x, 470.0) for x in (40.0, 320.0, 600.0)]
        if set(world.under(pose, columns)) == {"floor"} and world.under(pose, [(319.5, 239.5)]) == ["wall"]:
            return pose
    raise AssertionError("this room has no free wall")


def test_the_robot_drives_where_it_is_told_and_is_stopped_by_a_wall(world: MujocoWorld) -> None:
    start = free_wall(world)
    world.place(start)
    assert not world.step(0.4, 0.0, 1.0)
    assert math.dist(world.pose()[:2], start[:2]) == pytest.approx(0.38, abs=0.03)  # it gains speed first
    assert any(world.step(0.4, 0.0, 0.5) for _ in range(40))  # it touches something in the end
    room = world.building.rooms[0]
    x, y, _ = world.pose()
    margin = world.radius - 0.02
    assert room.low_x + margin < x < room.high_x - margin and room.low_y + margin < y < room.high_y - margin
    world.place(start)
    world.step(0.0, 0.5, 2.0)
    assert world.pose().yaw - start.yaw == pytest.approx(1.0, abs=0.02)
    assert math.dist(world.pose()[:2], start[:2]) < 0.01


def test_an_action_is_carried_out_exactly_and_a_wall_blocks_it(world: MujocoWorld) -> None:
    simulation = Simulation(lambda: world)

    def act(ahead: float, turn: float) -> Pose:
        done = simulation.act(ahead, turn)
        while simulation.now < done + 0.1:  # it stands until the next one
            simulation.advance(1 / 30)
        return world.pose()

    x, y, yaw = start = free_wall(world)
    simulation.restart(start)
    for turn in (math.radians(15), math.radians(-15)):
        yaw += turn
        assert act(0.0, turn) == pytest.approx((x, y, yaw), abs=1e-9)
    x, y = x + 0.25 * math.cos(yaw), y + 0.25 * math.sin(yaw)
    assert act(0.25, 0.0) == pytest.approx((x, y, yaw), abs=1e-9)
    assert simulation.odometry.pose[:2] == pytest.approx((0.25, 0.0)) and not simulation.collisions
    for _ in range(30):
        act(0.25, 0.0)
    before, collisions = world.pose(), simulation.collisions
    assert collisions > 0
    assert act(0.25, 0.0) == before and not world.slides
    act(0.0, math.radians(45))
    assert math.dist(act(0.25, 0.0)[:2], before[:2]) < 0.02  # it does not slide along the wall


def test_picture_and_depth_show_what_is_there(world: MujocoWorld) -> None:
    pose = free_wall(world)
    world.place(pose)
    view, camera = world.view(), world.camera
    assert view.picture.shape == (480, 640, 3) and view.picture.dtype == np.uint8
    assert view.picture.std() > 5
    row = 470
    angle = camera.pitch + math.atan((row - 239.5) / camera.focal)
    expected = camera.z / math.sin(angle) * math.cos(angle - camera.pitch)
    assert view.depth[row, 320] == pytest.approx(expected, abs=0.02)  # the floor
    blue, green, red = view.picture[row, 320].astype(int)
    assert red > green > blue  # planks of wood: it is BGR


def test_what_is_under_a_pixel_is_what_the_depth_says(world: MujocoWorld) -> None:
    building = world.building
    target = next(placed for placed in building.placed if "picture" not in placed.piece.name)
    x, y = building.rooms[0].centre
    yaw = math.atan2(target.y - y, target.x - x)
    pose = Pose(x, y, yaw)
    column = [(319.5, float(row)) for row in range(0, 480, 8)]
    names = world.under(pose, column)
    assert names == world.under(pose, column)
    assert target.piece.name in names or len(set(names) - {"wall", "floor", "ceiling"}) > 0


def test_two_worlds_of_a_seed_look_the_same() -> None:
    views = []
    for _ in range(2):
        world = MujocoWorld(build(4, 1))
        views.append(world.view())
        world.close()
    assert np.array_equal(views[0].picture, views[1].picture)


def test_a_world_without_pictures_says_so() -> None:
    world = MujocoWorld(build(1, 1), render=False)
    world.step(0.1, 0.0, 0.1)
    with pytest.raises(CCError, match="without pictures"):
        world.view()

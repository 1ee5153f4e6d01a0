"""What depth shows in the way: walls, low boxes that leave the view, and what is free again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cc_ros.geometry.mounting import MountingSettings
from cc_ros.motion.control import Planar
from cc_ros.motion.freshness import Stream
from cc_ros.motion.obstacles import CELL, Obstacles
from cc_ros.motion.settings import ObstacleSettings

SETTINGS = ObstacleSettings()
MOUNTING = MountingSettings(camera_x=0.1, camera_z=0.8, camera_pitch=0.2)
WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
Box = tuple[float, float, float, float, float]  # x from, x to, y from, y to, height: metres in the world
ROOM: list[Box] = [(8.0, 8.2, -5.0, 5.0, 3.0)]


def mounted() -> np.ndarray:
    pose = MOUNTING.base_to_camera()
    assert pose is not None
    return pose


def depth_of(boxes: list[Box], pose: Planar = Planar(0, 0, 0)) -> np.ndarray:
    """Return what a depth camera sees of boxes on a floor: HxW float32 metres."""
    cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
    body = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    eye = body @ mounted()[:3, 3] + (pose.x, pose.y, 0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones((HEIGHT, WIDTH))], axis=-1)
    rays = rays @ (body @ mounted()[:3, :3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.nan)
        for x0, x1, y0, y1, z1 in boxes:
            one, two = ((np.array(corner) - eye) / rays for corner in ((x0, y0, 0.0), (x1, y1, z1)))
            enter, leave = np.minimum(one, two).max(axis=-1), np.maximum(one, two).min(axis=-1)
            depth = np.where((enter < leave) & (enter > 0), np.fmin(depth, enter), depth)
    return depth.astype(np.float32)


def seen(*looks: tuple[list[Box], Planar], settings: ObstacleSettings = SETTINGS) -> Obstacles:
    obstacles = Obstacles(settings)
    for boxes, pose in looks:
        obstacles.see(depth_of(boxes, pose), K, mounted(), pose)
    return obstacles


HERE = Planar(0.0, 0.0, 0.0)
LOW: Box = (2.0, 2.3, -0.2, 0.2, 0.15)


def test_a_free_floor_is_free() -> None:
    obstacles = seen((ROOM, HERE))
    assert obstacles.room(HERE) == math.inf
    assert obstacles.known > 0.9


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_a_wall_leaves_the_room_before_it(yaw: float) -> None:
    wall: Box = (1.5, 1.7, -9.0, 9.0, 2.0)
    obstacles = seen(([wall], HERE))
    expected = 1.5 - SETTINGS.robot_radius - SETTINGS.clearance
    assert obstacles.room(HERE) == pytest.approx(expected, abs=2 * CELL)
    assert obstacles.room(HERE) <= expected + 1e-6  # never more than there is
    nearer = Planar(0.5, 0.0, 0.0)
    assert obstacles.room(nearer) == pytest.approx(expected - 0.5, abs=2 * CELL)
    assert obstacles.room(Planar(0.0, 0.0, math.pi)) == math.inf


@pytest.mark.parametrize(("beside", "free"), [(0.0, False), (0.28, False), (0.45, True), (-0.28, False), (-0.45, True)])
def test_what_stands_beside_the_way_is_not_in_it(beside: float, free: bool) -> None:
    leg: Box = (1.5, 1.55, beside - 0.02, beside + 0.02, 0.8)
    assert (seen(([leg, *ROOM], HERE)).room(HERE) == math.inf) == free


def test_what_is_above_the_robot_is_not_in_its_way() -> None:
    high = depth_of(ROOM)
    obstacles = Obstacles(ObstacleSettings(robot_height=0.3))
    obstacles.see(np.minimum(high, depth_of([(2.0, 2.2, -1.0, 1.0, 0.9)])), K, mounted(), HERE)
    assert obstacles.room(HERE) < 2  # it stands on the floor
    table = Obstacles(ObstacleSettings(robot_height=0.3))
    depth = depth_of(ROOM)
    depth[:40] = 1.5  # only what is high up
    table.see(depth, K, mounted(), HERE)
    assert table.room(HERE) == math.inf


def test_a_low_box_is_remembered_when_it_is_out_of_view() -> None:
    near = Planar(1.5, 0.0, 0.0)
    assert seen((([LOW, *ROOM]), near)).room(near) == math.inf  # from here alone, it is not to be seen
    way = [Planar(0.1 * i, 0.0, 0.0) for i in range(16)]
    obstacles = seen(*[([LOW, *ROOM], pose) for pose in way])
    assert obstacles.room(near) == pytest.approx(0.5 - SETTINGS.robot_radius - SETTINGS.clearance, abs=2 * CELL)


def test_what_has_gone_is_free_again_once_depth_sees_what_is_behind_it() -> None:
    person: Box = (2.0, 2.3, -0.3, 0.3, 1.7)
    assert seen(([person, *ROOM], HERE)).room(HERE) < 2
    assert seen(([person, *ROOM], HERE), (ROOM, HERE)).room(HERE) == math.inf


def test_single_pixels_are_noise_and_unknown_ones_make_the_way_unknown() -> None:
    depth = depth_of(ROOM)
    depth[60, 80] = depth[70, 60] = 0.8
    obstacles = Obstacles(SETTINGS)
    obstacles.see(depth, K, mounted(), HERE)
    assert obstacles.room(HERE) == math.inf
    obstacles.see(np.full_like(depth, np.nan), K, mounted(), HERE)
    assert obstacles.known == 0.0


def test_it_is_not_in_its_own_way() -> None:
    bumper: Box = (0.15, 0.22, -0.2, 0.2, 0.5)
    assert seen(([bumper, *ROOM], HERE)).room(HERE) == math.inf


def test_a_camera_that_looks_elsewhere_knows_nothing_of_the_way() -> None:
    back = MountingSettings(camera_z=0.8, camera_yaw=math.pi).base_to_camera()
    assert back is not None
    obstacles = Obstacles(SETTINGS)
    obstacles.see(depth_of(ROOM), K, back, HERE)
    assert obstacles.known == 0.0


def test_a_driver_that_repeats_itself_is_stale() -> None:
    stream = Stream(0.25)
    assert stream.stale(0.0)
    stream.heard(7, 1.0)
    assert not stream.stale(1.2) and stream.stale(1.3)
    stream.heard(7, 1.3)
    assert stream.stale(1.3)
    stream.heard(8, 1.3)
    assert not stream.stale(1.3) and stream.stamp == 8

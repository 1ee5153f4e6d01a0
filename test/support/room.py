"""A small room with boxes in it, drawn with exact depth by intersecting rays with boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.frame import Frame

WIDTH, HEIGHT, FOCAL = 320, 240, 260.0
INTRINSICS = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
SHADE = np.array([0.8, 0.9, 1.0])  # of faces towards x, y and z


@dataclass(frozen=True)
class Box:
    """Corners in the world (x, y, z; metres, z up) and a BGR colour."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: tuple[int, int, int]


ROOM = Box((-3, -3, 0), (3, 3, 2.6), (190, 200, 205))
FLOOR = (60, 90, 130)


def looking(place: tuple[float, float, float], yaw: float, pitch: float = -0.2) -> np.ndarray:
    """Return the pose (4x4, camera to world) at a place; yaw from x to y, pitch downwards negative, radians."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = place
    return pose


def draw(boxes: list[Box], pose: np.ndarray, stamp: float = 0.0) -> tuple[Frame, np.ndarray]:
    """Return the frame and which box each pixel shows (HxW, from 1 on; 0 = the room itself)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones(x.shape)], axis=-1) @ pose[:3, :3].T
    rays[np.abs(rays) < 1e-9] = 1e-9
    depth, which = np.full(x.shape, np.inf), np.zeros(x.shape, int)
    colour = np.zeros((*x.shape, 3))
    for number, box in enumerate([ROOM, *boxes]):
        sides = (np.array([box.low, box.high])[:, None, None] - pose[:3, 3]) / rays
        near, far = sides.min(axis=0), sides.max(axis=0)
        enter, leave = near.max(axis=-1), far.min(axis=-1)
        axis = far.argmin(axis=-1) if number == 0 else near.argmax(axis=-1)
        distance = leave if number == 0 else enter
        seen = (distance < depth) & ((number == 0) | ((enter < leave) & (enter > 0.05)))
        depth[seen], which[seen] = distance[seen], number
        colour[seen] = np.array(box.colour) * SHADE[axis[seen], None]
        if number == 0:
            colour[(axis == 2) & (rays[..., 2] < 0)] = FLOOR
    grain = np.random.default_rng(0).normal(0, 2, x.shape)[..., None]
    image = np.clip(colour + grain, 0, 255).astype(np.uint8)
    return Frame(image, stamp, depth.astype(np.float32), INTRINSICS, pose), which


def wide_scene() -> np.ndarray:
    """A wall 1430x240 with pictures on it, and two equal red boxes."""
    rng = np.random.default_rng(2)
    scene = np.full((240, 1430, 3), 190, np.uint8)
    for x in range(20, 1370, 90):
        spots = rng.integers(40, 220, (6, 8, 3), np.uint8)
        scene[20:62, x : x + 56] = cv2.resize(spots, (56, 42), interpolation=cv2.INTER_NEAREST)
    scene[110:180, 120:200] = scene[110:180, 1020:1100] = (30, 40, 200)
    return scene

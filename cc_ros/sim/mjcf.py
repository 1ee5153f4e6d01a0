"""A building and its robot as MJCF, MuJoCo's model format."""

from __future__ import annotations

import math
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cc_ros.sim.building import HEIGHT, Building
from cc_ros.sim.camera import Camera
from cc_ros.sim.furniture import PAINTS, Piece, Solid
from cc_ros.sim.textures import texture

ROBOT_RADIUS = 0.2  # metres
ROBOT_HEIGHT = 1.0
TIMESTEP = 0.005  # seconds
FLOOR_TILE = 1.6  # metres that the floor's texture covers
# What holds the commanded speeds, N s/m and N m s/rad: time constants of 0.05 and 0.02 s. Within the force range, N and
# N m, even at full speed when turning: a servo that is cut off overshoots.
_SERVOS = {"x": "400", "y": "400", "yaw": "20"}
_FORCE = "-150 150"


@dataclass(frozen=True)
class Description:
    """A model to compile, with the pictures that it names.

    :param names: geom name -> what people call the thing.
    """

    xml: str
    assets: dict[str, bytes]
    names: dict[str, str]


def describe(building: Building, camera: Camera) -> Description:
    """Return the model of a building with a robot in it."""
    return _Writer(building, camera).write()


class _Writer:
    def __init__(self, building: Building, camera: Camera) -> None:
        self._building = building
        self._camera = camera
        self._rng = np.random.default_rng(building.seed)
        self._root = xml.Element("mujoco", model="rooms")
        self._assets: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._materials: set[str] = set()

    def write(self) -> Description:
        add = xml.SubElement
        add(self._root, "compiler", angle="radian", boundmass="0.01", boundinertia="0.01")
        add(self._root, "option", timestep=str(TIMESTEP), integrator="implicitfast")
        add(self._root, "statistic", extent="1")
        visual = add(self._root, "visual")
        add(visual, "global", offwidth=str(self._camera.width), offheight=str(self._camera.height))
        add(visual, "quality", offsamples="0", shadowsize="0")
        add(visual, "headlight", ambient="0.32 0.32 0.32", diffuse="0.22 0.22 0.22", specular="0 0 0")
        add(visual, "map", znear="0.02", zfar="40")
        self._asset = add(self._root, "asset")
        self._world = add(self._root, "worldbody")
        self._shell()
        for number, placed in enumerate(self._building.placed):
            body = add(self._world, "body", pos=_text(placed.x, placed.y, 0), euler=_text(0, 0, placed.yaw))
            self._piece(body, number, placed.piece)
        self._robot()
        return Description(xml.tostring(self._root, encoding="unicode"), self._assets, self._names)

    def _shell(self) -> None:
        rng, rooms = self._rng, self._building.rooms
        low, high = rooms[0].low_x, rooms[-1].high_x
        floor = self._material("planks", (0.55, 0.38, 0.24), "floor", "2d", (high - low + 1) / FLOOR_TILE)
        size = _text((high - low + 1) / 2, (high - low + 1) / 2, 0.1)
        middle = (low + high) / 2
        xml.SubElement(
            self._world, "geom", name="floor", type="plane", size=size, pos=_text(middle, 0, 0), material=floor
        )
        self._names["floor"] = "floor"
        ceiling: dict[str, Any] = {
            "type": "plane",
            "size": size,
            "pos": _text(middle, 0, HEIGHT),
            "euler": _text(math.pi, 0, 0),
        }
        xml.SubElement(
            self._world, "geom", name="ceiling", contype="0", conaffinity="0", rgba="0.9 0.9 0.88 1", **ceiling
        )
        self._names["ceiling"] = "ceiling"
        for room in rooms:  # one lamp each: OpenGL knows eight
            light: dict[str, Any] = {
                "pos": _text(*room.centre, HEIGHT - 0.2),
                "dir": "0 0 -1",
                "cutoff": "90",
                "exponent": "0",
            }
            light |= {"diffuse": _text(*rng.uniform(0.42, 0.5, 3)), "specular": "0 0 0", "attenuation": "1 0 0.04"}
            xml.SubElement(self._world, "light", castshadow="false", **light)
        tint = tuple((np.array([0.82, 0.81, 0.77]) + rng.normal(0, 0.03, 3)).tolist())
        paint = self._material("blotches", tint, "wall")
        for number, wall in enumerate(self._building.walls):
            low_corner, high_corner = np.array(wall.low), np.array(wall.high)
            name = f"wall{number}"
            xml.SubElement(self._world, "geom", name=name, type="box", material=paint,
                size=_text(*(high_corner - low_corner) / 2), pos=_text(*(high_corner + low_corner) / 2))  # fmt: skip
            self._names[name] = "wall"

    def _piece(self, body: xml.Element, number: int, piece: Piece) -> None:
        for part, solid in enumerate(piece.solids):
            name = f"piece{number}_{part}"
            xml.SubElement(body, "geom", name=name, type=solid.shape, pos=_text(*solid.at), size=_size(solid),
                material=self._material(solid.pattern, PAINTS[solid.paint], solid.paint))  # fmt: skip
            self._names[name] = piece.name

    def _material(
        self, pattern: str, colour: tuple[float, ...], name: str, kind: str = "cube", repeat: float = 1.0
    ) -> str:
        material = f"{pattern}_{name}"
        if material not in self._materials:
            self._materials.add(material)
            picture = texture(pattern, (colour[0], colour[1], colour[2]), int(self._rng.integers(1 << 30)))
            self._assets[f"{material}.png"] = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
            xml.SubElement(self._asset, "texture", name=material, type=kind, file=f"{material}.png")
            repeats: dict[str, Any] = {"texrepeat": _text(repeat, repeat)} if kind == "2d" else {}
            xml.SubElement(self._asset, "material", name=material, texture=material, specular="0.1", **repeats)
        return material

    def _robot(self) -> None:
        """Add an upright cylinder that slides and turns on the floor; :class:`~cc_ros.sim.robot.Wheels` drive it."""
        robot = xml.SubElement(self._world, "body", name="robot", pos=_text(0, 0, ROBOT_HEIGHT / 2 + 0.02))
        joints = (("x", "slide", "1 0 0"), ("y", "slide", "0 1 0"), ("yaw", "hinge", "0 0 1"))
        for name, kind, axis in joints:
            xml.SubElement(robot, "joint", name=name, type=kind, axis=axis)
        size = _text(ROBOT_RADIUS, ROBOT_HEIGHT / 2)
        look: dict[str, Any] = {"mass": "20", "friction": "0.3", "rgba": "0.3 0.3 0.35 1", "group": "1"}
        xml.SubElement(robot, "geom", name="robot", type="cylinder", size=size, **look)
        camera, sin, cos = self._camera, math.sin(self._camera.pitch), math.cos(self._camera.pitch)
        place = _text(camera.x, 0, camera.z - ROBOT_HEIGHT / 2 - 0.02)
        xml.SubElement(robot, "camera", name="camera", pos=place, fovy=str(camera.vertical_view),
            xyaxes=_text(0, -1, 0, sin, 0, cos))  # fmt: skip
        actuators = xml.SubElement(self._root, "actuator")
        for name, _, _ in joints:
            xml.SubElement(actuators, "velocity", name=name, joint=name, kv=_SERVOS[name], forcerange=_FORCE)


def _text(*numbers: float) -> str:
    return " ".join(f"{number:.6g}" for number in numbers)


def _size(solid: Solid) -> str:
    x, y, z = solid.size
    return _text(x, z) if solid.shape == "cylinder" else _text(x, y, z)

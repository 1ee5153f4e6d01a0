"""What a robot moves and looks around in: one small interface, and MuJoCo behind it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from cc_ros.errors import CCError
from cc_ros.sim import HOW_TO_INSTALL, HOW_TO_RENDER
from cc_ros.sim.building import Building
from cc_ros.sim.camera import Camera
from cc_ros.sim.grid import Point
from cc_ros.sim.mjcf import ROBOT_RADIUS, TIMESTEP, describe


class Pose(NamedTuple):
    """A place on the floor: metres, and the heading in radians from the x axis to the left (REP 103)."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class View:
    """What the camera sees: HxWx3 uint8 BGR, and HxW float32 metres along the optical axis (0 = unknown)."""

    picture: np.ndarray
    depth: np.ndarray


class World(Protocol):
    """A robot in its surroundings. Only ``view`` needs the thread that made the world."""

    camera: Camera
    radius: float
    """Of the robot, metres."""
    slides: bool
    """Whether ``move`` slides along what is in the way, instead of being blocked by it."""

    def place(self, pose: Pose) -> None:
        """Put the robot there, at rest."""

    def pose(self) -> Pose:
        """Return where the robot truly is."""

    def step(self, linear: float, angular: float, seconds: float) -> bool:
        """Drive for a while at speeds (m/s ahead, rad/s to the left); return whether the robot touched anything."""

    def move(self, ahead: float, turn: float) -> bool:
        """Move by exactly so many metres ahead and radians to the left, unless something is in the way.

        Return whether the robot touched anything.
        """

    def view(self) -> View:
        """Return what the camera sees now."""

    def under(self, pose: Pose, pixels: Sequence[tuple[float, float]]) -> list[str]:
        """Return what a camera at a pose shows at pixels (x, y): the names of things, "" where none is known."""

    def distances(self, points: Sequence[Point], goals: Sequence[Point]) -> list[float]:
        """Return how far it is from each point to the nearest goal by the shortest way, metres; inf = no way."""

    def close(self) -> None:
        """Let go of what it holds."""


class MujocoWorld:
    """A building simulated by MuJoCo: physics with contact, pictures by its OpenGL renderer.

    :param render: False = no pictures, and no OpenGL.
    :param window: open MuJoCo's window on it; closing that changes nothing.
    :raises CCError: MuJoCo, OpenGL or a display is missing.
    """

    radius = ROBOT_RADIUS
    slides = False

    def __init__(
        self, building: Building, camera: Camera = Camera(), render: bool = True, window: bool = False
    ) -> None:
        self._mujoco = _load_mujoco()
        self.building = building
        self.camera = camera
        description = describe(building, camera)
        self._model = self._mujoco.MjModel.from_xml_string(description.xml, description.assets)
        self._data = self._mujoco.MjData(self._model)
        geoms = [self._model.geom(k).name for k in range(self._model.ngeom)]
        self._names = [description.names.get(name, "") for name in geoms]
        self._robot = geoms.index("robot")
        self._floor = geoms.index("floor")
        self._looking = self._mujoco.MjData(self._model)  # of ``under``, which other threads may call
        self._renderer = _Renderer(self._mujoco, self._model, camera) if render else None
        self._window = _open_window(self._model, self._data) if window else None
        self._plan = building.floor()
        self.place(Pose(*building.rooms[0].centre, 0.0))

    def place(self, pose: Pose) -> None:
        """Put the robot there, at rest."""
        self._mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = pose
        self._mujoco.mj_forward(self._model, self._data)

    def pose(self) -> Pose:
        """Return where the robot truly is."""
        return Pose(*map(float, self._data.qpos))

    def step(self, linear: float, angular: float, seconds: float) -> bool:
        """Drive for a while; see :class:`World`."""
        touched = False
        for _ in range(max(1, round(seconds / TIMESTEP))):
            yaw = self._data.qpos[2]
            # What does not roll sideways does not slide sideways either.
            self._data.ctrl[:] = linear * math.cos(yaw), linear * math.sin(yaw), angular
            self._mujoco.mj_step(self._model, self._data)
            touched |= self._touches()
        if self._window is not None:
            self._window.sync()
        return touched

    def move(self, ahead: float, turn: float) -> bool:
        """Move exactly, without physics, unless something is in the way; see :class:`World`."""
        before = self.pose()
        yaw = before.yaw + turn
        self.place(Pose(before.x + ahead * math.cos(yaw), before.y + ahead * math.sin(yaw), yaw))
        touched = ahead != 0 and self._touches()  # it is round: turning, it touches nothing new
        if touched:
            self.place(before)
        if self._window is not None:
            self._window.sync()
        return touched

    def _touches(self) -> bool:
        pairs = self._data.contact.geom
        mine = (pairs == self._robot).any(axis=1)
        return bool(mine.any() and (pairs[mine] != self._floor).all(axis=1).any())

    def view(self) -> View:
        """Return what the camera sees now.

        :raises CCError: the world was made without pictures.
        """
        if self._renderer is None:
            raise CCError("this world was made without pictures")
        return self._renderer.render(self._data)

    def under(self, pose: Pose, pixels: Sequence[tuple[float, float]]) -> list[str]:
        """Return what is seen at pixels; see :class:`World`."""
        base = np.eye(4)
        base[:2, :2] = [[math.cos(pose.yaw), -math.sin(pose.yaw)], [math.sin(pose.yaw), math.cos(pose.yaw)]]
        base[:2, 3] = pose.x, pose.y
        camera = base @ self.camera.in_base()
        points = np.column_stack([np.asarray(pixels, float).reshape(-1, 2), np.ones(len(pixels))])
        rays = points @ np.linalg.inv(self.camera.matrix()).T @ camera[:3, :3].T
        self._looking.qpos[:] = pose
        self._mujoco.mj_kinematics(self._model, self._looking)
        hits = [self._hit(camera[:3, 3], ray) for ray in rays]
        return [self._names[geom] if geom >= 0 else "" for geom in hits]

    def _hit(self, origin: np.ndarray, ray: np.ndarray) -> int:
        hit = np.full(1, -1, np.int32)
        groups = np.array([1, 0, 0, 0, 0, 0], np.uint8)  # the robot is in group 1
        self._mujoco.mj_ray(self._model, self._looking, origin, ray / np.linalg.norm(ray), groups, 1, -1, hit)
        return int(hit[0])

    def distances(self, points: Sequence[Point], goals: Sequence[Point]) -> list[float]:
        """Return how far it is from points to the nearest goal; see :class:`World`."""
        ways = self._plan.ways(goals, self._plan.where_fits(self.radius))
        return [ways.cost_near(point) for point in points]

    def close(self) -> None:
        """Let go of the OpenGL context and the window."""
        if self._window is not None:
            self._window.close()
        if self._renderer is not None:
            self._renderer.close()


class _Renderer:
    """Colour and depth of one camera from one pass."""

    def __init__(self, mujoco: Any, model: Any, camera: Camera) -> None:
        self._mujoco = mujoco
        self._model = model
        self._size = camera.height, camera.width
        try:
            self._gl = mujoco.GLContext(camera.width, camera.height)
            self._gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except Exception as error:  # each of MuJoCo's ways to OpenGL has errors of its own
            raise CCError(f"{HOW_TO_RENDER} ({error})") from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=5000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera("camera").id
        self._option = mujoco.MjvOption()
        self._option.geomgroup[1] = 0  # the robot does not see itself
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value  # fine steps far away as well
        self._near, self._far = (
            float(reach * model.stat.extent) for reach in (model.vis.map.znear, model.vis.map.zfar)
        )

    def render(self, data: Any) -> View:
        mujoco = self._mujoco
        self._gl.make_current()
        rectangle = mujoco.MjrRect(0, 0, self._size[1], self._size[0])
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._view, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        mujoco.mjr_render(rectangle, self._scene, self._context)
        picture, depth = np.empty((*self._size, 3), np.uint8), np.empty(self._size, np.float32)
        mujoco.mjr_readPixels(picture, depth, rectangle, self._context)
        return View(cv2.cvtColor(cv2.flip(picture, 0), cv2.COLOR_RGB2BGR), self._metres(depth[::-1]))

    def _metres(self, buffer: np.ndarray) -> np.ndarray:
        """Return metres along the optical axis from a depth buffer that is 1 at the near plane and 0 at the far one."""
        span = self._far - self._near
        return np.float32(self._far * self._near / span) / (buffer + np.float32(self._near / span))

    def close(self) -> None:
        self._context.free()
        self._gl.free()


def _open_window(model: Any, data: Any) -> Any:
    """Open MuJoCo's viewer.

    :raises CCError: there is no display.
    """
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise CCError("there is no display for a window: leave out --no-headless, or set DISPLAY")
    from mujoco import viewer

    return viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)


def _load_mujoco() -> Any:
    """Import MuJoCo with an off-screen renderer: EGL, unless the user chose another.

    :raises CCError: it is not installed, or its OpenGL is not.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import mujoco
    except ModuleNotFoundError as error:
        raise CCError(HOW_TO_INSTALL) from error
    except Exception as error:  # of the platform that MUJOCO_GL names
        raise CCError(f"{HOW_TO_RENDER} ({error})") from error
    return mujoco

"""Scenes of Habitat, where a user has it: the same interface as our own rooms, for the episodes of R2R_VLNCE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cc_ros.errors import CCError
from cc_ros.sim.camera import Camera
from cc_ros.sim.grid import Point
from cc_ros.sim.mjcf import ROBOT_HEIGHT, ROBOT_RADIUS
from cc_ros.sim.world import Pose, View

HOW_TO_INSTALL = (
    "episodes outside our own rooms need Habitat: conda install habitat-sim headless -c conda-forge -c aihabitat, and "
    "its scenes, whose folder --scenes names"
)
_SLID = 1e-3  # metres beside where it wanted to go: then the robot has touched something


class HabitatWorld:
    """A scene of Habitat; the robot slides over its navigation mesh.

    :param scene: as episodes name it, such as ``mp3d/17DRP5sb8fy/17DRP5sb8fy.glb``.
    :param scenes: the folder that the name is relative to.
    :param height: of the floor where the robot begins, metres.
    :raises CCError: Habitat or the scene is missing.
    """

    radius = ROBOT_RADIUS
    slides = True

    def __init__(self, scene: str, scenes: Path | None, height: float, camera: Camera = Camera()) -> None:
        try:
            import habitat_sim
        except ImportError as error:
            raise CCError(f"{HOW_TO_INSTALL} ({error})") from error
        file = (scenes or Path()) / scene
        if not file.is_file():
            raise CCError(f"there is no scene {file}; --scenes names the folder that {scene} lies in")
        self.camera = camera
        self._habitat = habitat_sim
        self._simulator = habitat_sim.Simulator(self._configuration(file))
        self._position = np.array([0.0, height, 0.0])
        self._yaw = 0.0

    def _configuration(self, file: Path) -> Any:
        habitat, camera = self._habitat, self.camera
        backend = habitat.SimulatorConfiguration()
        backend.scene_id = str(file)
        agent = habitat.AgentConfiguration()
        agent.radius, agent.height = ROBOT_RADIUS, ROBOT_HEIGHT
        sensors = []
        for name, kind in (("color", habitat.SensorType.COLOR), ("depth", habitat.SensorType.DEPTH)):
            sensor = habitat.CameraSensorSpec()
            sensor.uuid, sensor.sensor_type = name, kind
            sensor.resolution = [camera.height, camera.width]
            sensor.position = [0.0, camera.z, -camera.x]
            sensor.orientation = [-camera.pitch, 0.0, 0.0]
            sensor.hfov = math.degrees(2 * math.atan(camera.width / 2 / camera.focal))
            sensors.append(sensor)
        agent.sensor_specifications = sensors
        return habitat.Configuration(backend, [agent])

    def place(self, pose: Pose) -> None:
        """Put the robot there, on the floor that is nearest in height."""
        self._position = np.asarray(self._simulator.pathfinder.snap_point(self._point(pose[:2])), float)
        self._yaw = pose.yaw

    def pose(self) -> Pose:
        """Return where the robot is."""
        return Pose(float(-self._position[2]), float(-self._position[0]), self._yaw)

    def step(self, linear: float, angular: float, seconds: float) -> bool:
        """Drive for a while; return whether it slid along something."""
        return self.move(linear * seconds, angular * seconds)

    def move(self, ahead: float, turn: float) -> bool:
        """Move exactly, or slide along what is in the way; return whether it did."""
        self._yaw += turn
        wanted = self._position + ahead * np.array([-math.sin(self._yaw), 0.0, -math.cos(self._yaw)])
        self._position = np.asarray(self._simulator.pathfinder.try_step(self._position, wanted), float)
        return bool(np.hypot(*(self._position - wanted)[[0, 2]]) > _SLID)

    def view(self) -> View:
        """Return what the camera sees now."""
        state = self._habitat.AgentState()
        state.position = self._position
        state.rotation = np.array([0.0, math.sin(self._yaw / 2), 0.0, math.cos(self._yaw / 2)])
        self._simulator.get_agent(0).set_state(state)
        seen = self._simulator.get_sensor_observations()
        return View(np.ascontiguousarray(seen["color"][..., 2::-1]), np.asarray(seen["depth"], np.float32))

    def under(self, pose: Pose, pixels: Sequence[tuple[float, float]]) -> list[str]:
        """Return no names: what these scenes hold is not told."""
        return [""] * len(pixels)

    def distances(self, points: Sequence[Point], goals: Sequence[Point]) -> list[float]:
        """Return the geodesic distances over the navigation mesh, metres."""
        path = self._habitat.MultiGoalShortestPath()
        path.requested_ends = [self._point(goal) for goal in goals]
        found = []
        for point in points:
            path.requested_start = self._point(point)
            found.append(path.geodesic_distance if self._simulator.pathfinder.find_path(path) else math.inf)
        return [float(distance) for distance in found]

    def close(self) -> None:
        """Let go of the scene."""
        self._simulator.close()

    def _point(self, point: Point) -> np.ndarray:
        return np.array([-point[1], self._position[1], -point[0]])

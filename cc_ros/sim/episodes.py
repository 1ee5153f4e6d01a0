"""Navigation episodes in the JSON of R2R_VLNCE: written for seeded buildings, and read for whatever scenes they name.

The files hold Habitat's axes: x right, y up, -z ahead. In memory are those of REP 103: x ahead, y left, z up.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cc_ros.errors import SourceError
from cc_ros.sim.building import Building, Placed, build
from cc_ros.sim.grid import Point
from cc_ros.sim.mjcf import ROBOT_RADIUS
from cc_ros.sim.world import Pose

RADIUS = 0.5  # metres from a place before the object; R2R's own is 3 m, more than half of these rooms
REACH = 1.0  # metres from an object's edge within which a place is before it
SCENE = re.compile(r"cc_ros/rooms(?P<rooms>\d+)_seed(?P<seed>\d+)")
_CLEAR = ROBOT_RADIUS + 0.1  # metres around a start or a goal


@dataclass(frozen=True)
class Episode:
    """One episode.

    :param scene: name of what it takes place in.
    :param goals: (x, y) of places, any of which is meant; metres.
    :param radius: within which a goal counts as reached, metres.
    :param path: (x, y) of the reference path.
    :param distance: of the shortest way from the start to a goal, metres; NaN where the file does not say.
    :param height: of the floor in the scene, metres.
    """

    id: str
    scene: str
    start: Pose
    goals: tuple[Point, ...]
    radius: float
    instruction: str
    path: tuple[Point, ...]
    distance: float = math.nan
    height: float = 0.0


def scene_name(building: Building) -> str:
    """Return what episodes call a building."""
    return f"cc_ros/rooms{len(building.rooms)}_seed{building.seed}"


def building_of(scene: str) -> Building | None:
    """Return the building that a scene names, or None where the scene is none of ours."""
    found = SCENE.fullmatch(scene)
    return None if found is None else build(int(found["seed"]), int(found["rooms"]))


def make_episodes(building: Building, count: int, seed: int = 0) -> list[Episode]:
    """Return episodes in a building: from somewhere to a piece of furniture at least 2 m away.

    Fewer than ``count`` where there are not enough pieces that can be got to.
    """
    rng = np.random.default_rng((building.seed, seed))
    floor = building.floor()
    weights = floor.where_fits(_CLEAR)
    free = floor.points(np.argwhere(np.isfinite(weights)))
    episodes: list[Episode] = []
    pieces = [placed for placed in building.placed if placed.piece.bounds[0][2] < 1.0]
    for number in rng.permutation(len(pieces)):
        goals = _before(building, pieces[number], free)
        if not len(goals) or len(episodes) == count:
            continue
        ways = floor.ways(goals, weights)
        starts = np.argwhere(np.isfinite(ways.cost) & (ways.cost > 2.0) & (floor.clearance() > 0.45))
        if not len(starts):
            continue
        x, y = floor.points(starts[rng.integers(len(starts))][None])[0]
        start = Pose(float(x), float(y), float(rng.uniform(-math.pi, math.pi)))
        way = ways.path((start.x, start.y))
        text = _instruction(building, start, pieces[number])
        path = tuple((float(x), float(y)) for x, y in way[:: max(1, len(way) // 8)])
        distance = ways.cost_from((start.x, start.y))
        name = str(len(episodes) + 1)
        episodes.append(Episode(name, scene_name(building), start, tuple(goals), RADIUS, text, path, distance))
    return episodes


def _before(building: Building, placed: Placed, free: np.ndarray) -> list[Point]:
    """Return places before an object, spread around it."""
    low_x, low_y, high_x, high_y = placed.footprint
    near = np.clip(free, (low_x, low_y), (high_x, high_y))
    room = building.rooms[placed.room]
    inside = ((free > (room.low_x, room.low_y)) & (free < (room.high_x, room.high_y))).all(axis=1)
    places = free[(np.hypot(*(free - near).T) < REACH) & inside]
    return [(float(x), float(y)) for x, y in places[::4]]


def _instruction(building: Building, start: Pose, placed: Placed) -> str:
    here = next((k for k, room in enumerate(building.rooms) if room.low_x <= start.x <= room.high_x), placed.room)
    doors = abs(here - placed.room)
    way = "" if not doors else "go through the door and " if doors == 1 else f"go through {doors} doors and "
    text = f"{way}go to the {placed.piece.name}, and stop in front of it."
    return text[0].upper() + text[1:]


def write_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Write episodes as R2R_VLNCE does, gzip-compressed where the name ends in .gz."""
    whole = [_to_json(episode) for episode in episodes]
    text = json.dumps({"episodes": whole, "instruction_vocab": {"word_list": []}}, indent=1)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())


def read_episodes(path: Path) -> list[Episode]:
    """Read the episodes of an R2R_VLNCE file (.json or .json.gz).

    :raises SourceError: it cannot be read, or is none.
    """
    try:
        raw = path.read_bytes()
        whole = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        return [_from_json(episode) for episode in whole["episodes"]]
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path} cannot be read as episodes: {error}") from error
    except (KeyError, TypeError, IndexError) as error:
        raise SourceError(f"{path} holds no episodes of R2R_VLNCE: {error!r} is missing or of another kind") from error


def _to_json(episode: Episode) -> dict[str, Any]:
    x, y, yaw = episode.start
    identity = int(episode.id) if episode.id.isdigit() else episode.id
    return {
        "episode_id": identity,
        "trajectory_id": identity,
        "scene_id": episode.scene,
        "start_position": _habitat((x, y), episode.height),
        "start_rotation": [0.0, math.sin(yaw / 2), 0.0, math.cos(yaw / 2)],
        "info": {"geodesic_distance": episode.distance},
        "goals": [{"position": _habitat(goal, episode.height), "radius": episode.radius} for goal in episode.goals],
        "instruction": {"instruction_text": episode.instruction, "instruction_tokens": []},
        "reference_path": [_habitat(point, episode.height) for point in episode.path],
    }


def _from_json(episode: dict[str, Any]) -> Episode:
    qx, qy, qz, qw = map(float, episode["start_rotation"])
    yaw = math.atan2(2 * (qx * qz + qw * qy), 1 - 2 * (qx**2 + qy**2))
    goals = episode["goals"]
    return Episode(
        id=str(episode["episode_id"]),
        scene=str(episode["scene_id"]),
        start=Pose(*_ours(episode["start_position"]), yaw),
        goals=tuple(_ours(goal["position"]) for goal in goals),
        radius=float(goals[0].get("radius", 3.0)),
        instruction=str(episode["instruction"]["instruction_text"]).strip(),
        path=tuple(_ours(point) for point in episode.get("reference_path", [])),
        distance=float(episode.get("info", {}).get("geodesic_distance", math.nan)),
        height=float(episode["start_position"][1]),
    )


def _habitat(point: Point, height: float) -> list[float]:
    return [-point[1], height, -point[0]]


def _ours(position: Sequence[float]) -> Point:
    x, _, z = map(float, position)
    return -z, -x

"""Where goals lie in rendered rooms: inside or touching furniture, reached through something, or none at all.

    python -m benchmarks.goals ROOMS [--radius 0.25]

ROOMS holds folders with ids.npz (instance maps), frames.json (camera), depth.npz and scene.json, as
``python -m benchmarks.rooms ... --paths walk`` writes them. The true masks stand in for a tracker, so that only the
goals are measured: one for every object that has a place, after the last frame. "Way" counts those that the straight
or planned way reaches only through furniture.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, label

from benchmarks.geometry_answers import FIRST_OBJECT, keyframes
from cc_ros.geometry import SceneMap
from cc_ros.geometry.bodies import bodies
from cc_ros.geometry.goals import GoalRules, stand_before
from cc_ros.geometry.ground_seen import SeenGround
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.places import PlaceMap, with_places
from cc_ros.ground import Ground
from cc_ros.place import Place

OVERHEAD = 1.5  # metres: furniture that hangs higher is not stood in


def footprints(scene: dict[str, Any]) -> list[np.ndarray]:
    """Return the outline of each piece of furniture on the floor (Nx2, metres); older rooms have only its sides."""
    found = []
    for thing in scene["objects"]:
        if "outline" in thing:
            outline = np.array(thing["outline"]).reshape(-1, 2)
        elif thing["bbox_min"][2] > OVERHEAD or thing["on_wall"]:
            continue
        else:
            outline = sides(thing)
        if len(outline):
            found.append(outline.astype(np.float32))
    return found


def sides(thing: dict[str, Any]) -> np.ndarray:
    """Return the corners of a rectangle (4x2) from the box around it and its turn."""
    wide, deep = np.subtract(thing["bbox_max"], thing["bbox_min"])[:2] / 2
    c, s, yaw = abs(math.cos(thing["yaw"])), abs(math.sin(thing["yaw"])), thing["yaw"]
    if abs(c * c - s * s) > 0.2:
        wide, deep = np.linalg.solve([[c, s], [s, c]], [wide, deep])
    else:  # too near to half a right angle: the box itself
        yaw = 0.0
    along, across = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
    return np.array(
        [thing["centroid"][:2] + a * wide * along + b * deep * across for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    )


def away(point: np.ndarray, outline: np.ndarray) -> float:
    """Return the distance of a point from an outline, 0 inside."""
    return max(0.0, -cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), measureDist=True))


def reachable(solid: list[np.ndarray], half: np.ndarray, radius: float, here: np.ndarray, cell: float = 0.04) -> Any:
    """Return a function that tells whether a way leads from here to a point, for a disc among the true furniture."""
    width, height = np.ceil(2 * half / cell).astype(int)
    taken = np.zeros((height + 2, width + 2), np.uint8)
    taken[[0, -1]] = taken[:, [0, -1]] = 1
    for outline in solid:
        cv2.fillPoly(taken, [np.round((outline + half) / cell + 0.5).astype(np.int32)], 1)
    parts, _ = label(cell * distance_transform_edt(taken == 0) >= radius)
    parts[np.isin(parts, np.flatnonzero(np.bincount(parts.ravel()) < 1 / cell**2))] = 0  # a pocket of under 1 m^2
    rows, columns = np.nonzero(parts)
    free = np.stack([columns, rows], axis=1)

    def part(point: np.ndarray) -> int:  # the camera of a walk has no body, and may start within the radius
        column, row = free[np.linalg.norm(free - ((point + half) / cell + 0.5), axis=1).argmin()]
        return int(parts[row, column])

    return lambda point: part(point) == part(here)


def walk(room: Path, with_depth: bool) -> tuple[dict[int, Place], Ground | None]:
    """Return the places of the room's objects and its ground, as all frames show them."""
    camera = json.loads((room / "frames.json").read_text())
    with np.load(room / "depth.npz") as stored, np.load(room / "ids.npz") as masks:
        depths, ids = stored[stored.files[0]], masks[masks.files[0]]
    seen, places, k = SeenGround(), PlaceMap(), np.array(camera["K"])
    for frame, raw, labels in zip(camera["frames"], depths, ids, strict=True):
        depth = np.where(raw > 0, raw / 1000, np.nan).astype(np.float32) if with_depth else None
        pose = np.array(frame["T_world_cam"])
        places.add(frame["t"], np.where(labels >= FIRST_OBJECT, labels, 0), depth, k, pose, {})
        if depth is not None:
            seen.add(frame["t"], depth, k, pose)
    return places.places(), seen.ground()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--radius", type=float, default=GoalRules().radius)
    parser.add_argument("--verbose", action="store_true", help="say why an object has none")
    options = parser.parse_args()
    rules = GoalRules(radius=options.radius)
    for depth in (True,):
        counts: Counter[str] = Counter()
        took = []
        for room in sorted(path.parent for path in options.rooms.glob("*/depth.npz")):
            places, ground = walk(room, depth)
            marked = keyframes(room, options.frames, pose=True, depth=depth, intrinsics=True)
            scene = SceneMap.from_keyframes(with_places(frame, places) for frame in marked)
            furniture = json.loads((room / "scene.json").read_text())
            solid, names = footprints(furniture), {thing["id"]: thing["label"] for thing in furniture["objects"]}
            half = np.array(furniture["room"][:2]) / 2
            things = bodies(scene)
            assert scene.here is not None
            leads_to = reachable(solid, half, options.radius, scene.here[:2, 3])
            for id, body in things.items():
                begun = time.perf_counter()
                found = stand_before(body, things.values(), scene.here[:2, 3], ground, rules)
                took.append(time.perf_counter() - begun)
                counts["objects"] += 1
                if isinstance(found, Unknown):
                    counts["none"] += 1
                    if options.verbose:
                        print(f"  {room.name} {id} {names[id]}: {found.reason}")
                    continue
                place = np.array([found.x, found.y])
                nearest = min(away(place, corners) for corners in solid)
                wall = float((half - np.abs(place)).min())
                outcome = "inside" if nearest == 0 or wall <= 0 else "good"
                if outcome == "good" and min(nearest, wall) < options.radius:
                    outcome = "touching"
                if outcome == "good" and not leads_to(place):
                    outcome = "through"
                if options.verbose and outcome != "good":
                    print(f"  {room.name} {id} {names[id]}: {outcome} {place} {nearest:.2f} {wall:.2f}")
                counts[outcome] += 1
        print("with depth" if depth else "without depth", dict(counts), f"median {1000 * np.median(took):.0f} ms")


if __name__ == "__main__":
    main()

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

import numpy as np

from benchmarks.geometry_answers import keyframes
from cc_ros.geometry import SceneMap
from cc_ros.geometry.bodies import bodies
from cc_ros.geometry.goals import GoalRules, stand_before
from cc_ros.ground import Ground
from cc_ros.geometry.ground_seen import SeenGround
from cc_ros.geometry.outcome import Unknown

OVERHEAD = 1.5  # metres: furniture that hangs higher is not stood in


def footprints(scene: dict[str, Any]) -> list[np.ndarray]:
    """Return each piece of furniture as the four corners of its base (4x2, metres)."""
    found = []
    for thing in scene["objects"]:
        if thing["bbox_min"][2] > OVERHEAD or thing.get("on_wall"):
            continue
        middle = np.array(thing["centroid"][:2])
        wide, deep = np.subtract(thing["bbox_max"], thing["bbox_min"])[:2]
        c, s = abs(math.cos(thing["yaw"])), abs(math.sin(thing["yaw"]))
        yaw = thing["yaw"]
        if abs(c * c - s * s) > 0.2:  # the box around a turned rectangle tells its sides
            wide, deep = np.linalg.solve([[c, s], [s, c]], [wide, deep])
        else:
            yaw = 0.0
        along = np.array([math.cos(yaw), math.sin(yaw)])
        across = np.array([-along[1], along[0]])
        corners = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
        found.append(np.array([middle + a * wide / 2 * along + b * deep / 2 * across for a, b in corners]))
    return found


def away(point: np.ndarray, corners: np.ndarray) -> float:
    """Return the distance of a point from a rectangle, 0 inside."""
    axes = [corners[0] - corners[1], corners[0] - corners[3]]
    inside = [(point - corners.mean(axis=0)) @ (axis / np.linalg.norm(axis)) for axis in axes]
    return float(np.linalg.norm([max(0.0, abs(x) - np.linalg.norm(a) / 2) for x, a in zip(inside, axes, strict=True)]))


def seen_ground(room: Path) -> Ground | None:
    """Return the ground as the room's depth images show it."""
    camera = json.loads((room / "frames.json").read_text())
    with np.load(room / "depth.npz") as stored:
        depths = stored[stored.files[0]]
    seen = SeenGround()
    for frame, depth in zip(camera["frames"], depths, strict=True):
        metres = np.where(depth > 0, depth / 1000, np.nan).astype(np.float32)
        seen.add(frame["t"], metres, np.array(camera["K"]), np.array(frame["T_world_cam"]))
    return seen.ground()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--radius", type=float, default=GoalRules().radius)
    parser.add_argument("--verbose", action="store_true", help="say why an object has none")
    options = parser.parse_args()
    rules = GoalRules(radius=options.radius)
    for depth in (True, False):
        counts: Counter[str] = Counter()
        took = []
        for room in sorted(path.parent for path in options.rooms.glob("*/depth.npz")):
            scene = SceneMap.from_keyframes(
                keyframes(room, options.frames, pose=True, depth=depth, intrinsics=True)
            )
            furniture = json.loads((room / "scene.json").read_text())
            solid, names = footprints(furniture), {thing["id"]: thing["label"] for thing in furniture["objects"]}
            half = np.array(furniture["room"][:2]) / 2
            ground = seen_ground(room) if depth else None
            things = bodies(scene)
            assert scene.here is not None
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
                if options.verbose and outcome != "good":
                    print(f"  {room.name} {id} {names[id]}: {outcome} {place} {nearest:.2f} {wall:.2f}")
                counts[outcome] += 1
        print("with depth" if depth else "without depth", dict(counts), f"median {1000 * np.median(took):.0f} ms")


if __name__ == "__main__":
    main()

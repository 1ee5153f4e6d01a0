"""Where goals lie in rendered rooms: inside or touching furniture, reached through something, or none at all.

    python -m benchmarks.goals ROOMS [--radius 0.25] [--turn 30] [--tracked]

ROOMS holds folders with ids.npz (instance maps), frames.json (camera), depth.npz and scene.json, as
``python -m benchmarks.rooms ... --paths walk`` writes them. The true masks stand in for a tracker, so that only the
goals are measured: one for everything that has a place, after the last frame; floor, rug and walls should get none.
"Through" are goals that no way leads to for the robot. With --tracked masks and marks are those that the nodes would
have: of the flow tracker on rgb.mp4 and of the keyframe step, with depth that has noise, holes and smeared edges.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, label

from benchmarks.geometry import Room, owners, tracked
from benchmarks.geometry_answers import FIRST_OBJECT, keyframes
from cc_ros.geometry import SceneMap
from cc_ros.geometry.bodies import bodies
from cc_ros.geometry.goals import GoalRules, stand_before
from cc_ros.geometry.ground_seen import SeenGround
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.places import PlaceMap, with_places
from cc_ros.ground import Ground
from cc_ros.keyframes import ArrayPicture, Candidate, Keyframes
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


def walk(room: Path, turned: np.ndarray, with_depth: bool) -> tuple[dict[int, Place], Ground | None]:
    """Return the places of all that a room holds, floor and walls too, and its ground, as all frames show them.

    :param turned: 4x4, from the room to the world.
    """
    camera = json.loads((room / "frames.json").read_text())
    with np.load(room / "depth.npz") as stored, np.load(room / "ids.npz") as masks:
        depths, ids = stored[stored.files[0]], masks[masks.files[0]]
    seen, places, k = SeenGround(), PlaceMap(), np.array(camera["K"])
    for frame, raw, labels in zip(camera["frames"], depths, ids, strict=True):
        depth = np.where(raw > 0, raw / 1000, np.nan).astype(np.float32) if with_depth else None
        pose = turned @ np.array(frame["T_world_cam"])
        places.add(frame["t"], labels, depth, k, pose, {})
        if depth is not None:
            seen.add(frame["t"], depth, k, pose)
    return places.places(), seen.ground()


def by_true_masks(room: Path, turned: np.ndarray, with_depth: bool) -> tuple[SceneMap, Ground | None, dict[int, int]]:
    """Return the marks of a room, its ground, and the object of each mark."""
    places, ground = walk(room, turned, with_depth)
    marked = [
        replace(with_places(frame, places), pose=turned @ frame.pose)
        for frame in keyframes(room, 8, pose=True, depth=with_depth, intrinsics=True, first=1)
        if frame.pose is not None
    ]
    return SceneMap.from_keyframes(marked), ground, {id: id for id in places if id >= FIRST_OBJECT}


def by_tracker(folder: Path) -> tuple[SceneMap, Ground | None, dict[int, int]]:
    """Return the same as the nodes have it, with masks of their own."""
    room, places, ground, kept = Room(folder), PlaceMap(), SeenGround(), Keyframes()
    seen = tracked(list(room.frames(np.random.default_rng(0))), room)
    for index, (one, image) in enumerate(zip(seen, room.images, strict=True)):
        first = {track.id: track.first_seen for track in one.tracks}
        sure = {track.id: track.confidence for track in one.tracks}
        camera = one.depth, room.intrinsics, one.pose
        places.add(one.stamp, one.labels, *camera, first, confidences=sure)
        if one.depth is not None:
            ground.add(one.stamp, one.depth, room.intrinsics, one.pose)
        kept.store.offer(Candidate(index, one.stamp, ArrayPicture(image), one.labels, *camera, sure, first))
    found = places.places()
    marked = [with_places(frame, found) for frame in kept.marked()]
    return SceneMap.from_keyframes(marked), ground.ground(), owners(seen, room)


def measured(
    room: Path, turn: float, with_depth: bool, rules: GoalRules, verbose: bool, by_itself: bool = False
) -> Iterator[tuple[str, float]]:
    """Yield for everything in a room that has a place what became of its goal, and the seconds that it took."""
    turned = np.eye(4)
    turned[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    scene, ground, owner = by_tracker(room) if by_itself else by_true_masks(room, turned, with_depth)
    furniture = json.loads((room / "scene.json").read_text())
    names = {thing["id"]: thing["label"] for thing in furniture["objects"]}
    solid, half, things = footprints(furniture), np.array(furniture["room"][:2]) / 2, bodies(scene)
    assert scene.here is not None
    here, grounds = scene.here[:2, 3], [] if ground is None else [ground]
    leads_to = reachable(solid, half, rules.radius, here @ turned[:2, :2])
    for id, body in things.items():
        begun = time.perf_counter()
        found = stand_before(body, things.values(), here, grounds, rules)
        took, what = time.perf_counter() - begun, "object" if id in owner else "floor or wall"
        if isinstance(found, Unknown):
            outcome = "none"
        else:
            place = np.array([found.x, found.y]) @ turned[:2, :2]
            wall, nearest = float((half - np.abs(place)).min()), min(away(place, outline) for outline in solid)
            clear = min(wall, nearest)
            outcome = "inside" if clear <= 0 else "touching" if clear < rules.radius else "good"
            if np.linalg.norm(place - here @ turned[:2, :2]) < 1e-6:
                outcome = "good"  # it stays where it is, and the camera of a walk has no body
            if outcome == "good" and not leads_to(place):
                outcome = "through"
        if verbose and outcome != "good":
            print(f"  {room.name} {id} {names.get(owner.get(id), what)}: {outcome} {getattr(found, 'reason', found)}")
        yield f"{what}: {outcome}", took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--radius", type=float, default=GoalRules().radius, help="of the robot, metres")
    parser.add_argument("--turn", type=float, default=0.0, help="degrees between the rooms' walls and the world's axes")
    parser.add_argument("--tracked", action="store_true", help="with the tracker's own masks; walls along the axes")
    parser.add_argument("--verbose", action="store_true", help="say why an object has none")
    options = parser.parse_args()
    rules = GoalRules(radius=options.radius)
    for depth in (True,) if options.tracked else (True, False):
        found = [
            one
            for room in sorted(path.parent for path in options.rooms.glob("*/depth.npz"))
            for one in measured(
                room, math.radians(options.turn), depth, rules, options.verbose and depth, options.tracked
            )
        ]
        print("with depth" if depth else "without depth", dict(sorted(Counter(what for what, _ in found).items())))
        print(f"  median {1000 * np.median([took for _, took in found]):.0f} ms a goal")


if __name__ == "__main__":
    main()

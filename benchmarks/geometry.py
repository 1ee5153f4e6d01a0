"""How far off the places of objects are, and whether their standard deviations are true: rendered rooms.

    python -m benchmarks.geometry ROOMS.. [--seed 0] [--jobs 2]

ROOMS are folders of rooms with ids.npz (instance maps), frames.json (camera) and scene.json (boxes), as
`python -m benchmarks.rooms OUT --paths walk pan` makes them; each gets a table. Walks have depth.npz; pans have no
depth, and since their camera stays where it is, nothing in them should get a place. Depth has noise, holes, and smeared
edges. Masks are the true ones with borders that are off by up to three pixels, and those of the flow tracker, which is
given the pictures, true poses and the depth that there is. An object counts once it was seen with 400 pixels or more; a
track as well, and what most of its pixels lie on is its object; those of floor and walls are left out. Columns: objects
(tracks) with a place; distance from the place to the object's box, median, 90th percentile and the share beyond 0.1 m;
distance to its middle; how often 1, 2 and 3 standard deviations hold the middle, along each axis, and 2 the box.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.tracking import read_video
from cc_ros.frame import Frame
from cc_ros.geometry import SceneMap
from cc_ros.geometry.places import PlaceMap
from cc_ros.keyframes.store import median_depths
from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.place import Place
from cc_ros.tracking.base import MAX_ID, Track
from cc_ros.tracking.factory import make_tracker

MIN_PIXELS = 400
FIRST_OBJECT = 11  # smaller ids are walls and floor
KEYFRAMES = 8
PAN_STEP = 3  # every so many frames of a pan are looked at
HEAD = """| | placed | off the box | off the middle | 1, 2, 3 sigma hold it | 2 sigma its box | edges | sigma | still |
|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class World:
    """What a robot knows, and what is wrong with it."""

    name: str
    depth: bool = True
    mounting: tuple[float, float] = (0.0, 0.0)  # yaw in degrees, metres to the side
    drift: float = 0.0  # of the way, and as many tenths of a radian a metre


WORLDS = (
    World("depth"),
    World("no depth", depth=False),
    World("depth, tf off by 2 degrees and 5 cm", mounting=(2.0, 0.05)),
    World("no depth, tf off by 2 degrees and 5 cm", depth=False, mounting=(2.0, 0.05)),
    World("depth, odometry drifts by 2 %", drift=0.02),
    World("no depth, odometry drifts by 2 %", depth=False, drift=0.02),
)


@dataclass(frozen=True)
class Seen:
    """One frame: instance map, depth in metres, pose, stamp, and what is known of the tracks."""

    labels: np.ndarray
    depth: np.ndarray | None
    pose: np.ndarray
    stamp: float
    tracks: tuple[Track, ...] = ()


class Room:
    """A rendered room, its camera walking (with depth) or panning."""

    def __init__(self, folder: Path) -> None:
        camera = json.loads((folder / "frames.json").read_text())
        self.walks = (folder / "depth.npz").exists()
        every = slice(None, None, 1 if self.walks else PAN_STEP)
        self.intrinsics = np.array(camera["K"])
        self.poses = [np.array(frame["T_world_cam"]) for frame in camera["frames"]][every]
        self.stamps = [float(frame["t"]) for frame in camera["frames"]][every]
        self.maps = _array(folder / "ids.npz")[every]
        self.depths = _array(folder / "depth.npz") if self.walks else [None] * len(self.maps)
        self.images = read_video(folder / "rgb.mp4")[every] if (folder / "rgb.mp4").exists() else []
        self.boxes = {
            thing["id"]: (np.array(thing["bbox_min"]), np.array(thing["bbox_max"]))
            for thing in json.loads((folder / "scene.json").read_text())["objects"]
        }

    def frames(self, rng: np.random.Generator) -> Iterator[Seen]:
        """Yield the frames as a camera sees them, with the true objects."""
        for labels, depth, pose, stamp in zip(self.maps, self.depths, self.poses, self.stamps, strict=True):
            known = None if depth is None else noisy(depth, rng)
            yield Seen(ragged(np.where(labels >= FIRST_OBJECT, labels, 0), rng), known, pose, stamp)


def tracked(known: list[Seen], room: Room) -> list[Seen]:
    """Return the same frames with the masks of the flow tracker."""
    tracker, found = make_tracker("flow"), []
    for seen, image in zip(known, room.images, strict=True):
        answer = tracker.step(Frame(image, seen.stamp, seen.depth, room.intrinsics, seen.pose))
        found.append(replace(seen, labels=answer.labels, tracks=answer.tracks))
    return found


def owners(seen: list[Seen], room: Room) -> dict[int, int]:
    """Return what object most pixels of each label lie on; labels of floor and walls, and small ones, are left out."""
    votes = np.zeros((MAX_ID + 1, 256), int)
    for one, truth in zip(seen, room.maps, strict=True):
        ids, compact = np.unique(one.labels, return_inverse=True)
        both = np.bincount(compact.ravel() * 256 + truth.ravel(), minlength=256 * len(ids))
        votes[ids] += both.reshape(-1, 256)
    large = {int(id) for one in seen for id in _large(one.labels)}
    return {id: int(votes[id].argmax()) for id in sorted(large) if int(votes[id].argmax()) in room.boxes}


def as_in(world: World, frames: list[Seen], rng: np.random.Generator) -> list[Seen]:
    """Return what a robot in ``world`` knows of these frames."""
    yaw, aside = math.radians(world.mounting[0]), world.mounting[1]
    off = np.eye(4)
    off[:3, :3] = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0]
    off[0, 3] = aside
    known = drifted([seen.pose for seen in frames], world.drift, rng)
    return [
        replace(seen, depth=seen.depth if world.depth else None, pose=pose @ off)
        for seen, pose in zip(frames, known, strict=True)
    ]


def drifted(poses: list[np.ndarray], rate: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return poses as odometry has them that drifts by a share of the way; the first is true."""
    way, turn = rng.normal(0, rate, 3) * (1, 1, 0.1), rng.normal(0, rate * 0.1)
    error, known = np.eye(4), []
    for before, pose in zip([poses[0], *poses], poses, strict=False):
        step = float(np.linalg.norm(pose[:3, 3] - before[:3, 3]))
        move = np.eye(4)
        move[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.0, turn * step]))[0]
        move[:3, 3] = way * step
        centre = np.eye(4)
        centre[:3, 3] = pose[:3, 3]
        error = centre @ move @ np.linalg.inv(centre) @ error
        known.append(error @ pose)
    return known


def noisy(millimetres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return depth in metres as a depth camera has it: noise that grows with the square, holes, smeared edges."""
    depth = millimetres.astype(np.float32) / 1000
    smeared = cv2.blur(depth, (5, 5))
    depth = np.where(np.abs(smeared - depth) > 0.1, smeared, depth)  # between the two sides of an edge
    depth += rng.normal(0, 1, depth.shape).astype(np.float32) * 0.004 * depth**2
    holes = cv2.resize(rng.random((60, 80), np.float32), depth.shape[::-1], interpolation=cv2.INTER_NEAREST) < 0.05
    depth[holes | (depth > 8) | (depth < 0.3)] = np.nan
    return depth


def ragged(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an instance map whose borders are off by up to three pixels."""
    shift = cv2.GaussianBlur(rng.normal(0, 1, (2, *labels.shape)).transpose(1, 2, 0).astype(np.float32), (0, 0), 8)
    shift *= 3 / max(float(np.abs(shift).max()), 1e-6)
    rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    return cv2.remap(labels.astype(np.uint16), columns + shift[..., 0], rows + shift[..., 1], cv2.INTER_NEAREST)


def from_keyframes(frames: list[Seen], intrinsics: np.ndarray) -> dict[int, Place]:
    """Return places as a few keyframes alone give them: the median depth of each mask, or the rays of its middles."""
    marked = []
    for i in np.linspace(0, len(frames) - 1, KEYFRAMES).round().astype(int):
        seen = frames[i]
        marks = []
        ids = {int(id): 1 for id in np.unique(seen.labels) if id}
        away = median_depths(seen.labels, seen.depth, ids) if seen.depth is not None else {}
        for id in ids:
            rows, columns = np.nonzero(seen.labels == id)
            if len(rows) >= MIN_PIXELS:
                x, y = float(np.median(columns)), float(np.median(rows))
                marks.append(Mark(id, x, y, len(rows), away.get(id, math.nan)))
        height, width = seen.labels.shape
        marked.append(MarkedKeyframe(int(i), seen.stamp, b"", width, height, tuple(marks), intrinsics, seen.pose))
    points = {id: found.point for id, found in SceneMap.from_keyframes(marked).places.items()}
    return {
        id: Place(point.xyz, np.eye(3) * point.sigma**2, point.xyz, point.xyz, True, 0)
        for id, point in points.items()
        if point is not None
    }


def judged(places: dict[int, Place], boxes: dict[int, tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, ...]]:
    """Return of each place: metres to its box and to its middle, axes within 1 to 3 sigma, box, extent's error."""
    rows = []
    for id, place in places.items():
        low, high = boxes[id]
        to_box = np.maximum(np.maximum(low - place.point, place.point - high), 0)
        error = place.point - (low + high) / 2
        axes, sides = np.linalg.eigh(place.covariance)
        off = np.abs(sides.T @ error) / np.sqrt(axes)
        box_held = np.abs(sides.T @ to_box) <= 2 * np.sqrt(axes)
        extent = float(np.abs(np.concatenate([place.low - low, place.high - high])).mean())
        rows.append(
            (
                float(np.linalg.norm(to_box)),
                float(np.linalg.norm(error)),
                *(float((off <= sigmas).mean()) for sigmas in (1, 2, 3)),
                float(box_held.all()),
                extent,
                place.sigma,
                float(place.is_static),
            )
        )
    return rows


def row(name: str, found: list[tuple[float, ...]], objects: int) -> str:
    """Return a row of the table."""
    if not found:
        return f"| {name} | 0 of {objects} | | | | | | | |"
    box, middle, *held, box_held, extent, sigma, static = np.array(found).T
    cells = (
        f"{len(found)} of {objects}",
        f"{np.median(box):.2f}, {np.percentile(box, 90):.2f} m, {100 * (box > 0.1).mean():.0f} %",
        f"{np.median(middle):.2f}, {np.percentile(middle, 90):.2f} m",
        ", ".join(f"{100 * share.mean():.1f}" for share in held) + " %",
        f"{100 * box_held.mean():.1f} %",
        f"{np.median(extent):.2f} m",
        f"{np.median(sigma):.2f} m",
        f"{100 * static.mean():.0f} %",
    )
    return f"| {name} | {' | '.join(cells)} |"


def measured(folder: Path, seed: int) -> dict[str, tuple[list[tuple[float, ...]], int]]:
    """Return for each row what was found in a room, and how many objects or tracks there are."""
    cv2.setNumThreads(1)
    room, rows = Room(folder), {}
    frames = list(room.frames(np.random.default_rng([seed, room.maps.shape[0]])))
    with_depth = (True, False) if room.walks else (False,)
    masks = {"true masks": dict.fromkeys(with_depth, frames)}
    if room.images:
        known = {depth: frames if depth else [replace(seen, depth=None) for seen in frames] for depth in with_depth}
        masks["the tracker's masks"] = {depth: tracked(seen, room) for depth, seen in known.items()}
    of = {(kind, depth): owners(seen, room) for kind, by_depth in masks.items() for depth, seen in by_depth.items()}
    for world in WORLDS if room.walks else WORLDS[1:2]:
        name = world.name if room.walks else "a pan, no depth"
        for kind, by_depth in masks.items():
            seen = as_in(world, by_depth[world.depth], np.random.default_rng([seed, 1]))
            owner = of[kind, world.depth]
            boxes = {id: room.boxes[object] for id, object in owner.items()}
            places = PlaceMap()
            for one in seen:
                first = {track.id: track.first_seen for track in one.tracks}
                sure = {track.id: track.confidence for track in one.tracks}
                places.add(one.stamp, one.labels, one.depth, room.intrinsics, one.pose, first, confidences=sure)
            tables = {kind: places.places()}
            if kind == "true masks":
                tables[f"{KEYFRAMES} keyframes alone"] = from_keyframes(seen, room.intrinsics)
            for table, found in tables.items():
                judgement = judged({id: found[id] for id in sorted(owner.keys() & found)}, boxes)
                rows[f"{name}; {table}"] = judgement, len(owner)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="rooms that are measured at a time")
    options = parser.parse_args()
    for root in options.rooms:
        folders = sorted(file.parent for file in root.glob("*/scene.json"))
        with ProcessPoolExecutor(options.jobs) as pool:
            rooms = list(tqdm(pool.map(measured, folders, [options.seed] * len(folders)), total=len(folders)))
        print(f"{root}: {len(rooms)} rooms", HEAD, sep="\n\n")
        for name in dict.fromkeys(name for room in rooms for name in room):
            found = [room[name] for room in rooms if name in room]
            print(row(name, [one for judged, _ in found for one in judged], sum(count for _, count in found)))
        print(flush=True)


def _large(labels: np.ndarray) -> np.ndarray:
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    return np.flatnonzero(counts >= MIN_PIXELS)


def _array(path: Path) -> np.ndarray:
    with np.load(path) as stored:
        return np.asarray(stored[stored.files[0]])


if __name__ == "__main__":
    main()

"""Rendered rooms as SOT scenes: what is asked follows from their true geometry, not from what is tracked."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cc_ros.errors import SourceError

FILES = ("rgb.mp4", "ids.npz", "frames.json", "scene.json")
SAME_PLACE = 0.25  # m that the camera may move and still stand at one place
SEEN = 0.02  # share of a picture that an object must fill once to be asked about
APART = math.radians(15)  # between the directions of two objects, for left and right to be beyond doubt
FAR_APART = math.radians(35)  # so far apart, no one picture shows both whole: pairs to prefer
BEHIND = math.radians(150)
PROMINENT = 6  # objects that are asked about, the largest by what is seen of them
OBSERVER_QUESTIONS, PERSPECTIVE_QUESTIONS = 3, 2


@dataclass(frozen=True)
class Seen:
    """An object with a name of its own: its direction from the camera (radians, left positive), and its pixels."""

    id: int
    name: str
    direction: float
    pixels: int


def is_room(folder: Path) -> bool:
    """Whether a folder holds a rendered room whose camera stays at one place."""
    if not all((folder / name).is_file() for name in FILES):
        return False
    places = np.array([frame["T_world_cam"] for frame in _read(folder / "frames.json")["frames"]])[:, :3, 3]
    return bool(np.linalg.norm(places - places.mean(axis=0), axis=1).max() <= SAME_PLACE)


def room_scene(folder: Path) -> dict[str, Any]:
    """Return the room as the contents of a ``sot.json``.

    :raises SourceError: a file is damaged.
    """
    frames, scene = _read(folder / "frames.json"), _read(folder / "scene.json")
    try:
        pairs = _pairs(_prominent(frames, scene))
        questions = [_observer(number, *pair) for number, pair in enumerate(pairs[:OBSERVER_QUESTIONS])]
        questions += [_perspective(number, *pair) for number, pair in enumerate(pairs[:PERSPECTIVE_QUESTIONS])]
        names = {str(one["id"]): one["label"] for one in scene["objects"]}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceError(f"{folder} is no rendered room: {type(error).__name__} {error}") from error
    files = {"videos": {"A": FILES[0]}, "truth": {"A": FILES[1]}}
    return {"scene": folder.name, **files, "objects": names, "questions": questions}


def _prominent(frames: Mapping[str, Any], scene: Mapping[str, Any]) -> list[Seen]:
    poses = np.array([frame["T_world_cam"] for frame in frames["frames"]])
    x, y, _ = poses[:, :3, 3].mean(axis=0)
    forward = poses[:, :3, 2].mean(axis=0)
    ahead = math.atan2(forward[1], forward[0])
    pixels: Counter[int] = Counter()
    largest: Counter[int] = Counter()
    for frame in frames["frames"]:
        for id, count in frame["visible_px"].items():
            pixels[int(id)] += count
            largest[int(id)] = max(largest[int(id)], count)
    shared = Counter(one["label"] for one in scene["objects"])
    least = SEEN * frames["width"] * frames["height"]
    seen = [
        Seen(
            one["id"],
            one["label"],
            math.remainder(math.atan2(one["centroid"][1] - y, one["centroid"][0] - x) - ahead, math.tau),
            pixels[one["id"]],
        )
        for one in scene["objects"]
        if shared[one["label"]] == 1 and largest[one["id"]] >= least
    ]
    return sorted(seen, key=lambda one: -one.pixels)[:PROMINENT]


def _pairs(seen: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Return pairs whose order is beyond doubt, those first that no one picture shows, then the largest."""
    apart = [pair for pair in itertools.combinations(seen, 2) if APART <= _between(*pair) <= BEHIND]
    return sorted(apart, key=lambda pair: (_between(*pair) < FAR_APART, -min(one.pixels for one in pair)))


def _between(a: Seen, b: Seen) -> float:
    return abs(a.direction - b.direction)


def _observer(number: int, a: Seen, b: Seen) -> dict[str, Any]:
    first, second = _turned(number, a, b)
    return {
        **{"id": f"observer{number + 1}", "kind": "observer", "video": "A"},
        "question": f"From the camera's position, is the {first.name} to the left or to the right of the "
        f"{second.name}?",
        "answer": "left" if first.direction > second.direction else "right",
        "objects": [first.id, second.id],
    }


def _perspective(number: int, a: Seen, b: Seen) -> dict[str, Any]:
    """Ask from the place of an object, facing the camera: what is left for the camera is then exactly right."""
    asked, stand = _turned(number + 1, a, b)
    return {
        **{"id": f"perspective{number + 1}", "kind": "perspective", "video": "A"},
        "question": f"Imagine that you stand at the {stand.name} and face the camera. Is the {asked.name} on your "
        "left or on your right? Answer left or right.",
        "answer": "right" if asked.direction > stand.direction else "left",
        "objects": [asked.id, stand.id],
    }


def _turned(number: int, a: Seen, b: Seen) -> tuple[Seen, Seen]:
    """Return the pair in the order in which left and right are the answer in turns."""
    left, right = (a, b) if a.direction > b.direction else (b, a)
    return (left, right) if number % 2 == 0 else (right, left)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error

"""How often geometry answers rightly, wrongly, or not at all: rendered rooms with true masks.

    python benchmarks/geometry_answers.py ROOMS [--frames 8]

ROOMS holds folders with ids.npz (instance maps), frames.json (camera) and questions.json, some with depth.npz. The true
masks stand in for a tracker, so that only the answering is measured. Then every two marks of a room are asked for with
relations of cc_ros.geometry.queries, and held against the middles of the objects; where the truth hangs on which spot
of an object is meant, an answer counts as right.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from cc_ros.geometry import SceneMap
from cc_ros.geometry.evaluate import evaluate
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.queries import Beside, Is, Nearer, Query, Within
from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.reasoning import Question
from cc_ros.reasoning.kinds import kind_of
from cc_ros.reasoning.measured.answers import answer_from_marks

KNOWN = {
    "odometry, depth where there is any": {"pose": True, "depth": True, "intrinsics": True},
    "odometry": {"pose": True, "depth": False, "intrinsics": True},
    "camera_info only": {"pose": False, "depth": False, "intrinsics": True},
    "pictures only": {"pose": False, "depth": False, "intrinsics": False},
}
MIN_PIXELS = 400
FIRST_OBJECT = 11  # smaller ids are walls and floor


def keyframes(
    room: Path, count: int, *, pose: bool, depth: bool, intrinsics: bool, first: int = FIRST_OBJECT
) -> list[MarkedKeyframe]:
    """Evenly spaced keyframes with a mark at the middle of every object of some size, from the id ``first`` on."""
    camera = json.loads((room / "frames.json").read_text())
    maps = _array(room / "ids.npz")
    depths = _array(room / "depth.npz") if depth and (room / "depth.npz").exists() else None
    frames = []
    for i in np.linspace(0, len(maps) - 1, count).round().astype(int):
        marks = []
        for id in np.unique(maps[i])[np.unique(maps[i]) >= first]:
            rows, columns = np.nonzero(maps[i] == id)
            if len(rows) >= MIN_PIXELS:
                away = math.nan if depths is None else float(np.median(depths[i][rows, columns])) / 1000
                marks.append(Mark(int(id), float(np.median(columns)), float(np.median(rows)), len(rows), away))
        frame = camera["frames"][i]
        frames.append(
            MarkedKeyframe(
                int(i),
                frame["t"],
                b"",
                camera["width"],
                camera["height"],
                tuple(marks),
                np.array(camera["K"]) if intrinsics else None,
                np.array(frame["T_world_cam"]) if pose else None,
            )
        )
    return frames


def asked(question: dict[str, Any], labels: dict[str, int]) -> tuple[str, str] | None:
    """Put a question of the room in terms of marks; with the answer that would be right."""
    if question["type"] == "left_right_observer":
        a, b = question["ids"]
        return f"Is mark {a} to the left or to the right of mark {b}?", question["answer"]
    if question["type"] == "left_right_other":  # from there, the first lies to this side of the second
        a, b = question["ids"]
        return (
            f"You are standing at mark {question['viewpoint_id']}, facing mark {b}. Is mark {a} to your left or right?",
            (question["answer"]),
        )
    if question["type"] == "nearer":
        a, b = question["ids"]
        return f"Which is nearer, mark {a} or mark {b}?", f"mark {labels[question['answer']]}"
    return None


def relations(scene: SceneMap, objects: dict[int, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Ask for every relation of every two marks; yield what was asked, and how it was answered."""
    here = None if scene.here is None else scene.here[:3, 3]
    for a, b in permutations(set(scene.ids) & set(objects), 2):
        p, q = (np.array(objects[id]["centroid"]) for id in (a, b))
        slack = sum(np.linalg.norm(np.subtract(objects[i]["bbox_max"], objects[i]["bbox_min"])) / 2 for i in (a, b))
        truths: dict[Query, float] = {
            Is(a, Beside("above", b)): p[2] - q[2],
            Is(a, Within(2.0, b)): 2 - np.linalg.norm(p - q),
        }
        if here is not None:
            (px, py), (qx, qy) = p[:2] - here[:2], q[:2] - here[:2]
            truths[Is(a, Beside("left", b))] = (qx * py - qy * px) / math.hypot(qx, qy)
            truths[Is(a, Nearer(b))] = float(np.linalg.norm(q - here) - np.linalg.norm(p - here))
        for query, truth in truths.items():
            found = evaluate(query, scene)
            assert isinstance(query, Is)
            word = "two marks: " + getattr(query.condition, "relation", type(query.condition).__name__.lower())
            if isinstance(found, Unknown):
                yield word, "unknown"
            else:
                yield word, "right" if found.value == (truth > 0) or abs(truth) < slack else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    for words, known in KNOWN.items():
        counts: Counter[tuple[str, str]] = Counter()
        for room in sorted(path.parent for path in options.rooms.glob("*/questions.json")):
            scene = SceneMap.from_keyframes(keyframes(room, options.frames, **known))
            objects = json.loads((room / "scene.json").read_text())["objects"]
            labels = {thing["label"]: thing["id"] for thing in objects}
            for question in json.loads((room / "questions.json").read_text()):
                put = asked(question, labels)
                if put is None:
                    continue
                asking = Question(put[0])
                answer = answer_from_marks(asking, kind_of(asking), scene)
                said = "unknown" if answer is None or not answer.ok else "right" if answer.text == put[1] else "wrong"
                counts[question["type"], said] += 1
            counts.update(relations(scene, {thing["id"]: thing for thing in objects}))
        print(words)
        for kind in sorted({kind for kind, _ in counts}):
            print(
                f"  {kind:22s}", ", ".join(f"{counts[kind, said]:4d} {said}" for said in ("right", "wrong", "unknown"))
            )


def _array(path: Path) -> np.ndarray:
    with np.load(path) as stored:
        return np.asarray(stored[stored.files[0]])


if __name__ == "__main__":
    main()

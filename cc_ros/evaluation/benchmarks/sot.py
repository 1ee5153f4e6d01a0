"""SOT: left or right, asked about a short pan, forward and backwards (paper, section on spatial orientation).

The paper's own scenes were never published. A scene is a folder with ``sot.json``::

    {"scene": "kitchen",
     "videos": {"A": "A.mp4", "B": "B.mp4"},
     "truth": {"A": "A.npz"}, "objects": {"11": "white door"},
     "questions": [{"id": "1", "kind": "observer", "video": "A", "question": "Is the door left of the sofa?",
                    "answer": "left", "objects": [11, 12]}]}

``B`` is another viewpoint of the same place; ``truth``, ``objects`` (names by true id) and a question's ``objects``
(what is asked about, then what it is compared with) are there where the true instance ids are known.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cc_ros.errors import SourceError
from cc_ros.evaluation.benchmarks.rooms import is_room, room_scene
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.metrics.harmonic import harmonic_mean
from cc_ros.evaluation.types import FORWARD, REVERSE, Media, Pair, Question, Score

OBSERVER, PERSPECTIVE = "observer", "perspective"
KINDS = (OBSERVER, PERSPECTIVE)
SIDES = ("left", "right")
SCENE_FILE = "sot.json"


class Sot:
    """Spatial orientation: 3 observer and 2 perspective-taking questions a scene, each asked in both directions."""

    name = "sot"
    splits = ("all",)
    directions = (FORWARD, REVERSE)
    needs = f"""left or right, asked about short pans, forward and backwards
The paper's ten scenes were never published. --data DIR is one of
  - left out, or `bundled`: three rendered rooms that come with the package (Apache-2.0)
  - a folder of scenes, each a folder with {SCENE_FILE} and its videos; `cc-ros eval sot make` makes one from two phone
    videos (pan from left to right, 3 to 5 seconds) and a sheet of questions
  - a folder of rendered rooms (rgb.mp4, ids.npz, frames.json, scene.json each; `python -m benchmarks.rooms` of the
    repository draws them); those in which the camera walks are left out, since their questions have no one answer"""

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions of every scene.

        :raises SourceError: there is no scene, or one is damaged.
        """
        questions = [question for folder in _scenes(data) for question in scene_questions(folder)]
        if not questions:
            raise SourceError(f"{data} holds no SOT scene: a folder with {SCENE_FILE}, or a rendered room")
        return drawn(questions, limit, seed)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return the accuracy forward, on the reversed video, and the harmonic mean of both, also by kind."""
        right = [float(side_of(answer.text if answer.ok else "") == question.answers[0]) for question, answer in pairs]
        backwards = [answer.direction == REVERSE for _, answer in pairs]

        def figure(name: str, kind: str, direction: str) -> Score:
            ours = [question.kind == kind or not kind for question, _ in pairs]
            wanted = [direction == (REVERSE if back else FORWARD) for back in backwards]
            values = [r if o and w else math.nan for r, o, w in zip(right, ours, wanted, strict=True)]
            return Score(name, values)

        scores = []
        for kind in ("", *(kind for kind in KINDS if any(question.kind == kind for question, _ in pairs))):
            after = f"_{kind}" if kind else ""
            forward, reverse = (figure(direction + after, kind, direction) for direction in (FORWARD, REVERSE))
            scores += [forward, reverse, _harmonic(f"harmonic{after}", forward, reverse)]
        return scores


def scene_questions(folder: Path) -> Iterator[Question]:
    """Yield the questions of one scene.

    :raises SourceError: its files are missing or damaged.
    """
    scene = room_scene(folder) if is_room(folder) else _read(folder / SCENE_FILE)
    try:
        name, videos, truth = str(scene["scene"]), scene["videos"], scene.get("truth", {})
        things = tuple(sorted(int(id) for id in scene.get("objects", {})))
        for row in scene["questions"]:
            video = row.get("video", "A")
            yield Question(
                id=f"{name}/{row['id']}",
                benchmark=Sot.name,
                text=row["question"],
                media=Media(
                    path=folder / videos[video],
                    truth=folder / truth[video] if video in truth else None,
                    things=things if video in truth else (),
                ),
                answers=(_one_of(SIDES, row["answer"]),),
                kind=_one_of(KINDS, row["kind"]),
                # Seen from elsewhere, the prompt must not speak of the camera's place.
                ask_as="left_right" if row["kind"] == OBSERVER else "viewpoint",
                scene=name,
                extra={"objects": row.get("objects", []), "mirrored": row["kind"] == PERSPECTIVE, "allowed": SIDES},
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise SourceError(f"{folder / SCENE_FILE}: {what}") from error


def side_of(text: str) -> str:
    """Return the side that an answer says, "" where it says none or both."""
    sides = set(re.findall(r"\b(left|right)\b", text.lower()))
    return sides.pop() if len(sides) == 1 else ""


def _harmonic(name: str, forward: Score, reverse: Score) -> Score:
    values = [b if math.isnan(a) else a for a, b in zip(forward.values, reverse.values, strict=True)]
    return Score(name, values, lambda numbers: harmonic_mean(forward.over(numbers), reverse.over(numbers)))


def _scenes(data: Path) -> list[Path]:
    if not data.is_dir():
        raise SourceError(f"there is no folder {data}")
    folders = [data, *sorted(one for one in data.iterdir() if one.is_dir())]
    return [one for one in folders if (one / SCENE_FILE).is_file() or is_room(one)]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        scene = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if not isinstance(scene, dict):
        raise SourceError(f"{path} must hold one JSON object")
    return scene


def _one_of(allowed: Sequence[str], value: Any) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return str(value)

"""R2R-CE (Krantz et al., ECCV 2020): episodes of instruction following in Matterport3D, as VLN-CE publishes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cc_ros.errors import SourceError
from cc_ros.evaluation.benchmarks.files import Row, find_file, read_json, rows_of
from cc_ros.evaluation.benchmarks.sample import drawn

SPLITS = ("val_unseen", "val_seen", "train")
FOLDERS = ("R2R_VLNCE_v1-3_preprocessed", "R2R_VLNCE_v1-3")
NEEDS = """instructions in Matterport3D, driven by `cc-ros sim`, scored by SR, oracle SR, SPL, TL and NE
Episodes: R2R_VLNCE_v1-3[_preprocessed].zip of https://github.com/jacobkrantz/VLN-CE (terms of Matterport3D and
CC BY-NC-SA 3.0 US; only the code is MIT), unpacked:
  DIR/R2R_VLNCE_v1-3[_preprocessed]/{split}/{split}.json.gz, with {split}_gt.json.gz beside it (preprocessed).
Scenes: Matterport3D under its terms, https://niessner.github.io/Matterport:
  DIR/scene_datasets/mp3d/{scene}/{scene}.glb, rendered by Habitat: conda install habitat-sim headless -c conda-forge -c
  aihabitat"""

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Rules:
    """How an episode is run and scored; a figure states them.

    :param forward: metres of one step forward.
    :param turn: radians of one turn.
    :param max_steps: actions after which an episode ends.
    :param success: metres to the goal within which STOP is a success.
    :param allow_sliding: whether the robot slides along what it touches, as VLN-CE has it; a real one does not.
    """

    forward: float = 0.25
    turn: float = math.radians(15)
    max_steps: int = 500
    success: float = 3.0
    allow_sliding: bool = True

    def stated(self) -> dict[str, Any]:
        """Return them for results; in metres and degrees."""
        return {"actions": "discrete", **asdict(self), "turn": round(math.degrees(self.turn), 6)}

    def __str__(self) -> str:
        return (
            f"at most {self.max_steps} discrete actions, {self.forward:g} m forward or {math.degrees(self.turn):g} "
            f"degrees; success is STOP within {self.success:g} m of a goal; allow_sliding {self.allow_sliding}"
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode. Points are metres in Habitat's frame: x right, y up, z backward.

    :param id: unique in its split.
    :param trajectory: id of the path that up to three instructions describe.
    :param scene: Matterport3D's id.
    :param instruction: as the model reads it.
    :param start: where the robot starts.
    :param rotation: its orientation there, quaternion x, y, z, w; it looks along -z.
    :param goals: any of them is right.
    :param radius: of the goals as published, metres.
    :param reference_path: what the instruction describes, start and goal included.
    :param geodesic_distance: of start and goal, metres; NaN where it is not published.
    :param gt_actions: the shortest way in VLN-CE's actions (0 stop, 1 forward, 2 left, 3 right); empty = not published.
    :param gt_locations: where they lead.
    """

    id: str
    trajectory: str
    scene: str
    instruction: str
    start: Point
    rotation: tuple[float, float, float, float]
    goals: tuple[Point, ...]
    radius: float
    reference_path: tuple[Point, ...]
    geodesic_distance: float = math.nan
    gt_actions: tuple[int, ...] = ()
    gt_locations: tuple[Point, ...] = ()

    @property
    def heading(self) -> float:
        """Radians to the left of Habitat's -z axis, in which the robot looks at the start."""
        x, y, z, w = self.rotation
        return math.atan2(2 * (w * y + x * z), 1 - 2 * (x * x + y * y))


def episodes_file(data: Path, split: str = "") -> Path:
    """Return the file of a split.

    :param split: one of :data:`SPLITS`; "" = the first.
    :raises SourceError: it is missing.
    """
    split = split or SPLITS[0]
    if split not in SPLITS:
        raise SourceError(f"R2R-CE has the splits {', '.join(SPLITS)}, not {split!r}")
    return find_file(data, [f"{folder}{split}/{split}.json.gz" for folder in (*(f"{f}/" for f in FOLDERS), "")], NEEDS)


def load_episodes(data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Episode]:
    """Return the episodes of a split.

    :param split: one of :data:`SPLITS`; "" = the first.
    :param limit: at most so many, drawn with ``seed``; 0 = all.
    :raises SourceError: files are missing or damaged.
    """
    path = episodes_file(data, split)
    truth_path = path.with_name(path.name.replace(".json", "_gt.json"))
    truth = read_json(truth_path) if truth_path.exists() else {}
    if not isinstance(truth, dict):
        raise SourceError(f"{truth_path} holds no paths by episode: it is another file, or damaged")
    episodes = []
    for number, row in enumerate(rows_of(path, read_json(path), "episodes")):
        try:
            episodes.append(_episode(row, truth.get(str(row["episode_id"]), {})))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise SourceError(f"{path}, episode {number}: {what}") from error
    return drawn(episodes, limit, seed)


def _episode(row: Row, truth: Mapping[str, Any]) -> Episode:
    x, y, z, w = map(float, row["start_rotation"])
    if not 0.9 < math.hypot(x, y, z, w) < 1.1:
        raise ValueError(f"start_rotation {row['start_rotation']} is no unit quaternion")
    goals = row["goals"]
    return Episode(
        id=str(row["episode_id"]),
        trajectory=str(row["trajectory_id"]),
        scene=Path(row["scene_id"]).stem,
        instruction=str(row["instruction"]["instruction_text"]).strip(),
        start=_point(row["start_position"]),
        rotation=(x, y, z, w),
        goals=tuple(_point(goal["position"]) for goal in goals),
        radius=float(goals[0]["radius"]),
        reference_path=tuple(map(_point, row["reference_path"])),
        geodesic_distance=float(row.get("info", {}).get("geodesic_distance", math.nan)),
        gt_actions=tuple(map(int, truth.get("actions", ()))),
        gt_locations=tuple(map(_point, truth.get("locations", ()))),
    )


def _point(values: Any) -> Point:
    x, y, z = map(float, values)
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError(f"{values} is no point")
    return x, y, z

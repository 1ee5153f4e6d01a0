"""Goals of the running nodes in rendered rooms: a walk is played, "go to mark N" is asked, and the goal is looked at.

    PYTHONPATH=test python -m benchmarks.live_goals ROOM... [--rate 0.5] [--backend flow]

ROOM is a folder with rgb.mp4, depth.npz, frames.json and scene.json, from ``python -m benchmarks.rooms`` (walk).
It is played as a bag into cc_tracker, cc_keyframes and cc_reasoner; the tracker finds its own masks. Each mark
is asked for with send_goal: either it is refused, with the reason, and
nothing comes out on cc/goal, or the very goal comes out. Goals are held against the true furniture and walls: inside,
or touching it with a robot of 0.25 m.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from geometry_msgs.msg import PoseStamped
from scipy.spatial.transform import Rotation
from support.bags import COMPRESSED, IMAGE, Row, T, camera_info, header, odometry, write_bag
from support.rig import START, isolated, until

from benchmarks.goals import away, footprints
from cc_ros.client import SpatialMemory
from cc_ros.commands.beside import nodes_beside
from cc_ros.geometry.goals import GoalRules
from cc_ros.geometry.poses import OPTICAL_IN_BODY
from cc_ros.nodes.bag_player import PlaySettings, play

NODES = ("tracker", "keyframes", "reasoner")
SILENCE = 0.5  # seconds without a goal after a refusal
HEARD = 5.0  # seconds for a goal to come out


@dataclass(frozen=True)
class Asked:
    """What became of one question.

    :param outcome: refused, good, touching, inside; silent where an answer with a goal came and no goal, told where one
        came out with a refusal.
    """

    mark: int
    outcome: str
    text: str


def rows(room: Path) -> Iterator[Row]:
    """Yield the messages of a walk: compressed images, depth in millimetres, calibration, odometry of the camera."""
    camera = json.loads((room / "frames.json").read_text())
    film = cv2.VideoCapture(str(room / "rgb.mp4"))
    with np.load(room / "depth.npz") as stored:
        depths = stored[stored.files[0]]
    k = np.array(camera["K"], float).ravel()
    for frame, deep in zip(camera["frames"], depths, strict=True):
        there, picture = film.read()
        if not there:
            raise SystemExit(f"{room}/rgb.mp4 has fewer frames than frames.json")
        stamp, (height, width) = frame["t"], deep.shape
        jpeg = cv2.imencode(".jpg", picture)[1].ravel()
        pose = np.array(frame["T_world_cam"]) @ np.linalg.inv(OPTICAL_IN_BODY)
        at = odometry(stamp, 0.0)
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        at.pose.pose.position.x, at.pose.pose.position.y, at.pose.pose.position.z = map(float, pose[:3, 3])
        turn = at.pose.pose.orientation
        turn.x, turn.y, turn.z, turn.w = float(x), float(y), float(z), float(w)
        data = deep.astype("<u2").view(np.uint8).ravel()
        yield "/odom", stamp, at
        yield "/camera_info", stamp, camera_info(stamp, k, width, height)
        yield "/depth", stamp, T[IMAGE](header(stamp), height, width, "16UC1", 0, 2 * width, data)
        yield "/image/compressed", stamp, T[COMPRESSED](header(stamp), "jpeg", jpeg)


def asked(memory: SpatialMemory, goals: list[PoseStamped], mark: int, room: Path) -> Asked:
    """Ask to go to a mark, and hold what comes out against the room."""
    before = len(goals)
    answer = memory.ask(f"Go to mark {mark}.", send_goal=True, timeout=30.0)
    if not answer.ok or answer.goal is None:
        time.sleep(SILENCE)
        return Asked(mark, "told" if len(goals) > before else "refused", answer.message or answer.text)
    deadline = time.monotonic() + HEARD
    while len(goals) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    if len(goals) == before:
        return Asked(mark, "silent", answer.text)
    position = goals[-1].pose.position
    place = np.array([position.x, position.y])
    if np.hypot(*(place - (answer.goal.x, answer.goal.y))) > 1e-6:
        return Asked(mark, "silent", f"({position.x}, {position.y}) came out, not the answer's goal")
    scene = json.loads((room / "scene.json").read_text())
    half = np.array(scene["room"][:2]) / 2
    wall = float((half - np.abs(place)).min())
    clear = min(wall, *(away(place, outline) for outline in footprints(scene)))
    outcome = "inside" if clear <= 0 else "touching" if clear < GoalRules().radius else "good"
    return Asked(mark, outcome, f"({place[0]:.2f}, {place[1]:.2f}), {clear:.2f} m clear: {answer.text}")


def played(room: Path, rate: float, backend: str) -> Iterator[Asked]:
    """Play a walk into the nodes, and yield what became of the question for each mark."""
    with tempfile.TemporaryDirectory() as folder:
        bag = write_bag(Path(folder) / "bag", rows(room))
        given = ["--backend", backend, "--param", "cc_reasoner:prefer:=geometry", "--nodes", *NODES]
        with nodes_beside(Path(folder) / "nodes.log", given), SpatialMemory(name="goals", wait=START) as memory:
            goals: list[PoseStamped] = []
            memory.node.create_subscription(PoseStamped, "cc/goal", goals.append, 10)
            until(lambda: memory.node.count_publishers("cc/goal"), START, "cc_reasoner did not start")
            play(bag, PlaySettings(rate=rate, wait=START))
            time.sleep(2.0)  # for the last frames to be tracked
            marks = sorted({mark.id for keyframe in memory.keyframes() for mark in keyframe.marks})
            for mark in marks:
                yield asked(memory, goals, mark, room)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", type=Path, nargs="+")
    parser.add_argument("--rate", type=float, default=0.5, help="of playing")
    parser.add_argument("--backend", default="flow", help="of the tracker")
    options = parser.parse_args()
    with isolated():
        for room in options.rooms:
            found = list(played(room, options.rate, options.backend))
            for one in found:
                print(f"  {room.name} mark {one.mark}: {one.outcome}: {one.text}", flush=True)
            print(room.name, dict(sorted(Counter(one.outcome for one in found).items())), flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measure the memory over restarts: numbers that are kept, and a day of keyframes.

usage: memory.py rooms DIR.. [--map]     two episodes of each room; nothing is shared by them but the memory's folder
       memory.py changed DIR.. [--map]   the same where an object was taken away or moved before the second
       memory.py day [--hours 24] [--megabytes 200]

DIR of `benchmarks.rooms`: a folder NAME_revisit is cut into its way there and its way back; of other folders two a room
are taken as its episodes, as in `memory.py rooms room301_walk room301_rewalk`. `changed` takes NAME_revisit, whose way
there is the first episode, and for the second NAME_removed and NAME_moved, slowly there and back.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.keyframes import Candidate, KeyframeRequest
from cc_ros.keyframes.store import ArrayPicture
from cc_ros.memory import Memory, MemoryReader, MemorySettings
from cc_ros.tracking.factory import make_tracker

MIN_PX = 600  # smaller views of an object are not scored
FIRST_OBJECT = 11  # below are floor, walls and rug
BEGIN = 1_760_000_000.0


@dataclass(frozen=True)
class Clip:
    """A part of a rendered sequence: frames with ground truth."""

    folder: Path
    first: int
    last: int
    slow: bool = False  # at 10 Hz, to the end and back

    def frames(self, poses: bool) -> Iterator[tuple[Frame, np.ndarray]]:
        about = json.loads((self.folder / "frames.json").read_text())
        truth = np.load(self.folder / "ids.npz")["ids"]
        depth = self.folder / "depth.npz"
        depths = np.load(depth)["depth_mm"] if depth.is_file() else None
        fps = 10 if self.slow else about["fps"]
        images = _images(self.folder / "rgb.mp4", self.last)
        order = range(self.first, len(images))
        for number, index in enumerate([*order, *reversed(order)] if self.slow else order):
            metres = None
            if poses and depths is not None:
                metres = np.where(depths[index] > 0, depths[index], np.nan).astype(np.float32) / 1000
            pose = np.array(about["frames"][index]["T_world_cam"]) if poses else None
            yield (
                Frame(images[index], number / fps, metres, np.array(about["K"]), pose),
                truth[index],
            )


def _images(path: Path, most: int) -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(path)), list[np.ndarray]()
    while len(images) < most:
        found, image = capture.read()
        if not found:
            break
        images.append(image)
    return images


def episode(memory: Memory, clip: Clip, begin: float, poses: bool, world: str) -> dict[int, Counter[int]]:
    """Track a clip with the memory on; return object of the truth -> how often it had which number."""
    tracker = make_tracker("flow")
    tracker.prepare()
    memory.new_episode(clip.folder.name)
    kept, shown = [], []
    for index, (frame, truth) in enumerate(clip.frames(poses)):
        tracked = tracker.step(frame)
        candidate = Candidate(
            *(index, frame.stamp, ArrayPicture(frame.image), tracked.labels, frame.depth, frame.intrinsics, frame.pose),
            {track.id: track.confidence for track in tracked.tracks},
            {track.id: track.first_seen for track in tracked.tracks},
        )
        memory.offer(candidate, begin, world)
        memory.flush()
        if index % 10 == 0:
            kept.append(candidate.keep())
            shown.append(truth)
    numbers: dict[int, Counter[int]] = defaultdict(Counter)
    for frame, truth in zip(kept, shown, strict=True):
        labels = memory.numbered(frame).labels()
        for number in np.unique(labels[labels > 0]).tolist():
            mask = labels == number
            objects, counts = np.unique(truth[mask], return_counts=True)
            best = int(objects[counts.argmax()])
            whole = truth == best
            if best >= FIRST_OBJECT and whole.sum() >= MIN_PX and 2 * counts.max() > (mask | whole).sum():
                numbers[best][number] += 1
    tracker.close()
    return numbers


def compare(pair: tuple[Clip, Clip], poses: bool, world: str) -> tuple[int, int, int, int]:
    """Return of two episodes: objects in both, those that kept their number, that were swapped, and swapped alike."""
    with tempfile.TemporaryDirectory() as folder:
        settings = MemorySettings(memory_dir=folder)
        seen = []
        for number, clip in enumerate(pair):
            memory = Memory(settings)
            seen.append(episode(memory, clip, BEGIN + 86400 * number, poses, world))
            memory.close()
    first, second = ({thing: counts.most_common(1)[0][0] for thing, counts in of.items()} for of in seen)
    scene = json.loads((pair[0].folder / "scene.json").read_text())
    category = {thing["id"]: thing["category"] for thing in scene["objects"]}
    owner = {number: thing for thing, number in first.items()}
    both = sorted(first.keys() & second.keys())
    kept = sum(first[thing] == second[thing] for thing in both)
    wrong = [(thing, owner[number]) for thing, number in second.items() if owner.get(number, thing) != thing]
    alike = sum(category.get(a) == category.get(b) for a, b in wrong)
    return len(both), kept, len(wrong), alike


def changes(before: Clip, after: Clip, poses: bool, world: str) -> tuple[str, int, int] | None:
    """Return what the memory says of the object that was changed, and of how many others that they went, and moved.

    "new number" = it was not known again where it is now. None where it was not seen before.
    """
    changed = json.loads((after.folder / "scene.json").read_text())["changed"]
    with tempfile.TemporaryDirectory() as folder:
        seen = []
        for number, clip in enumerate((before, after)):
            memory = Memory(MemorySettings(memory_dir=folder))
            seen.append(episode(memory, clip, BEGIN + 86400 * number, poses, world))
            memory.close()
        with MemoryReader(folder) as reader:
            states = {one.id: one.state for one in reader.objects()}
    if changed not in seen[0]:
        return None
    mine = seen[0][changed].most_common(1)[0][0]
    state = states.get(mine, "forgotten")
    if changed in seen[1] and seen[1][changed].most_common(1)[0][0] != mine:
        state += ", new number"
    others = Counter(told for number, told in states.items() if number != mine)
    return state, others["absent"], others["moved"]


def changed(folders: list[Path], localised: bool) -> None:
    print("| room | poses | it is said to be | others absent | others moved |\n|---|---|---|---|---|")
    places = {folder.name: folder for folder in folders}
    for poses in (True, False):
        for name, folder in places.items():
            room, _, what = name.partition("_")
            if what in ("removed", "moved"):
                before, after = Clip(places[f"{room}_revisit"], 0, 170), Clip(folder, 0, 10**9, slow=True)
                got = changes(before, after, poses, "map" if localised else "odom")
                told = "not seen before | |" if got is None else " | ".join(map(str, got))
                print(f"| {name} | {'yes' if poses else 'no'} | {told} |", flush=True)


def pairs(folders: list[Path]) -> Iterator[tuple[Clip, Clip]]:
    rooms: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        if folder.name.endswith("_revisit"):
            yield Clip(folder, 0, 170), Clip(folder, 190, 10**9)
        else:
            rooms[folder.name.partition("_")[0]].append(folder)
    for found in rooms.values():
        yield from ((Clip(a, 0, 10**9), Clip(b, 0, 10**9)) for a, b in itertools.combinations(found, 2))


def rooms(folders: list[Path], localised: bool) -> None:
    print("| room | poses | objects in both | kept | swapped | with one of its kind |\n|---|---|---|---|---|---|")
    for poses in (True, False):
        total = np.zeros(4, int)
        for pair in pairs(folders):
            got = compare(pair, poses, "map" if localised else "odom")
            total += got
            names = " ".join(dict.fromkeys(clip.folder.name for clip in pair))
            print(f"| {names} | {'yes' if poses else 'no'} |", " | ".join(map(str, got)), "|", flush=True)
        share = total[1] / max(total[0], 1)
        print(f"| all | {'yes' if poses else 'no'} |", " | ".join(map(str, total)), f"| kept {share:.2f}", flush=True)


def day(hours: float, megabytes: float) -> dict[str, float]:
    """Write keyframes at 1 Hz for so many simulated hours; return the figures."""
    folder = Path(tempfile.mkdtemp())
    try:
        return _day(folder, hours, megabytes)
    finally:
        shutil.rmtree(folder)


def picture_of(hour: int) -> np.ndarray:
    """Return a picture (240x320x3 uint8 BGR) that says by its colour which hour it is of."""
    image = np.random.default_rng(hour).integers(0, 40, (240, 320, 3), np.uint8)
    image[:120] = (10 * (hour % 24), 255 - 10 * (hour % 24), 128)
    return image


def _day(folder: Path, hours: float, megabytes: float) -> dict[str, float]:
    settings = MemorySettings(memory_dir=str(folder), memory_megabytes=megabytes)
    memory = Memory(settings)
    memory.new_episode("a day")
    labels = np.zeros((240, 320), np.uint16)
    for i in range(10):
        labels[20 + 20 * i : 36 + 20 * i, 40 : 40 + 24 * (i + 1)] = i + 1
    known = dict.fromkeys(range(1, 11), 0.0)
    jpegs = [Encoded(cv2.imencode(".jpg", picture_of(hour))[1].tobytes()) for hour in range(int(np.ceil(hours)))]
    pose, k = np.eye(4), np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    seconds, begun = [], time.perf_counter()
    for second in range(round(3600 * hours)):
        candidate = Candidate(
            *(second, float(second), jpegs[second // 3600], labels, None, k, pose),
            dict.fromkeys(known, 1.0),
            known,
        )
        before = time.perf_counter()
        memory.offer(candidate, BEGIN, "map")
        memory.flush()
        seconds.append(time.perf_counter() - before)
        if second % 3600 == 0:
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            print(
                f"hour {second // 3600}: {size / 1e6:.0f} MB, {len(seconds) / (time.perf_counter() - begun):.0f}/s",
                file=sys.stderr,
            )
    trouble, figures = memory.health()
    memory.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    opened = time.perf_counter()
    again = Memory(settings)
    opening = time.perf_counter() - opened
    again.close()
    right, asking = 0, []
    with MemoryReader(folder) as reader:
        for hour in range(len(jpegs)):
            since = BEGIN + 3600 * hour
            before = time.perf_counter()
            frames = reader.frames(KeyframeRequest(since=since, until=since + 3599.5), 8)
            asking.append(time.perf_counter() - before)
            colour = cv2.imdecode(np.frombuffer(jpegs[hour].jpeg(), np.uint8), cv2.IMREAD_COLOR)[60, 160].astype(int)
            good = [np.abs(frame.image()[60, 160].astype(int) - colour).max() < 4 for frame in frames]
            spread = frames[-1].stamp - frames[0].stamp > 0.8 * min(3600, 3600 * hours - 3600 * hour)
            right += len(frames) == 8 and all(good) and spread
        kept = len(reader.keyframes())
    assert not trouble, trouble
    assert not figures.get("memory_errors") and not figures.get("memory_frames_dropped_disk_too_slow"), figures
    milliseconds = 1e3 * np.array(seconds)
    return {
        "hours": hours,
        "bound_mb": megabytes,
        "mb": size / 1e6,
        "keyframes_kept": kept,
        "hours_answered_from_their_pictures": right,
        "opening_s": opening,
        "keyframe_ms_median": float(np.median(milliseconds)),
        "keyframe_ms_mean": float(milliseconds.mean()),
        "keyframe_ms_p99": float(np.percentile(milliseconds, 99)),
        "window_of_an_hour_ms": 1e3 * max(asking),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


@dataclass(frozen=True)
class Encoded:
    """A picture that came as JPEG."""

    data: bytes

    def jpeg(self) -> bytes:
        """Return it."""
        return self.data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    of_rooms = parts.add_parser("rooms")
    of_changes = parts.add_parser("changed")
    for part in (of_rooms, of_changes):
        part.add_argument("folders", nargs="+", type=Path, metavar="DIR")
        part.add_argument("--map", action="store_true", help="the poses are in `map`, where a robot is localised")
    of_a_day = parts.add_parser("day")
    of_a_day.add_argument("--hours", type=float, default=24.0)
    of_a_day.add_argument("--megabytes", type=float, default=200.0)
    options = parser.parse_args()
    if options.part != "day":
        (rooms if options.part == "rooms" else changed)(options.folders, options.map)
        return
    for name, value in day(options.hours, options.megabytes).items():
        print(f"| {name} | {value:.4g} |")


if __name__ == "__main__":
    main()

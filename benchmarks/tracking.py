#!/usr/bin/env python3
"""Score the flow backend: rooms, DAVIS 2016, speed and growth, in one table.

usage: tracking.py --data DIR --tools DIR [--only rooms davis growth]

DIR/rooms/NAME_{pan,revisit,walk}/  rgb.mp4, ids.npz, frames.json; where depth.npz is, with depth and pose as well
DIR/davis/                          DAVIS 2016: JPEGImages/480p/SEQ, Annotations/480p/SEQ; frame 0 is given
--tools                             folder of score_rooms.py and score_davis.py, which do the scoring
Keyframes are 8 a sequence, uniform in time, with the 8 marks that cc_ros.keyframes selects and places.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import psutil

from cc_ros.frame import Frame
from cc_ros.keyframes import Candidate, Keyframes, KeyframeSettings
from cc_ros.keyframes.store import ArrayPicture
from cc_ros.tracking.base import Tracked
from cc_ros.tracking.flow import FlowTracker

KEYFRAMES, MARKS = 8, 8
GROWTH_FRAMES = 5000  # at least; the last 100 show what the first 100 show
MIN_PX = 600  # smaller views are not scored, as in score_rooms.py


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_video(path: Path) -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(path)), []
    while True:
        found, image = capture.read()
        if not found:
            return images
        images.append(image)


def frames(folder: Path, known: str) -> list[Frame]:
    """Return the frames of a room with what is ``known``: "", "depth" or "depth and pose"."""
    meta, images = json.loads((folder / "frames.json").read_text()), read_video(folder / "rgb.mp4")
    plain = [Frame(image, number / meta["fps"]) for number, image in enumerate(images)]
    if not known:
        return plain
    depth = np.load(folder / "depth.npz")["depth_mm"].astype(np.float32) * meta["depth_unit_mm"] / 1000
    depth[depth == 0] = np.nan
    poses = [np.array(f["T_world_cam"]) if known == "depth and pose" else None for f in meta["frames"]]
    return [
        replace(frame, depth=d, intrinsics=np.array(meta["K"]), pose=pose)
        for frame, d, pose in zip(plain, depth, poses, strict=True)
    ]


def track(frames: list[Frame]) -> tuple[list[Tracked], np.ndarray]:
    """Return the answers and the milliseconds of each frame."""
    tracker, answers, times = FlowTracker(), [], []
    for frame in frames:
        start = time.perf_counter()
        answers.append(tracker.step(frame))
        times.append(1000 * (time.perf_counter() - start))
    return answers, np.array(times)


def marked(shown: list[Frame], answers: list[Tracked]) -> list[dict]:
    keyframes = Keyframes(KeyframeSettings(frames=KEYFRAMES, marks=MARKS))
    for i in np.linspace(0, len(shown) - 1, KEYFRAMES).round().astype(int).tolist():
        sure = {track.id: track.confidence for track in answers[i].tracks}
        picture = ArrayPicture(shown[i].image)
        keyframes.store.offer(Candidate(i, shown[i].stamp, picture, answers[i].labels, confidences=sure))
    return [
        {"index": k.index, "marks": [{"id": m.id, "x": m.x, "y": m.y} for m in k.marks]} for k in keyframes.marked()
    ]


def held(answers: list[Tracked], truth: np.ndarray) -> Iterator[tuple[float, bool]]:
    """Yield the confidence of each visible track, and whether its mask lies mostly on the object it had first."""
    of: dict[int, int] = {}
    for answer, ids in zip(answers, truth, strict=True):
        for t in answer.tracks:
            if t.area < MIN_PX:
                continue
            inside = np.bincount(ids[answer.labels == t.id])
            main = int(inside.argmax())
            of.setdefault(t.id, main)
            yield t.confidence, main == of[t.id] and main >= 7 and inside[main] > 0.5 * t.area


def rooms(data: Path, tools: Path) -> list[tuple[float, bool]]:
    score = load(tools / "score_rooms.py")
    kinds: dict[str, list[dict]] = {}
    outcomes: list[tuple[float, bool]] = []
    for folder in sorted(path.parent for path in (data / "rooms").glob("*/ids.npz")):
        truth = np.load(folder / "ids.npz")["ids"]
        for known in ("", "depth", "depth and pose") if (folder / "depth.npz").exists() else ("",):
            shown = frames(folder, known)
            answers, ms = track(shown)
            result = score.track_scores(truth, {i: answer.labels for i, answer in enumerate(answers)})
            result |= score.mark_scores(truth, marked(shown, answers))
            result |= {"ms": float(np.median(ms)), "p95": float(np.percentile(ms, 95))}
            outcomes += held(answers, truth)
            aided = f" with {known}" if known else ""
            show(folder.name + aided, result)
            kinds.setdefault(folder.name.rpartition("_")[2] + aided, []).append(result)
    for kind, results in kinds.items():
        show(f"mean of {len(results)} {kind}", {key: float(np.mean([r[key] for r in results])) for key in results[0]})
    return outcomes


def show(name: str, result: dict[str, float]) -> None:
    print(f"{name:36s}", "  ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)


def calibration(outcomes: list[tuple[float, bool]]) -> None:
    """Print how often tracks of each confidence are on their object."""
    confidence, right = (np.array(column) for column in zip(*outcomes, strict=True))
    for low in np.arange(0, 1, 0.2):
        chosen = (confidence >= low) & (confidence < low + 0.2 + 1e-9)
        if chosen.any():
            print(f"confidence {low:.1f}-{low + 0.2:.1f}  right {right[chosen].mean():.3f}  of {chosen.sum()}")


def davis(data: Path, tools: Path) -> None:
    score = load(tools / "score_davis.py")
    means = []
    for folder in sorted((data / "davis/JPEGImages/480p").iterdir()):
        truth = data / "davis/Annotations/480p" / folder.name
        tracker, scores, times = FlowTracker(), [], []
        files = sorted(folder.glob("*.jpg"))
        for number, file in enumerate(files):
            image = cv2.imread(str(file))
            mask = cv2.imread(str(truth / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
            if number == 0:
                tracker.seed(mask.astype(np.uint16))
            start = time.perf_counter()
            found = tracker.step(Frame(image, number / 24)).labels > 0
            times.append(1000 * (time.perf_counter() - start))
            if 0 < number < len(files) - 1:
                scores.append(((mask & found).sum() / max((mask | found).sum(), 1), score.f_measure(found, mask)))
        j, f = np.mean(scores, axis=0)
        means.append((j, f, np.median(times)))
        show(folder.name, {"J": j, "F": f, "ms": float(np.median(times))})
    j, f, ms = np.mean(means, axis=0)
    show(f"mean of {len(means)}", {"J": j, "F": f, "ms": ms})


def growth(data: Path) -> None:
    """Track a looped video and print time and memory at its start and end."""
    images = read_video(next((data / "rooms").glob("*_revisit")) / "rgb.mp4")
    images += images[::-1]
    frames = -(-(GROWTH_FRAMES - 100) // len(images)) * len(images) + 100
    tracker, times, process, start = FlowTracker(), [], psutil.Process(), 0
    for number in range(frames):
        begin = time.perf_counter()
        tracker.step(Frame(images[number % len(images)], number / 30))
        times.append(1000 * (time.perf_counter() - begin))
        if number == len(images):
            start = process.memory_info().rss
    first, last = float(np.mean(times[:100])), float(np.mean(times[-100:]))
    grown = (process.memory_info().rss - start) / 2**20
    show(f"growth, {frames} frames", {"first100": first, "last100": last, "ratio": last / first, "MB": grown})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=("rooms", "davis", "growth"), default=("rooms", "davis", "growth"))
    args = parser.parse_args()
    if "rooms" in args.only:
        calibration(rooms(args.data, args.tools))
    if "davis" in args.only:
        davis(args.data, args.tools)
    if "growth" in args.only:
        growth(args.data)


if __name__ == "__main__":
    main()

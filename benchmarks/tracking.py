#!/usr/bin/env python3
"""Score a tracking backend: photographs, DAVIS 2016, real videos, rooms, speed and growth, in one table.

usage: tracking.py --data DIR --tools DIR [--backend flow] [--every 1] [--only PART ..]
PARTs: photos discovery videos rooms davis growth

DIR/photos/                         segments.json, images/, masks/; each photograph is the only frame of an episode.
                                    Every fifth is scored by itself: the network has not learned from it
DIR/davis/                          DAVIS 2016: JPEGImages/480p/SEQ, Annotations/480p/SEQ. "discovery": nothing is
                                    given; "davis": the mask of frame 0 is
DIR/real/                           videos and folders of images: ids a minute; --pictures PAGE.html shows their marks
DIR/rooms/NAME_{pan,revisit,walk}/  rgb.mp4, ids.npz, frames.json; where depth.npz is, with depth and pose as well
--every 12                          rooms by every 12th frame: cameras that turn fast, or are slow
--tools                             folder of score_*.py, which do the scoring
--backend sam2                      the same table for SAM 2, with its weights installed
Keyframes and marks are the 8 and 8 that cc_ros.keyframes selects and places.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import tempfile
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
from cc_ros.process import prepare_process
from cc_ros.tracking.base import Tracked, Tracker
from cc_ros.tracking.factory import make_tracker

KEYFRAMES, MARKS = 8, 8
PARTS = ("photos", "discovery", "videos", "rooms", "davis", "growth")
GROWTH_FRAMES = 5000  # at least; the last 100 show what the first 100 show
HELD_OUT = 5  # every so many photographs, the last of them, the network has not learned from
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


def track(frames: list[Frame], tracker: Tracker) -> tuple[list[Tracked], np.ndarray]:
    """Return the answers of a new episode and the milliseconds of each frame."""
    answers, times = [], []
    tracker.reset()
    for frame in frames:
        start = time.perf_counter()
        answers.append(tracker.step(frame))
        times.append(1000 * (time.perf_counter() - start))
    return answers, np.array(times)


def kept(shown: list[Frame], answers: list[Tracked]) -> Keyframes:
    """Return the keyframes of an episode."""
    keyframes = Keyframes(KeyframeSettings(frames=KEYFRAMES, marks=MARKS))
    for i, (frame, tracked) in enumerate(zip(shown, answers, strict=True)):
        picture, sure = ArrayPicture(frame.image), tracked.confidences
        keyframes.store.offer(
            Candidate(i, frame.stamp, picture, tracked.labels, confidences=sure, carried=tracked.carried)
        )
    return keyframes


def marked(shown: list[Frame], answers: list[Tracked]) -> list[dict]:
    """Return the keyframes as ``marks.json`` has them."""
    return [
        {"index": k.index, "marks": [{"id": m.id, "x": m.x, "y": m.y} for m in k.marks]}
        for k in kept(shown, answers).marked()
    ]


def photos(data: Path, tools: Path, tracker: Tracker) -> None:
    """Score regions and marks of single photographs: those learned from, and those not."""
    score = load(tools / "score_photos.py")
    total: dict[str, dict[str, list[float]]] = {"learned from": {}, "not learned from": {}}
    for number, entry in enumerate(json.loads((data / "photos/segments.json").read_text())):
        shown = [Frame(cv2.imread(str(data / "photos/images" / entry["image"])), 0.0)]
        answers, _ = track(shown, tracker)
        marks = {m["id"] for k in marked(shown, answers) for m in k["marks"]}
        truth = cv2.imread(str(data / "photos/masks" / entry["mask"]))
        rows = total["not learned from" if number % HELD_OUT == HELD_OUT - 1 else "learned from"]
        for name, values in score.photo(entry["segments"], truth, answers[0].labels, marks).items():
            rows.setdefault(name, []).extend(values)
    for kind, rows in total.items():
        show(f"photographs {kind}", {name: float(np.mean(values)) for name, values in rows.items()})


def discovery(data: Path, tools: Path, tracker: Tracker) -> None:
    """Score what is found in DAVIS where nothing is given."""
    score, results = load(tools / "score_discovery.py"), []
    for folder in sorted((data / "davis/JPEGImages/480p").iterdir()):
        shown = [Frame(cv2.imread(str(file)), n / 24) for n, file in enumerate(sorted(folder.glob("*.jpg")))]
        answers, ms = track(shown, tracker)
        with tempfile.TemporaryDirectory() as written:
            for n, answer in enumerate(answers):
                cv2.imwrite(f"{written}/{n:06d}.png", answer.labels)
            result = score.sequence(data / "davis/Annotations/480p" / folder.name, Path(written))
        results.append(result | {"ms": float(np.median(ms)), "p95": float(np.percentile(ms, 95))})
        show(folder.name, results[-1])
    show(f"mean of {len(results)}", {key: float(np.mean([r[key] for r in results])) for key in results[0]})


def recordings(data: Path) -> Iterator[tuple[str, list[Frame]]]:
    """Yield name and frames of the real videos."""
    for path in sorted((data / "real").iterdir()):
        if path.is_dir():
            images = [cv2.imread(str(p)) for p in sorted([*path.glob("*.color.*"), *path.glob("*.jpg")])]
            yield path.name, [Frame(image, n / 6) for n, image in enumerate(images)]
        elif path.suffix == ".mp4":
            rate = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS)
            yield path.stem, [Frame(image, n / rate) for n, image in enumerate(read_video(path))]


def videos(data: Path, tracker: Tracker, page: Path | None) -> None:
    """Count the ids in real videos, and show their marks on a page."""
    parts = []
    for name, shown in recordings(data):
        answers, ms = track(shown, tracker)
        keyframes = kept(shown, answers)
        seconds = shown[-1].stamp - shown[0].stamp
        ids = {t.id for answer in answers for t in answer.tracks}
        in_view = float(np.mean([sum(t.area > 0 for t in answer.tracks) for answer in answers]))
        views: dict[int, int] = {}
        for k in keyframes.marked():
            for m in k.marks:
                views[m.id] = views.get(m.id, 0) + 1
        marks = {
            "marks": sum(views.values()),
            "in_2_or_more": sum(n for n in views.values() if n > 1) / max(sum(views.values()), 1),
        }
        times = {"ms": float(np.median(ms)), "p95": float(np.percentile(ms, 95))}
        show(name, {"ids": len(ids), "ids_a_minute": 60 * len(ids) / seconds, "in_view": in_view} | marks | times)
        pictures = [base64.b64encode(k.jpeg).decode() for k in keyframes.marked()]
        parts.append(
            f"<h2>{name}</h2>" + "".join(f'<img width=480 src="data:image/jpeg;base64,{p}">' for p in pictures)
        )
    if page:
        page.write_text("<!doctype html><title>Marks in real videos</title>" + "".join(parts))


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


def rooms(data: Path, tools: Path, tracker: Tracker, every: int) -> list[tuple[float, bool]]:
    score = load(tools / "score_rooms.py")
    kinds: dict[str, list[dict]] = {}
    outcomes: list[tuple[float, bool]] = []
    for folder in sorted(path.parent for path in (data / "rooms").glob("*/ids.npz")):
        truth = np.load(folder / "ids.npz")["ids"][::every]
        for known in ("", "depth", "depth and pose") if (folder / "depth.npz").exists() else ("",):
            shown = frames(folder, known)[::every]
            answers, ms = track(shown, tracker)
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


def davis(data: Path, tools: Path, tracker: Tracker) -> None:
    score = load(tools / "score_davis.py")
    means = []
    for folder in sorted((data / "davis/JPEGImages/480p").iterdir()):
        truth = data / "davis/Annotations/480p" / folder.name
        scores, times = [], []
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


def growth(data: Path, tracker: Tracker) -> None:
    """Track a looped video and print time and memory at its start and end."""
    images = read_video(next((data / "rooms").glob("*_revisit")) / "rgb.mp4")
    images += images[::-1]
    frames = -(-(GROWTH_FRAMES - 100) // len(images)) * len(images) + 100
    times, process, start = [], psutil.Process(), 0
    tracker.reset()
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
    parser.add_argument("--backend", choices=("auto", "flow", "sam2"), default="flow")
    parser.add_argument("--pictures", type=Path, metavar="PAGE.html", help="show the marks of the real videos here")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="show rooms by every N-th frame")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    prepare_process()
    tracker = make_tracker(args.backend)
    if "photos" in args.only:
        photos(args.data, args.tools, tracker)
    if "discovery" in args.only:
        discovery(args.data, args.tools, tracker)
    if "videos" in args.only:
        videos(args.data, tracker, args.pictures)
    if "rooms" in args.only:
        calibration(rooms(args.data, args.tools, tracker, args.every))
    if "davis" in args.only:
        davis(args.data, args.tools, tracker)
    if "growth" in args.only:
        growth(args.data, tracker)
    tracker.close()


if __name__ == "__main__":
    main()

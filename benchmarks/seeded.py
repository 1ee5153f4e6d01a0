#!/usr/bin/env python3
"""Score following given objects in rendered rooms, and time it with 20 objects.

usage: seeded.py DIR [--only TEXT]

DIR/rooms/NAME_{pan,revisit,walk}/  rgb.mp4, ids.npz, frames.json
Of each sequence, the frame of its first third that shows most objects is given, from 600 pixels on.
J         mean over the objects of the mean IoU over the frames that show at least 600 pixels of them
returned  how often an object came back that was wholly out of view; found: those that were then held at an IoU above
          0.5 in more than half of their frames
ghosts    share of the frames without an object in which it was said to be there
20 objects: textured ellipses before a textured ground, 640x480, the camera pans; the first frame is not timed. At 30 Hz
every third frame is drawn anew, at 10 Hz each one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tracking import read_video

from cc_ros.frame import Frame
from cc_ros.tracking.flow.tracker import FlowTracker

MIN_PX, OBJECT = 600, 7


def room(folder: Path) -> dict[str, float]:
    truth = np.load(folder / "ids.npz")["ids"]
    images, fps = read_video(folder / "rgb.mp4"), json.loads((folder / "frames.json").read_text())["fps"]
    count = int(truth.max()) + 1
    area = np.stack([np.bincount(ids.ravel(), minlength=count) for ids in truth])
    start = int((area[: len(truth) // 3, OBJECT:] >= MIN_PX).sum(axis=1).argmax())
    given = [i for i in range(OBJECT, count) if area[start, i] >= MIN_PX]
    tracker, js = FlowTracker(), np.full((len(truth), count), np.nan)
    tracker.seed(np.where(np.isin(truth[start], given), truth[start], 0).astype(np.uint16))
    ghosts = np.zeros((len(truth), count), bool)
    for n in range(start, len(truth)):
        labels = tracker.step(Frame(images[n], n / fps)).labels
        shared = np.bincount(labels[labels == truth[n]], minlength=count)
        mine = np.bincount(labels.ravel(), minlength=count)
        js[n] = shared / np.maximum(mine + area[n] - shared, 1)
        ghosts[n] = mine > 0
    shown, gone = area >= MIN_PX, area == 0
    back = [held for i in given for held in returns(js[start:, i], shown[start:, i], gone[start:, i])]
    absent = gone[start:, given]
    return {
        "objects": len(given),
        "J": float(np.mean([js[start:, i][shown[start:, i]].mean() for i in given])),
        "returned": len(back),
        "found": sum(back),
        "ghosts": float(ghosts[start:, given][absent].mean()) if absent.any() else 0.0,
    }


def returns(js: np.ndarray, shown: np.ndarray, gone: np.ndarray) -> Iterator[bool]:
    """Yield for each time that an object came back whether it was held from then on."""
    away = False
    begins = []
    for n in range(len(js)):
        if away and shown[n]:
            begins.append(n)
        away = (away or bool(gone[n])) and not shown[n]
    for part in np.split(np.arange(len(js)), begins)[1:]:
        yield bool((js[part][shown[part]] > 0.5).mean() > 0.5)


def crowd(count: int, frames: int = 60, step: int = 3) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images (480x640x3 uint8 BGR) of many objects and their ids (uint16)."""
    rng, size = np.random.default_rng(4), (480, 640 + frames * step)
    wide = cv2.resize(rng.integers(90, 150, (60, size[1] // 8, 3), np.uint8), size[::-1])
    texture = cv2.resize(rng.integers(-40, 40, (40, size[1] // 12, 3)).astype(np.float32), size[::-1])
    ids = np.zeros(size, np.uint16)
    for k in range(count):
        mask = np.zeros(size, np.uint8)
        centre = (190 + 105 * (k % 5), 60 + 118 * (k // 5))
        axes = (int(rng.integers(28, 50)), int(rng.integers(28, 50)))
        cv2.ellipse(mask, centre, axes, int(rng.integers(0, 180)), 0, 360, 1, -1)
        wide[mask > 0] = np.clip(rng.integers(40, 215, 3) + texture, 0, 255).astype(np.uint8)[mask > 0]
        ids[mask > 0] = k + 1
    for n in range(frames):
        window = np.s_[:, n * step : n * step + 640]
        yield np.ascontiguousarray(wide[window]), ids[window]


def speed(rate: int) -> dict[str, float]:
    tracker, wall, cpu = FlowTracker(), [], []
    for n, (image, ids) in enumerate(crowd(20)):
        if n == 0:
            tracker.seed(ids)
        begin = time.perf_counter(), time.process_time()
        labels = tracker.step(Frame(image, n / rate)).labels
        wall.append(1000 * (time.perf_counter() - begin[0]))
        cpu.append(1000 * (time.process_time() - begin[1]))
    shown = [ids == i for i in np.unique(ids[ids > 0])]
    held = sum((labels[mask] == ids[mask]).mean() > 0.5 for mask in shown)
    ms = {"ms": np.median(wall[1:]), "p95": np.percentile(wall[1:], 95)}
    ms |= {"cpu_ms": np.median(cpu[1:]), "cpu_p95": np.percentile(cpu[1:], 95)}
    return {"held": float(held), "of": len(shown), **{key: float(value) for key, value in ms.items()}}


def show(name: str, result: dict[str, float]) -> None:
    print(f"{name:18s}", "  ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="sequences whose name contains this text")
    args = parser.parse_args()
    for rate in (30, 10):
        show(f"20 objects, {rate} Hz", speed(rate))
    results: list[dict[str, float]] = []
    for folder in sorted(path.parent for path in (args.data / "rooms").glob(f"*{args.only}*/ids.npz")):
        results.append(room(folder))
        show(folder.name, results[-1])
    if results:
        show("mean", {key: float(np.mean([r[key] for r in results])) for key in results[0]})


if __name__ == "__main__":
    main()

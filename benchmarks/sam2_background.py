"""What ``auto`` does without a GPU: how often SAM 2 renews its masks, and what the camera's frames pay for it.

Plays a video in real time through the flow tracker with SAM 2.1 tiny in the background, one setting after another, and
prints Markdown: seconds between two answers, frames a second that were kept up with, and milliseconds a frame. The row
"none" is without SAM 2. The weights are random: SAM 2 follows N discs and searches for nothing.

  python benchmarks/sam2_background.py VIDEO
  python benchmarks/sam2_background.py VIDEO --image-size 256 --objects 5 --threads 1 2 --nice 0 10 --seconds 20
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from cc_ros.frame import Frame
from cc_ros.tracking import priority
from cc_ros.tracking.auto.tracker import AutoTracker
from cc_ros.tracking.base import SlowBackend, Tracked, Tracker
from cc_ros.tracking.flow.tracker import FlowTracker
from cc_ros.tracking.sam2.loading import build_model, has_bf16
from cc_ros.tracking.sam2.predictor import StreamingPredictor
from cc_ros.tracking.sam2.tracker import Sam2Tracker

MOST_FRAMES = 300  # of the video; it is played there and back


class Seeded(Sam2Tracker):
    """Follows the same objects from the first frame on."""

    def __init__(self, predictor: StreamingPredictor, labels: np.ndarray) -> None:
        super().__init__(predictor)
        self._given: np.ndarray | None = labels

    def step(self, frame: Frame) -> Tracked:
        if self._given is not None:
            self.seed(self._given)
            self._given = None
        return super().step(frame)


def read(path: Path) -> tuple[list[np.ndarray], float]:
    capture, images = cv2.VideoCapture(str(path)), []
    while len(images) < MOST_FRAMES:
        found, image = capture.read()
        if not found:
            break
        images.append(image)
    return images, capture.get(cv2.CAP_PROP_FPS)


def discs(shape: tuple[int, ...], count: int) -> np.ndarray:
    labels = np.zeros(shape[:2], np.uint16)
    side = int(np.ceil(np.sqrt(count)))
    for i in range(count):
        x, y = (i % side + 0.5) / side, (i // side + 0.5) / side
        cv2.circle(labels, (int(x * shape[1]), int(y * shape[0])), shape[0] // (3 * side), i + 1, -1)
    return labels


def background(size: int, threads: int, labels: np.ndarray) -> AutoTracker:
    """Return the tracker once SAM 2 is loaded."""
    cpu = torch.device("cpu")

    def make() -> Tracker:
        torch.set_num_threads(threads)
        model = build_model("tiny", size, cpu)
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(10.0)  # keeps all objects in view
        return Seeded(StreamingPredictor(model, bf16=has_bf16(cpu), batch_objects=4), labels)

    tracker = AutoTracker(FlowTracker(), SlowBackend("sam2", "SAM 2", make, keeps_up=False))
    while "degraded" in tracker.health():
        time.sleep(0.1)
    return tracker


def play(tracker: Tracker, images: list[np.ndarray], fps: float, seconds: float) -> list[float]:
    """Step the images at their rate, or as fast as it goes; return the milliseconds of each."""
    times: list[float] = []
    order = itertools.cycle([*range(len(images)), *range(len(images) - 2, 0, -1)])
    due = began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        due = max(due + 1 / fps, time.perf_counter())
        time.sleep(max(due - time.perf_counter(), 0))
        start = time.perf_counter()
        tracker.step(Frame(images[next(order)], due - began))
        times.append(1e3 * (time.perf_counter() - start))
    return times


def figures(tracker: Tracker, times: list[float], seconds: float) -> str:
    answers = int(tracker.health().get("sam2_answers", 0))
    renewal = f"{seconds / answers:.1f}" if answers else ""
    median, p95 = np.percentile(times, [50, 95])
    return f"{renewal} | {len(times) / seconds:.1f} | {median:.1f} | {p95:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--image-size", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--threads", type=int, nargs="+", default=[max(torch.get_num_threads() // 2, 1)])
    parser.add_argument("--nice", type=int, nargs="+", default=[priority.NICENESS], help="of SAM 2's thread")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="all settings again so often")
    options = parser.parse_args()
    images, fps = read(options.video)
    precision = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    height, width = images[0].shape[:2]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} cores, {precision}, {options.objects} objects,")
    print(f"camera {width}x{height} at {fps:.0f} Hz\n")
    print("| image size | torch threads | nice | s between answers | frames/s | ms median | ms p95 |")
    print("|---|---|---|---|---|---|---|")
    runs = [None, *itertools.product(options.image_size, options.threads, options.nice)]
    for setting in runs * options.rounds:
        if setting is None:
            tracker: Tracker = FlowTracker()
        else:
            priority.NICENESS = setting[2]
            tracker = background(setting[0], setting[1], discs(images[0].shape, options.objects))
        times = play(tracker, images, fps, options.seconds)
        name = " | ".join(map(str, setting or ("none", "", "")))
        print(f"| {name} | {figures(tracker, times, options.seconds)}", flush=True)
        tracker.close()


if __name__ == "__main__":
    main()

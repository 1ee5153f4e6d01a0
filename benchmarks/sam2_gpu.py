"""How fast SAM 2.1 tracks many objects frame by frame, and whether that stays so.

Prints Markdown: the card, torch and sizes; milliseconds a frame by number of objects, in one batch and one by one as
stock SAM 2 does it; what the search for objects adds to a frame; with --long, time and memory along a long run. Speed
does not depend on the weights: without --weights they are random.

  python benchmarks/sam2_gpu.py                                     # one GPU, 1024 px, tiny
  python benchmarks/sam2_gpu.py --compile --precision bf16 --long 10000
  python benchmarks/sam2_gpu.py --device cpu --image-size 128 --objects 1 3 --frames 3   # does it run at all
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from cc_ros.frame import Frame
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.sam2.loading import CONFIGS, build_model, choose_device
from cc_ros.tracking.sam2.predictor import StreamingPredictor
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.tracker import Sam2Tracker, paint
from cc_ros.tracking.sam2.weights import load_weights

WARM_UP = 20  # frames: an object's memory has its full length after 16
CAMERA = 30  # frames a second


@dataclass(frozen=True)
class Timing:
    """Milliseconds a frame: the whole, and its parts."""

    total: list[float]
    encode: list[float]
    step: list[float]

    def row(self) -> str:
        ordered = sorted(self.total)
        median = statistics.median(ordered)
        parts = f"{statistics.median(self.encode):.1f} | {statistics.median(self.step):.1f}"
        return f"{median:.1f} | {ordered[int(len(ordered) * 0.95)]:.1f} | {1000 / median:.1f} | {parts}"


class Scene:
    """A textured view that moves, and N discs in it to track."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        ground = np.random.default_rng(0).integers(0, 255, (height // 8, width // 4, 3), dtype=np.uint8)
        self._ground = cv2.resize(ground, (2 * width, height), interpolation=cv2.INTER_CUBIC)

    def image(self, t: int) -> np.ndarray:
        width = self.size[1]
        left = abs((3 * t) % (2 * width) - width)
        return np.ascontiguousarray(self._ground[:, left : left + width])

    def masks(self, count: int) -> torch.Tensor:
        generator = np.random.default_rng(1)
        masks = np.zeros((count, *self.size), np.uint8)
        for mask in masks:
            centre = (int(generator.integers(self.size[1])), int(generator.integers(self.size[0])))
            cv2.circle(mask, centre, self.size[0] // 10, 1, -1)
        return torch.from_numpy(masks.astype(bool))


def run(
    predictor: StreamingPredictor,
    scene: Scene,
    objects: int,
    frames: int,
    note: Callable[[int, float], None] | None = None,
) -> Timing:
    """Track ``objects`` over ``frames`` frames after the warm-up."""
    predictor.reset()
    timing = Timing([], [], [])
    for t in range(frames + WARM_UP):
        image = scene.image(t)
        began = now(predictor.device)
        encoding = predictor.encode(image, t)
        encoded = now(predictor.device)
        if t == 0:
            given = predictor.from_masks(encoding, scene.masks(objects))
            predictor.add(range(1, objects + 1), t, predictor.remember(encoding, given))
            continue
        ids, prediction = predictor.step(encoding)
        stepped = now(predictor.device)
        paint(ids, prediction, scene.size)
        ended = now(predictor.device)
        if t >= WARM_UP:
            for values, seconds in zip(
                (timing.total, timing.encode, timing.step),
                (ended - began, encoded - began, stepped - encoded),
                strict=True,
            ):
                values.append(1e3 * seconds)
            if note is not None:
                note(t - WARM_UP, 1e3 * (ended - began))
    return timing


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def device_megabytes(device: torch.device) -> str:
    return f"{torch.cuda.memory_allocated(device) / 2**20:.1f}" if device.type == "cuda" else ""


def peak_megabytes(device: torch.device) -> str:
    return f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}" if device.type == "cuda" else ""


def describe(device: torch.device) -> str:
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def compare(predictor: StreamingPredictor, scene: Scene, options: argparse.Namespace) -> None:
    """Print the table by number of objects, together and one by one, and the cost of one more object."""
    print("| objects | stepped | ms a frame | p95 | frames/s | encode | step | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, batch in (("together", options.batch), ("one by one", 1)):
        predictor.batch_objects = batch
        medians = []
        for objects in options.objects:
            if predictor.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(predictor.device)
            timing = run(predictor, scene, objects, options.frames)
            medians.append(statistics.median(timing.total))
            print(f"| {objects} | {name} | {timing.row()} | {peak_megabytes(predictor.device)} |", flush=True)
        if len(medians) > 1:
            slope = np.polyfit(options.objects, medians, 1)[0]
            print(f"\n{name}: {slope:.2f} ms for each further object\n", flush=True)
    predictor.batch_objects = options.batch


def search(predictor: StreamingPredictor, scene: Scene, objects: int, frames: int) -> None:
    """Print what one piece of the search for objects costs, and what a search beside every frame adds to it."""
    encoding = predictor.encode(scene.image(0), 0)
    points, kinds = torch.rand(16, 1, 2), torch.ones(16, 1, dtype=torch.int32)
    seconds = []
    for _ in range(10):
        began = now(predictor.device)
        predictor.ask(encoding, points, kinds)
        seconds.append(now(predictor.device) - began)
    print(f"asking at 16 points: {1e3 * statistics.median(seconds):.1f} ms\n", flush=True)
    for discover in ("off", "idle"):
        settings = Sam2Settings(discover=discover, discover_every=1, patience=100_000, max_objects=objects + 1)
        tracker = Sam2Tracker(predictor, settings, ObjectNetwork())
        times = []
        for t in range(frames + WARM_UP):
            began = now(predictor.device)
            tracker.step(Frame(scene.image(t), t / CAMERA))
            times.append(1e3 * (time.perf_counter() - began))
            if t == 0:
                given = predictor.from_masks(encoding, scene.masks(objects))
                known = range(10_000, 10_000 + objects)
                predictor.add(known, 0, predictor.remember(encoding, given))
                tracker._turn.update((i, turn) for turn, i in enumerate(known))  # not seeded: those are not searched
            time.sleep(max(1 / CAMERA - times[-1] / 1e3, 0))
        times = sorted(times[WARM_UP:])
        median, p95 = statistics.median(times), times[int(len(times) * 0.95)]
        print(f"{objects} objects, camera at {CAMERA} Hz, search {discover}: {median:.1f} ms a frame, p95 {p95:.1f}")
        tracker.close()


def long_run(predictor: StreamingPredictor, scene: Scene, options: argparse.Namespace) -> None:
    """Print time and memory along many frames."""
    objects = options.objects[-1]
    print(f"\n{options.long} frames, {objects} objects\n")
    print("| frame | ms (median) | state MB | device MB |\n|---|---|---|---|")
    every = max(options.long // 10, 1)
    window: list[float] = []

    def note(t: int, milliseconds: float) -> None:
        window.append(milliseconds)
        if (t + 1) % every == 0:
            state = predictor.state_bytes() / 2**20
            device = device_megabytes(predictor.device)
            print(f"| {t + 1} | {statistics.median(window):.2f} | {state:.1f} | {device} |", flush=True)
            window.clear()

    run(predictor, scene, objects, options.long, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", choices=CONFIGS, default="tiny")
    parser.add_argument("--weights", default="", metavar="FILE", help="SAM 2.1 weights; default random")
    parser.add_argument("--image-size", type=int, default=1024, metavar="PX")
    parser.add_argument("--frame", type=int, nargs=2, default=(720, 1280), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5, 10, 20, 40])
    parser.add_argument("--batch", type=int, default=32, help="objects stepped together at most")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--precision", choices=("fp32", "bf16"), nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--long", type=int, default=0, metavar="FRAMES", help="then one long run")
    options = parser.parse_args()
    device = choose_device(options.device)
    torch.manual_seed(0)
    weights = load_weights(Sam2Settings(model=options.model, weights=options.weights)) if options.weights else None
    scene = Scene(*options.frame)
    print(f"{describe(device)}; torch {torch.__version__}; SAM 2.1 {options.model} at {options.image_size} px,")
    print(f"{'official' if weights else 'random'} weights; camera {options.frame[1]}x{options.frame[0]}")
    predictor = None
    for compiled in (False, True)[: 1 + options.compile]:
        model = build_model(options.model, options.image_size, device, weights, compiled=compiled)
        for precision in options.precision:
            print(f"\n{precision}{', torch.compile' if compiled else ''}\n", flush=True)
            torch.compiler.reset()  # torch gives up on a function with too many variants
            predictor = StreamingPredictor(model, bf16=precision == "bf16", batch_objects=options.batch)
            compare(predictor, scene, options)
            search(predictor, scene, options.objects[-1], options.frames)
    if options.long and predictor is not None:
        long_run(predictor, scene, options)


if __name__ == "__main__":
    main()

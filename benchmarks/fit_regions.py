#!/usr/bin/env python3
"""Fit the two small models of cc_ros.tracking.region_model on rendered rooms and write region_weights.py.

usage: fit_regions.py ROOMS_DIR OUT.py [--leave-out ROOM]... [--frames N]

ROOMS_DIR/NAME/rgb.mp4 and ids.npz (key "ids", uint16 [n, H, W]; 1-6 walls, floor and ceiling, 7.. objects).
Learning to agglomerate: the present model merges, every pair that it meets on the way becomes a sample, the model is
fitted again to all samples; three rounds. Colours, brightness and left-right are varied, so that the models learn what
borders look like rather than which colours the furniture has. With --leave-out the accuracy on those rooms is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize

from cc_ros.tracking.region_graph import COUNT, RegionGraph, merge, region_graph
from cc_ros.tracking.region_model import Perceptron, object_features, pair_features
from cc_ros.tracking.superpixels import superpixels

OBJECT = 7  # ids from here on are objects
SIZE = (320, 240)
IDS = 64  # more than any room has
SAME_UNITS, OBJECT_UNITS = 12, 6


@dataclass
class Samples:
    """Features, truth, weight and room of each sample."""

    features: list[np.ndarray]
    truth: list[np.ndarray]
    weight: list[np.ndarray]
    room: list[np.ndarray]

    def add(self, features: np.ndarray, truth: np.ndarray, weight: np.ndarray, room: int) -> None:
        kept = weight > 0
        self.features.append(features[kept].astype(np.float32))
        self.truth.append(truth[kept])
        self.weight.append(weight[kept])
        self.room.append(np.full(kept.sum(), room))

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return tuple(np.concatenate(part) for part in (self.features, self.truth, self.weight, self.room))


def read_video(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    while True:
        found, image = capture.read()
        if not found:
            return
        yield image


def varied(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with other colours and brightness."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-15, 15)) % 180
    hsv[..., 1] *= rng.uniform(0.6, 1.2)
    hsv[..., 2] = 255 * (hsv[..., 2] / 255) ** rng.uniform(0.75, 1.4)
    return cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def graphs(folder: Path, frames: int, rng: np.random.Generator) -> Iterator[RegionGraph]:
    """Yield graphs of superpixels; their votes are the pixels of each true id."""
    truth = np.load(folder / "ids.npz")["ids"]
    chosen = set(np.linspace(0, len(truth) - 1, frames).round().astype(int).tolist())
    for number, image in enumerate(read_video(folder / "rgb.mp4")):
        if number not in chosen:
            continue
        small = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
        ids = cv2.resize(truth[number], SIZE, interpolation=cv2.INTER_NEAREST).astype(np.int64)
        for shown in (small, varied(small, rng)):
            flip = rng.random() < 0.5
            picture, true = (shown[:, ::-1].copy(), ids[:, ::-1]) if flip else (shown, ids)
            graph = region_graph(picture, *superpixels(picture))
            cell = graph.labels * IDS + true
            graph.votes = np.bincount(cell.ravel(), minlength=len(graph.regions) * IDS).reshape(-1, IDS).astype(float)
            yield graph


def first_guess(features: np.ndarray) -> np.ndarray:
    """Return log odds that are good enough to start from: the colours differ little."""
    return np.asarray(5 - features[:, [1, 2, 4, 11, 13]] @ np.array([1.5, 1.5, 3.0, 4.0, 3.0]))


def pair_samples(graph: RegionGraph, model, room: int, samples: Samples) -> None:
    """Merge with the model and collect the pairs met on the way."""
    step = 0

    def affinity(now: RegionGraph) -> np.ndarray:
        nonlocal step
        features = pair_features(now)
        if step % 3 == 0 or len(now.first) < 60:
            count, ids = now.regions[:, COUNT], now.votes.argmax(axis=1)
            pure = now.votes.max(axis=1) / count
            pure = np.where(pure > 0.7, pure, 0)
            i, j = now.first, now.second
            weight = np.sqrt(np.minimum(count[i], count[j])) * pure[i] * pure[j]
            weight[(ids[i] < OBJECT) & (ids[j] < OBJECT) & (ids[i] != ids[j])] = 0  # wall or floor: no matter
            samples.add(features, ids[i] == ids[j], weight, room)
        step += 1
        return model(features)

    merge(graph, affinity, 0.0)


def object_samples(graph: RegionGraph, same: Perceptron, room: int, samples: Samples) -> None:
    for threshold in (1.0, 2.0):
        merged = merge(graph, lambda now: same(pair_features(now)), threshold)
        count = merged.regions[:, COUNT]
        share = merged.votes[:, OBJECT:].sum(axis=1) / count
        weight = np.sqrt(count) * np.abs(2 * share - 1) * (count > 100)
        samples.add(object_features(merged), share > 0.5, weight, room)


def fit(
    features: np.ndarray, truth: np.ndarray, weight: np.ndarray, units: int, rng: np.random.Generator
) -> Perceptron:
    """Return the weighted maximum of the likelihood with a quadratic penalty."""
    if len(truth) > 250_000:
        chosen = rng.permutation(len(truth))[:250_000]
        features, truth, weight = features[chosen], truth[chosen], weight[chosen]
    weight = weight / weight.mean()
    width = features.shape[1]
    sign = np.where(truth, -1.0, 1.0)

    def unpack(values: np.ndarray) -> Perceptron:
        inner, outer, linear = np.split(values, [width * units, width * units + units])
        return Perceptron(
            inner.reshape(width, units).astype(np.float32), outer.astype(np.float32), linear.astype(np.float32)
        )

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        model = unpack(values)
        hidden = np.tanh(features @ model.inner)
        odds = (hidden @ model.outer + features @ model.linear).astype(np.float64)
        slope = weight * sign / (1 + np.exp(-np.clip(sign * odds, -30, 30))) / len(sign)
        back = slope[:, None] * model.outer * (1 - hidden * hidden)
        gradient = np.concatenate([(features.T @ back).ravel(), hidden.T @ slope, features.T @ slope])
        value = np.mean(weight * np.logaddexp(0, sign * odds)) + 1e-2 * np.mean(values**2)
        return float(value), gradient + 2e-2 * values / len(values)

    start = rng.normal(0, 0.3, width * units + units + width)
    return unpack(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x)


def accuracy(model: Perceptron, features: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ ((model(features) > 0) == truth) / weight.sum())


def block(name: str, model: Perceptron, doc: str) -> str:
    numbers = np.concatenate([model.inner.ravel(), model.outer, model.linear])
    lines, line = [], ""
    for number in numbers:
        word = f"{number:.3g}"
        if len(line) + len(word) > 110:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    body = "\n    ".join([*lines, line])
    return f'{name} = _perceptron(\n    {len(model.outer)},\n    """\n    {body}\n    """,\n)\n"""{doc}"""\n'


HEADER = '''"""Numbers of the models in ``region_model``, fitted by ``benchmarks/fit_regions.py`` on rendered rooms."""

from __future__ import annotations

import numpy as np

from cc_ros.tracking.region_model import Perceptron


def _perceptron(units: int, numbers: str) -> Perceptron:
    values = np.array(numbers.split(), np.float64)
    features = (len(values) - units) // (units + 1)
    inner, outer, linear = np.split(values, [features * units, features * units + units])
    return Perceptron(inner.reshape(features, units), outer, linear)


'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--leave-out", action="append", default=[], metavar="ROOM")
    parser.add_argument("--frames", type=int, default=8, help="frames a room")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    folders = sorted(path.parent for path in args.rooms.glob("*/ids.npz"))
    data = [(k, graph) for k, folder in enumerate(folders) for graph in graphs(folder, args.frames, rng)]
    held = np.array([any(name in folder.name for name in args.leave_out) for folder in folders])

    pairs, same = Samples([], [], [], []), first_guess
    for _ in range(3):
        for room, graph in data:
            pair_samples(graph, same, room, pairs)
        x, y, w, room_of = pairs.joined()
        test = held[room_of]
        same = fit(x[~test], y[~test], w[~test], SAME_UNITS, rng)
        print(f"pairs {len(y)}  accuracy {accuracy(same, x[~test], y[~test], w[~test]):.4f}", end="")
        print(f"  left out {accuracy(same, x[test], y[test], w[test]):.4f}" if test.any() else "", flush=True)

    objects = Samples([], [], [], [])
    for room, graph in data:
        object_samples(graph, same, room, objects)
    x, y, w, room_of = objects.joined()
    test = held[room_of]
    model = fit(x[~test], y[~test], w[~test], OBJECT_UNITS, rng)
    print(f"regions {len(y)}  accuracy {accuracy(model, x[~test], y[~test], w[~test]):.4f}", end="")
    print(f"  left out {accuracy(model, x[test], y[test], w[test]):.4f}" if test.any() else "")
    args.out.write_text(
        HEADER
        + block("SAME", same, "Log odds that two neighbouring regions are one object, for ``pair_features``.")
        + "\n"
        + block("OBJECT", model, "Log odds that a region is an object, for ``object_features``.")
    )


if __name__ == "__main__":
    main()

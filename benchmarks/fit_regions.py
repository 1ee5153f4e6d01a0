#!/usr/bin/env python3
"""Fit the two small models of cc_ros.tracking.region_model on rendered rooms and write region_weights.py.

usage: fit_regions.py OUT.py ROOMS_DIR.. [--held-out ROOMS_DIR]..
       fit_regions.py OUT.py --mean-of MODELS.py..

ROOMS_DIR/NAME/rgb.mp4 and ids.npz (key "ids", uint16 [n, H, W]; 1-6 walls, floor and ceiling, 7.. objects), as
render_rooms.py writes them. Learning to agglomerate: the present model merges, pairs that it meets on the way become
samples, the model is fitted again to all samples; four rounds. Colours, brightness and left-right are varied, so that
the models learn what borders look like rather than which colours the furniture has. Of rooms held out, the accuracy
is printed. A folder that is named more than once counts as often.

One fit hangs on chance; the mean of several is one model as well, with the units of all. region_weights.py is the mean
of four: of the rooms that others rendered alone; of them 3 times and 70 of render_rooms.py (both with --units 12 8); of
them 3 times and 8 times and 104 of render_rooms.py (both with --units 24 14 --samples 300000).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize
from tracking import load

from cc_ros.tracking.region_graph import COUNT, RegionGraph, merge, region_graph
from cc_ros.tracking.region_model import Perceptron, object_features, pair_features
from cc_ros.tracking.superpixels import superpixels

OBJECT = 7  # ids from here on are objects
WIDTH = 320
IDS = 80  # more than any room has
ROUNDS = 3

Affinity = Callable[[np.ndarray], np.ndarray]


@dataclass
class Samples:
    """Features, truth and weight of each sample."""

    features: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)
    weight: list[np.ndarray] = field(default_factory=list)

    def add(self, features: np.ndarray, truth: np.ndarray, weight: np.ndarray, kept: np.ndarray) -> None:
        self.features.append(features[kept].astype(np.float32))
        self.truth.append(truth[kept])
        self.weight.append(weight[kept])

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        features, truth, weight = (np.concatenate(part) for part in (self.features, self.truth, self.weight))
        return features, truth, weight / weight.mean()


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
    hsv[..., 1] *= rng.uniform(0.5, 1.2)
    hsv[..., 2] = 255 * (hsv[..., 2] / 255) ** rng.uniform(0.75, 1.4)
    return cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def graphs(folder: Path, frames: int, rng: np.random.Generator) -> Iterator[RegionGraph]:
    """Yield graphs of superpixels; their votes are the pixels of each true id."""
    truth = np.load(folder / "ids.npz")["ids"]
    chosen = set(np.linspace(0, len(truth) - 1, frames).round().astype(int).tolist())
    for number, image in enumerate(read_video(folder / "rgb.mp4")):
        if number not in chosen:
            continue
        size = (WIDTH, round(WIDTH * image.shape[0] / image.shape[1]))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ids = cv2.resize(truth[number], size, interpolation=cv2.INTER_NEAREST).astype(np.int64)
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


def pair_samples(graph: RegionGraph, model: Affinity, share: float, rng: np.random.Generator) -> Samples:
    """Merge with the model and collect a share of the pairs met on the way, more of the late ones: they are few."""
    samples = Samples()

    def affinity(now: RegionGraph) -> np.ndarray:
        features = pair_features(now)
        count, ids = now.regions[:, COUNT], now.votes.argmax(axis=1)
        pure = now.votes.max(axis=1) / count
        pure = np.where(pure > 0.7, pure, 0)
        i, j = now.first, now.second
        weight = np.sqrt(np.minimum(count[i], count[j])) * pure[i] * pure[j]
        weight[(ids[i] < OBJECT) & (ids[j] < OBJECT) & (ids[i] != ids[j])] = 0  # wall or floor: no matter
        chance = share * np.clip(len(now.regions) and 300 / len(now.regions), 1, 6)
        samples.add(features, ids[i] == ids[j], weight, (weight > 0) & (rng.random(len(i)) < chance))
        return model(features)

    merge(graph, affinity, 0.0)
    return samples


def object_samples(graph: RegionGraph, same: Perceptron) -> Samples:
    samples = Samples()
    for threshold in (1.0, 2.0):
        merged = merge(graph, lambda now: same(pair_features(now)), threshold)
        count = merged.regions[:, COUNT]
        share = merged.votes[:, OBJECT:].sum(axis=1) / count
        weight = np.sqrt(count) * np.abs(2 * share - 1)
        samples.add(object_features(merged), share > 0.5, weight, count > 100)
    return samples


def gathered(found: Iterator[Samples]) -> Samples:
    whole = Samples()
    for part in found:
        for name in ("features", "truth", "weight"):
            getattr(whole, name).extend(getattr(part, name))
    return whole


def fit(
    samples: Samples, most: int, units: int, rng: np.random.Generator, start: Perceptron | None, steps: int
) -> Perceptron:
    """Return the weighted maximum of the likelihood, of at most so many samples, with a quadratic penalty."""
    features, truth, weight = samples.joined()
    if len(truth) > most:
        chosen = rng.permutation(len(truth))[:most]
        features, truth, weight = features[chosen], truth[chosen], weight[chosen]
    width = features.shape[1]
    sign = np.where(truth, -1.0, 1.0)

    def unpack(values: np.ndarray) -> Perceptron:
        inner, outer, linear = np.split(values.astype(np.float32), [width * units, width * units + units])
        return Perceptron(inner.reshape(width, units), outer, linear)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        model = unpack(values)
        hidden = np.tanh(features @ model.inner)
        odds = (hidden @ model.outer + features @ model.linear).astype(np.float64)
        slope = (weight * sign / (1 + np.exp(-np.clip(sign * odds, -30, 30))) / len(sign)).astype(np.float32)
        back = slope[:, None] * model.outer * (1 - hidden * hidden)
        gradient = np.concatenate([(features.T @ back).ravel(), hidden.T @ slope, features.T @ slope])
        value = np.mean(weight * np.logaddexp(0, sign * odds)) + 1e-2 * np.mean(values**2)
        return float(value), gradient + 2e-2 * values / len(values)

    values = rng.normal(0, 0.3, width * units + units + width)
    if start:
        values = np.concatenate([start.inner.ravel(), start.outer, start.linear])
    return unpack(minimize(loss, values, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x)


def accuracy(model: Perceptron, samples: Samples) -> str:
    features, truth, weight = samples.joined()
    odds = np.where(truth, 1, -1) * model(features)
    return f"{weight @ (odds > 0) / weight.sum():.4f} loss {weight @ np.logaddexp(0, -odds) / weight.sum():.4f}"


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


def read(folders: list[Path], frames: int, rng: np.random.Generator) -> list[RegionGraph]:
    rooms = sorted(path.parent for folder in folders for path in folder.glob("*/ids.npz"))
    return [graph for room in rooms for graph in graphs(room, frames, rng)]


def mean(models: list[Perceptron]) -> Perceptron:
    """Return one model whose log odds are the mean of those of several."""
    inner = np.concatenate([model.inner for model in models], axis=1)
    outer = np.concatenate([model.outer for model in models]) / len(models)
    return Perceptron(inner, outer, np.mean([model.linear for model in models], axis=0))


def write(path: Path, same: Perceptron, looks: Perceptron) -> None:
    path.write_text(
        HEADER
        + block("SAME", same, "Log odds that two neighbouring regions are one object, for ``pair_features``.")
        + "\n"
        + block("OBJECT", looks, "Log odds that a region is an object, for ``object_features``.")
    )


def fitted(args: argparse.Namespace) -> tuple[Perceptron, Perceptron]:
    """Return the two models, fitted; tell how good they are."""
    rng = np.random.default_rng(0)
    learn, judge = (read(folders, args.frames, rng) for folders in (args.rooms, args.held_out))
    share = min(1.5 * args.samples / ROUNDS / max(len(learn), 1) / 2000, 1.0)

    pairs, same = Samples(), None
    for number in range(ROUNDS):
        model = same or first_guess
        pairs = gathered(iter([pairs, *(pair_samples(graph, model, share, rng) for graph in learn)]))
        same = fit(pairs, args.samples, args.units[0], rng, same, 300 if number == ROUNDS - 1 else 100)
        other = gathered(pair_samples(graph, same, 0.2, rng) for graph in judge)
        shown = accuracy(same, other) if judge else "-"
        print(f"pairs {sum(map(len, pairs.truth))}  accuracy {accuracy(same, pairs)}  held out {shown}", flush=True)

    assert same is not None
    objects = gathered(object_samples(graph, same) for graph in learn)
    looks = fit(objects, args.samples, args.units[1], rng, None, 300)
    shown = accuracy(looks, gathered(object_samples(graph, same) for graph in judge)) if judge else "-"
    print(f"regions {sum(map(len, objects.truth))}  accuracy {accuracy(looks, objects)}  held out {shown}")
    return same, looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("rooms", type=Path, nargs="*")
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    parser.add_argument("--frames", type=int, default=12, help="frames a room")
    parser.add_argument("--units", type=int, nargs=2, default=(12, 8), help="of the model of pairs and that of objects")
    parser.add_argument("--samples", type=int, default=200_000, help="at most so many in a fit")
    parser.add_argument("--mean-of", type=Path, nargs="+", default=[], help="models of earlier fits to make one of")
    args = parser.parse_args()
    if bool(args.rooms) == bool(args.mean_of):
        parser.error("give either rooms to fit to, or models with --mean-of")
    cv2.setNumThreads(1)
    if args.mean_of:
        modules = [load(path) for path in args.mean_of]
        write(args.out, mean([module.SAME for module in modules]), mean([module.OBJECT for module in modules]))
    else:
        write(args.out, *fitted(args))


if __name__ == "__main__":
    main()

"""The compiled parts of the region pipeline against plain NumPy that says the same in other words."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ros.tracking import region_graph as rg
from cc_ros.tracking.compiled import compiled
from cc_ros.tracking.region_graph import RegionGraph, merge, region_graph
from cc_ros.tracking.region_model import pair_features
from cc_ros.tracking.region_weights import SAME
from cc_ros.tracking.superpixels import superpixels


def picture(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Coloured blocks and blobs with grain."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (4, 5, 3), np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    for _ in range(6):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(image, centre, int(rng.integers(3, 12)), rng.integers(0, 255, 3).tolist(), -1)
    return np.clip(image.astype(int) + rng.integers(-6, 7, image.shape), 0, 255).astype(np.uint8)


def grains(seed: int) -> RegionGraph:
    image = picture(seed)
    return region_graph(image, *superpixels(image))


def colours(image: np.ndarray) -> np.ndarray:
    """Lab and chromaticity, HxWx5."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lifted = image.astype(np.float32) + 4
    share = 100 * lifted / lifted.sum(axis=2, keepdims=True)
    return np.concatenate([lab, share[..., 2:], share[..., 1:2]], axis=2).astype(np.float64)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_regions_hold_the_sums_of_their_pixels(seed: int) -> None:
    image = picture(seed)
    labels, gradient = superpixels(image)
    graph = region_graph(image, labels, gradient)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    colour = colours(image)
    for region, row in enumerate(graph.regions):
        mine = labels == region
        own = colour[mine]
        assert row[rg.COUNT] == mine.sum()
        assert np.allclose(row[[rg.L, rg.A, rg.B, rg.RED, rg.GREEN]], own.sum(axis=0), rtol=1e-4, atol=0.05)
        assert np.allclose(row[[rg.L2, rg.A2, rg.B2, rg.RED2, rg.GREEN2]], (own**2).sum(axis=0), rtol=1e-4, atol=0.5)
        assert np.isclose(row[rg.GRADIENT], gradient[mine].sum(), rtol=1e-4)
        assert (row[rg.X], row[rg.Y]) == (x[mine].sum(), y[mine].sum())
        edges = (mine[:, 0], mine[:, -1], mine[0], mine[-1])
        assert row[[rg.LEFT, rg.RIGHT, rg.TOP, rg.BOTTOM]].tolist() == [edge.sum() for edge in edges]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_borders_hold_the_steps_across_them(seed: int) -> None:
    image = picture(seed)
    labels, gradient = superpixels(image)
    graph = region_graph(image, labels, gradient)
    height, width = labels.shape
    colour = colours(image)
    sums: dict[tuple[int, int], np.ndarray] = {}
    for y, x in np.ndindex(height, width):
        for dy, dx in ((0, 1), (1, 0)):
            if y + dy == height or x + dx == width or labels[y, x] == labels[y + dy, x + dx]:
                continue
            before = colour[max(y - dy, 0), max(x - dx, 0)]
            after = colour[min(y + 2 * dy, height - 1), min(x + 2 * dx, width - 1)]
            step = np.abs(before - after)
            light, hue, share = step[0], math.hypot(step[1], step[2]), math.hypot(step[3], step[4])
            row = [1, light, hue, share, gradient[y, x], light / (light + 5), hue / (hue + 5), light > 8, hue > 8]
            key = tuple(sorted((int(labels[y, x]), int(labels[y + dy, x + dx]))))
            sums[key] = sums.get(key, np.zeros(9)) + row
    assert list(zip(graph.first.tolist(), graph.second.tolist(), strict=True)) == sorted(sums)
    assert np.allclose(graph.borders[:, :9], [sums[key] for key in sorted(sums)], rtol=1e-3, atol=0.02)


def plainly_merged(graph: RegionGraph, affinity, threshold: float) -> np.ndarray:
    """Return the labels that merging in rounds ends with; everything is measured anew in each round."""
    region = np.arange(len(graph.regions))
    now = graph
    while True:
        value = affinity(now)
        best: dict[int, int] = {}
        for border in np.argsort(value, kind="stable").tolist():
            if value[border] > threshold:
                best[int(now.first[border])] = best[int(now.second[border])] = border
        ends = zip(now.first.tolist(), now.second.tolist(), strict=True)
        chosen = [k for k, (a, b) in enumerate(ends) if best.get(a) == k and best.get(b) == k]
        if not chosen:
            return region[graph.labels]
        chosen = np.array(sorted(chosen, key=lambda k: value[k]))
        if len(chosen) > 8:
            chosen = chosen[math.ceil(0.3 * (len(chosen) - 1)) :]
        into = np.arange(len(now.regions))
        into[now.second[chosen]] = now.first[chosen]
        number = np.unique(into, return_inverse=True)[1]
        region = number[region]
        now = contracted(now, number, chosen)


def contracted(graph: RegionGraph, number: np.ndarray, chosen: np.ndarray) -> RegionGraph:
    count = number.max() + 1
    regions, votes = np.zeros((count, graph.regions.shape[1])), np.zeros((count, graph.votes.shape[1]))
    np.add.at(regions, number, graph.regions)
    np.add.at(votes, number, graph.votes)
    perimeter = np.bincount(number, graph.perimeter)
    np.add.at(perimeter, number[graph.first[chosen]], -2 * graph.borders[chosen, rg.LENGTH])
    ends = np.sort(number[np.stack([graph.first, graph.second], axis=1)], axis=1)
    between = ends[:, 0] != ends[:, 1]
    pairs, which = np.unique(ends[between], axis=0, return_inverse=True)
    borders = np.zeros((len(pairs), graph.borders.shape[1]))
    np.add.at(borders, which.ravel(), graph.borders[between])
    return RegionGraph(graph.labels, regions, votes, perimeter, pairs[:, 0], pairs[:, 1], borders)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 4))
def test_merging_in_place_ends_where_merging_anew_ends(seed: int, threshold: float) -> None:
    graph = grains(seed)
    rng = np.random.default_rng(seed)
    graph = replace(graph, votes=rng.integers(0, 9, (len(graph.regions), 3)).astype(float))

    def affinity(now: RegionGraph) -> np.ndarray:
        return SAME(pair_features(now))

    merged = merge(graph, affinity, threshold)
    assert np.array_equal(merged.labels, plainly_merged(graph, affinity, threshold))
    assert np.allclose(merged.votes.sum(axis=0), graph.votes.sum(axis=0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_superpixels_cover_images_of_any_size_without_gaps(seed: int, height: int, width: int) -> None:
    labels, gradient = superpixels(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))
    assert labels.shape == gradient.shape == (height, width)
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_pair_features_do_not_depend_on_the_order_of_the_pair() -> None:
    graph = grains(3)
    turned = replace(graph, first=graph.second, second=graph.first)
    features = pair_features(graph)
    assert np.isfinite(features).all()
    assert np.allclose(pair_features(turned), features)


def test_code_is_compiled_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "from cc_ros.tracking import compiled\n"
        "import numba.core.caching as caching\n"
        "for locator in caching.CacheImpl._locator_classes:\n"
        "    locator.from_function = classmethod(lambda cls, function, file: None)\n"
        "@compiled.compiled\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "assert twice(21) == 42 and twice.nopython_signatures\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert compiled(lambda x: x + 1)(1) == 2

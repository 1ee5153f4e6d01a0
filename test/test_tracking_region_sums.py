"""The compiled loops over regions do what the plain arrays say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ros.tracking.appearance import Exemplars, region_histograms
from cc_ros.tracking.object_motion import STRIDE, motion_errors, motion_odds
from cc_ros.tracking.region_sums import add_up, add_where, drawn, gathered, owner_boxes, region_areas, settled

seeds = st.integers(0, 2**32 - 1)


def regions(rng: np.random.Generator, count: int) -> np.ndarray:
    """A map with all of 0..count-1 in it."""
    size = rng.integers(3, 20, 2)
    labels = rng.integers(0, count, size).astype(np.int32)
    labels.flat[:count] = np.arange(count)
    return labels


@given(seeds)
def test_histograms_count_each_pixel_in_its_region_and_in_a_bin_of_its_colour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = regions(rng, 4)
    image = rng.integers(0, 256, (3, 3), np.uint8)[rng.integers(0, 3, labels.shape)]  # three colours
    found = region_histograms(image, labels, 4).toarray()
    alone = [
        region_histograms(np.full((1, 1, 3), c, np.uint8), np.zeros((1, 1), np.int32), 1)
        for c in np.unique(image.reshape(-1, 3), axis=0)
    ]
    expected = np.zeros_like(found)
    for colour, bins in zip(np.unique(image.reshape(-1, 3), axis=0), alone, strict=True):
        mine = (image == colour).all(axis=2)
        expected[:, bins.indices[0]] += np.bincount(labels[mine], minlength=4)
    assert np.array_equal(found, expected)


@given(seeds)
def test_sums_over_regions_are_those_of_bincount_and_nothing_comes_last(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = regions(rng, 5)
    values = rng.random(labels.shape).astype(np.float32)
    where = rng.integers(0, 2, labels.shape).astype(np.uint8)
    sums, some, counts = np.zeros((3, 5))
    add_up(labels, values, sums)
    add_where(labels, values, where, some, counts)
    assert np.allclose(sums, np.bincount(labels.ravel(), values.ravel(), 5))
    assert np.allclose(some, np.bincount(labels.ravel(), (values * where).ravel(), 5))
    assert np.array_equal(counts, np.bincount(labels.ravel(), where.ravel(), 5))
    rows = np.where(where > 0, labels, -1)
    assert np.array_equal(region_areas(rows, 5), [*counts, (where == 0).sum()])
    table = rng.random(6).astype(np.float32)
    assert np.array_equal(gathered(rows, table), table[rows])


@given(seeds)
def test_the_box_of_an_owner_holds_all_its_pixels_and_no_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, owner = regions(rng, 6) - 1, np.append(rng.integers(0, 4, 6), 0)
    for k, box in enumerate(owner_boxes(rows, owner, 3).tolist()):
        y, x = np.nonzero(owner[rows] == k + 1)
        assert box[2] == 0 if not len(x) else box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


@given(seeds)
def test_shares_settle_as_the_sum_of_what_is_own_and_what_neighbours_have(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = np.triu(rng.random((6, 6)) * (rng.random((6, 6)) < 0.5), 1).astype(np.float32)
    links += links.T
    own, pull = rng.random((6, 3)).astype(np.float32), (0.2 * rng.random((6, 3))).astype(np.float32)
    expected = own
    for _ in range(7):
        expected = own + pull * (links @ expected)
    start = np.concatenate([[0], np.cumsum((links > 0).sum(axis=1))]).astype(np.int32)
    other = np.nonzero(links)[1].astype(np.int32)
    assert np.allclose(settled(own, pull, start, other, links[links > 0], 7), expected, atol=1e-5)


@settings(deadline=None)
@given(seeds, st.sampled_from([1.0, 1.5, 2.3, 0.5]))
def test_an_object_is_drawn_where_its_share_interpolated_is_above_one_half(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = regions(rng, 5) - np.int32(1)
    share = rng.dirichlet([0.3, 0.3, 0.3], 5).astype(np.float32)[:, :2]  # two objects, and none
    share[-1] = 0
    owner = np.where(share.max(axis=1) > 0.5, share.argmax(axis=1) + 1, 0)
    size = (round(rows.shape[1] * scale), round(rows.shape[0] * scale))
    found = drawn(rows, share, owner, np.array([0, 7, 9], np.uint16), *size)
    assert found.dtype == np.uint16
    step = np.array(rows.shape[::-1]) / size
    grid = [
        np.clip((np.arange(n) + 0.5) * s - 0.5, 0, m - 1) for n, s, m in zip(size, step, rows.shape[::-1], strict=True)
    ]
    x, y = (axis.astype(np.float32) for axis in np.meshgrid(*grid))
    for k, name in enumerate((7, 9)):
        value = cv2.remap(share[:, k][rows], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        clear = np.abs(value - 0.5) > 0.05  # OpenCV interpolates in steps of 1/32
        assert np.array_equal((found == name)[clear], (value > 0.5)[clear])


def test_exemplars_vote_by_colour_and_place_as_their_formula_says() -> None:
    rng = np.random.default_rng(5)
    known, asked = (rng.random((n, 5)).astype(np.float32) * (100, 40, 40, 80, 80) for n in (30, 12))
    share, area, place = rng.random(30), rng.integers(1, 50, 30).astype(float), (40.0, 30.0, 50.0)
    exemplars = Exemplars()
    exemplars.learn(known.astype(np.float32), area, share, place)
    reach = np.array([12, 6, 6, 0.35 * 50, 0.35 * 50])
    alike = np.exp(-0.5 * (((asked[:, None] - known) / reach) ** 2).sum(axis=2))
    inside, outside = (alike @ (area / 50**2 * part) + 1e-3 for part in (share, 1 - share))
    odds = exemplars.odds(asked.astype(np.float32), place)
    assert np.allclose(odds, np.clip(np.log(inside / outside), -4, 4), atol=1e-3)


@pytest.mark.parametrize(("moved", "trusted"), [((5.0, 0.0), True), ((0.0, 0.0), False)])
def test_motion_tells_an_object_only_where_it_differs_from_that_of_the_background(
    moved: tuple[float, float], trusted: bool
) -> None:
    flow, carried = np.zeros((60, 80, 2), np.float32), np.zeros((60, 80), np.float32)
    flow[20:40, 30:50], carried[20:40, 30:50] = moved, 1
    still, own = np.eye(2, 3, dtype=np.float32), np.eye(2, 3, dtype=np.float32)
    own[:, 2] = moved
    background = motion_errors(flow, still)
    assert np.allclose(background[20:40, 30:50], np.hypot(*moved)) and not background[:20].any()
    part = np.s_[10:50, 20:60]
    start = (20 * STRIDE, 10 * STRIDE)
    odds, trust = motion_odds(flow[part], own, start, background[part], carried[part])
    assert (trust > 0.9) == trusted
    assert (odds[10:30, 10:30] > 1).all() == trusted and (trusted or not odds.any())

"""What is known of small regions is what their pixels say, and masks are drawn from them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from cc_ros.tracking.flow.appearance import Exemplars, region_histograms
from cc_ros.tracking.flow.object_motion import STRIDE, motion_errors, motion_odds
from cc_ros.tracking.flow.superpixel_shares import drawn, random_walk
from cc_ros.tracking.flow.superpixels import Superpixels, grown, hull, segment

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


def blocks(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Coloured blocks with grain (width, height)."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (4, 5, 3), np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.clip(image.astype(int) + rng.integers(-5, 6, image.shape), 0, 255).astype(np.uint8)


@settings(max_examples=30)
@given(seeds, st.integers(1, 70), st.integers(1, 50))
def test_every_pixel_is_in_a_region_and_no_number_is_left_out(seed: int, width: int, height: int) -> None:
    labels = segment(blocks(seed, (width, height)))
    assert labels.shape == (height, width)
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_regions_end_where_colours_do() -> None:
    image = np.full((60, 80, 3), 200, np.uint8)
    image[20:40, 30:50] = (40, 60, 190)
    labels = segment(image)
    inside = np.zeros(labels.shape, bool)
    inside[20:40, 30:50] = True
    assert abs((labels == labels[30, 40]) ^ inside).sum() < 60  # the ridge between two is either's


@settings(max_examples=15)
@given(seeds)
def test_regions_are_what_their_pixels_are_in_the_whole_image(seed: int) -> None:
    image, window = blocks(seed, (64, 48)), np.s_[5:40, 9:60]
    found = Superpixels.of(image, window)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    pixels = np.dstack([lab, *np.meshgrid(np.arange(64), np.arange(48))])[window]
    for region in range(len(found.area)):
        mine = pixels[found.labels == region]
        assert len(mine) == found.area[region] and np.allclose(mine.mean(axis=0), found.features[region], atol=1e-3)


@settings(max_examples=15)
@given(seeds)
def test_neighbours_are_linked_by_the_length_of_their_border_and_by_their_colours(seed: int) -> None:
    found = Superpixels.of(blocks(seed, (32, 24)))
    colour, labels = found.features[:, :3].astype(float), found.labels
    expected = np.zeros((len(colour),) * 2)
    for first, second in [(labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:])]:
        for a, b in zip(first.ravel(), second.ravel(), strict=True):
            if a != b:
                expected[[a, b], [b, a]] += max(np.exp(-np.linalg.norm(colour[a] - colour[b]) / 10), 0.02)
    assert np.allclose(found.links.toarray(), expected, rtol=1e-3)


def test_the_hull_of_boxes_holds_them_all_and_grows_no_further_than_the_image() -> None:
    both = hull([np.s_[3:7, 10:12], np.s_[5:9, 1:4]])
    assert both == np.s_[3:9, 1:12]
    assert grown(both, 2, (10, 40)) == np.s_[1:10, 0:14]


def test_a_region_that_nothing_decides_goes_with_those_that_look_like_it() -> None:
    links = np.zeros((4, 4), np.float32)
    links[0, 1] = links[1, 0] = 20  # the second looks like the first,
    links[1, 2] = links[2, 1] = 1  # and not like the third; the fourth stands alone
    odds = np.array([[6, -6], [0, 0], [-6, 6], [-1, 2]], float)
    share = random_walk(csr_matrix(links), np.full(4, 30.0), odds)
    assert share.dtype == np.float32 and share.min() >= 0 and share.sum(axis=1).max() <= 1 + 1e-6
    assert share[0].argmax() == share[1].argmax() == 0 and share[2].argmax() == 1
    assert share[1, 0] > 0.5 > share[1, 1]
    alone = np.exp(odds[3]) / (1 + np.exp(odds[3]).sum())
    assert np.allclose(share[3], np.clip(3 * (alone - 0.5) + 0.5, 0, 1), atol=1e-5)


@given(seeds)
def test_shares_settle_where_each_agrees_with_its_own_odds_and_its_neighbours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = np.triu(rng.random((6, 6)) * (rng.random((6, 6)) < 0.5), 1).astype(np.float32)
    links += links.T
    area, odds = rng.integers(20, 90, 6).astype(float), rng.normal(0, 2, (6, 3))
    claims = np.exp(odds)
    own = claims / (1 + claims.sum(axis=1, keepdims=True))
    expected = np.empty_like(own)
    for k in range(3):  # a linear system for each object
        sure = 10 * np.sqrt(area) * (0.1 + np.abs(2 * own[:, k] - 1))
        expected[:, k] = np.linalg.solve(np.diag(links.sum(axis=1) + sure) - links, sure * own[:, k])
    found = random_walk(csr_matrix(links), area, odds)
    assert np.allclose(found, np.clip(3 * (expected - 0.5) + 0.5, 0, 1), atol=1e-3)


@given(seeds, st.sampled_from([1.0, 1.5, 2.3]))
def test_an_object_is_drawn_where_its_share_interpolated_is_above_one_half(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = regions(rng, 5) - np.int32(1)
    share = rng.dirichlet([0.3, 0.3, 0.3], 5).astype(np.float32)[:, :2]  # two objects, and none
    share[-1] = 0
    size = (round(rows.shape[1] * scale), round(rows.shape[0] * scale))
    found = drawn(rows, share, np.array([0, 7, 9], np.uint16), size)
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

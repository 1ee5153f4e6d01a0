"""The one rule of time, for nodes and recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.stamps import Order, StampOrder

MS = 10**6


def follow(stamps: list[int], arrivals: list[int]) -> tuple[list[Order], list[int]]:
    """Return the orders and the instants, everything in milliseconds."""
    rule = StampOrder()
    told = [rule.check(stamp * MS, arrival * MS) for stamp, arrival in zip(stamps, arrivals, strict=True)]
    return [order for order, _ in told], [instant // MS for _, instant in told]


@pytest.mark.parametrize(
    ("stamps", "instants"),
    [
        ([0, 100, 200, 300], [0, 100, 200, 300]),
        ([7, 7, 7, 7], [7, 107, 207, 307]),  # a driver that never sets them
        ([0, 0, 0, 0, 0, 500, 500, 500], list(range(0, 800, 100))),  # too coarse
        ([0, 200, 200, 400, 600], [0, 200, 300, 400, 600]),  # one sent twice
        ([0, 100, 100, 110, 120], [0, 100, 200, 210, 220]),  # the driver goes on where it had stopped
    ],
)
def test_instants_keep_the_pace_of_the_stream(stamps: list[int], instants: list[int]) -> None:
    assert follow(stamps, list(range(0, 100 * len(stamps), 100)))[1] == instants


def test_images_sent_twice_in_a_row_do_not_speed_time_up() -> None:
    stamps = np.repeat(np.arange(0, 3000, 33), 2)
    arrivals = stamps + np.tile([0, 1], len(stamps) // 2)
    orders, instants = follow(stamps.tolist(), arrivals.tolist())
    assert orders[:3] == [Order.NEXT, Order.STILL, Order.NEXT]
    assert np.abs(np.array(instants) - arrivals).max() <= 2


def test_a_late_image_and_a_new_beginning() -> None:
    orders, instants = follow([0, 200, 100, 300, 5000, 0, 100], [0, 200, 250, 300, 5000, 5100, 5200])
    assert orders == [*[Order.NEXT] * 2, Order.LATE, Order.NEXT, Order.NEXT, Order.JUMPED_BACK, Order.NEXT]
    assert instants == [0, 200, 100, 300, 5000, 0, 100]


@given(st.lists(st.integers(-3_000, 3_000), min_size=1, max_size=50))
def test_time_grows_within_an_episode_whatever_the_stamps(steps: list[int]) -> None:
    order, stamp, arrival = StampOrder(), 10**18, 0
    last = None
    for step in steps:
        stamp, arrival = stamp + step * 1_000_000, arrival + 33_000_000
        kind, instant = order.check(stamp, arrival)
        if kind is Order.LATE:
            continue
        if kind is Order.JUMPED_BACK:
            last = None
        assert last is None or instant > last
        last = instant


def test_a_stream_whose_stamps_stood_still_for_long_goes_on_in_the_same_episode() -> None:
    order = StampOrder()
    kinds = [order.check(stamp, i * 10**9)[0] for i, stamp in enumerate([5, 5, 5, 5, 5, 40_000_000])]
    assert kinds == [Order.NEXT, *[Order.STILL] * 4, Order.NEXT]

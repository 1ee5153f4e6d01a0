"""Ids never run out: they are given anew after 65,535 of them, and never while something still has them."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ros.errors import BackendError
from cc_ros.frame import Frame
from cc_ros.tracking.base import Track, Tracked, Tracker, TrackStatus
from cc_ros.tracking.fallback import Fallback
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.flow.tracker import FlowTracker
from cc_ros.tracking.ids import FORGOTTEN, REFUSED, IdPool

CLEAR = 0.9  # chance of being an object


def test_new_ids_first_then_those_let_go_longest_ago() -> None:
    pool = IdPool(largest=4)
    assert [pool.take() for _ in range(3)] == [1, 2, 3]
    pool.release(2)
    pool.release(1)
    assert [pool.take() for _ in range(3)] == [4, 2, 1]
    assert pool.take() == 0
    assert (pool.refused, pool.given, pool.left) == (1, 6, 0)
    pool.release(7)  # was never given
    pool.release(3)
    pool.release(3)
    assert [pool.take(), pool.take()] == [3, 0]


def test_ids_that_somebody_chose_are_left_alone_and_new_ones_lie_above() -> None:
    pool = IdPool(largest=6)
    pool.keep([2, 4])
    assert [pool.take() for _ in range(5)] == [5, 6, 1, 3, 0]


@given(st.lists(st.integers(0, 12), max_size=200))
@settings(max_examples=50)
def test_an_id_never_has_two_owners(events: list[int]) -> None:
    pool, held = IdPool(largest=5), set()
    for event in events:
        if event > 5:
            new = pool.take()
            assert new not in held
            assert (new == 0) == (len(held) == 5)
            held |= {new} - {0}
        else:
            pool.release(event)
            held.discard(event)


def test_300_000_objects_in_flat_memory() -> None:
    table, last_seen, memory = TrackTable(max_lost=200), {}, []
    tracemalloc.start()
    for frame in range(3000):
        stamp = frame / 10
        here = [table.open(stamp) for _ in range(100)]
        for track in here:
            table.judge(track, CLEAR, 1.0, stamp, 0.5, at_once=True)
            track.last_seen = stamp
        assert len({t.id for t in table.tracks.values()} - {0}) == len(table.tracks)
        for track in here:
            assert last_seen.get(track.id, -1.0) < track.named, "somebody else's until now"
        table.prune({t.key for t in here})
        last_seen |= {t.id: stamp for t in here}
        if frame in (1000, 2999):
            memory.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert table.ids_given == 300_000
    assert table.health() == {FORGOTTEN: 300_000 - 300}
    assert memory[1] < 1.05 * memory[0]


def test_when_all_ids_are_in_use_the_refusals_are_counted_and_ids_come_back() -> None:
    table = TrackTable(max_lost=10)
    for _ in range(65_600):
        table.judge(table.open(0.0), CLEAR, 1.0, 0.0, 0.5, at_once=True)
    assert table.health()[REFUSED] == 65
    without = [t for t in table.tracks.values() if not t.id]
    assert len(without) == 65
    table.prune({t.key for t in without})
    table.judge(without[0], CLEAR, 1.0, 1.0, 0.5, at_once=True)
    assert without[0].id
    assert table.health()[FORGOTTEN] == 65_525


def test_the_elder_of_two_pieces_stays_though_its_number_may_be_higher() -> None:
    table = TrackTable(max_lost=0)
    tracks = [table.open(0.0) for _ in range(65_535)]
    for track in tracks:
        table.judge(track, CLEAR, 1.0, 0.0, 0.5, at_once=True)
    table.prune({t.key for t in tracks[1:]})  # number 1 is free again
    young = table.open(1.0)
    table.judge(young, CLEAR, 1.0, 1.0, 0.5, at_once=True)
    assert (young.id, tracks[-1].id) == (1, 65_535)
    assert table.unite(young.key, tracks[-1].key) == (tracks[-1].key, young.key)


def test_an_object_is_first_seen_when_it_gets_its_id() -> None:
    table = TrackTable(max_lost=5)
    track = table.open(1.0)
    table.judge(track, 0.3, 1.0, 1.0, 0.5)
    track.evidence = 2.0
    table.judge(track, CLEAR, 1.0, 3.0, 0.5)
    table.measure(np.full((4, 4), track.id, np.uint16), 3.0)
    assert [t.first_seen for t in table.report()] == [3.0]
    assert math.isinf(table.open(4.0).named)


class _Failing(Tracker):
    """Knows two objects, the second since stamp 1; fails from stamp 2 on."""

    def step(self, frame: Frame) -> Tracked:
        if frame.stamp >= 2:
            raise BackendError("no more")
        labels = np.zeros(frame.image.shape[:2], np.uint16)
        labels[10:40, 10:40], labels[10:40, 60:90] = 1, 2
        return Tracked(labels, tuple(_track(i, float(i - 1), frame.stamp) for i in (1, 2)))

    def seed(self, labels: np.ndarray) -> None:
        raise AssertionError

    def reset(self) -> None:
        pass


def _track(number: int, first: float, stamp: float) -> Track:
    return Track(number, TrackStatus.VISIBLE, 900, (25.0, 25.0), (10, 10, 30, 30), 1.0, first, stamp)


def test_the_simple_tracker_that_takes_over_means_the_same_objects() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 10:40], image[10:40, 60:90] = (0, 0, 200), (0, 200, 0)
    tracker = Fallback(FlowTracker, _Failing(), title="SAM 2")
    tracker.step(Frame(image, 1.5))
    tracked = tracker.step(Frame(image, 2.0))
    assert {t.id: t.first_seen for t in tracked.tracks} == {1: 0.0, 2: 1.0}


@pytest.mark.parametrize("ids", [[3, 65_535], [1]])
def test_given_masks_keep_their_numbers(ids: list[int]) -> None:
    labels = np.zeros((8, 8), np.uint16)
    for row, number in enumerate(ids):
        labels[4 * row : 4 * row + 4] = number
    table = TrackTable(max_lost=0)
    assert [t.id for t in table.adopt(labels, 0.0)] == ids
    track = table.open(1.0)
    table.judge(track, CLEAR, 1.0, 1.0, 0.5, at_once=True)
    assert track.id and track.id not in ids

"""Sparsifying and selecting: frames spread over an endless stream in constant memory, and the objects of them."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ros.errors import ImageError
from cc_ros.keyframes.prominence import areas, top_k
from cc_ros.keyframes.store import ArrayPicture, Candidate, KeyframeStore, median_depths

IMAGE = np.zeros((6, 8, 3), np.uint8)
LABELS = np.zeros((6, 8), np.uint16)


def offer(store: KeyframeStore, stamps) -> int:
    return sum(store.offer(Candidate(i, t, ArrayPicture(IMAGE), LABELS)) for i, t in enumerate(stamps))


@pytest.mark.parametrize("frames", [1, 2, 8, 64])
@pytest.mark.parametrize("length", [1, 7, 64, 127, 128, 129, 1000, 5000])
def test_kept_frames_are_spread_evenly_however_long_the_stream(frames, length):
    store = KeyframeStore(recent_seconds=5.0)
    offer(store, (i / 30 for i in range(length)))
    chosen = store.choose(frames)
    assert len(chosen) == min(frames, length)
    indices = [kept.index for kept in chosen]
    assert indices == sorted(set(indices))
    assert indices[-1] == length - 1
    if frames > 1:
        assert indices[0] == 0
    if len(indices) > 2:
        gaps = np.diff(indices)
        # candidates lie a stride apart, so that a choice among them is off by one stride at most
        stride = max(1, length / 63)
        assert gaps.max() - gaps.min() <= 2 * stride + 1


def offer_tracked(store: KeyframeStore, length: int, every: int) -> None:
    """Frames at 30 Hz of which every so-many-th was detected in, and the others are carried."""
    for i in range(length):
        store.offer(Candidate(i, i / 30, ArrayPicture(IMAGE), LABELS, carried=i % every > 0))


@pytest.mark.parametrize("every", [2, 3, 5])
@pytest.mark.parametrize("length", [90, 128, 129, 1000, 5000])
def test_frames_whose_objects_were_detected_are_chosen(every, length):
    store = KeyframeStore(recent_seconds=5.0)
    offer_tracked(store, length, every)
    chosen = [kept.index for kept in store.choose(8)]
    assert [i % every for i in chosen] == [0] * 8
    assert (chosen[0], chosen[-1]) == (0, (length - 1) // every * every)
    gaps = np.diff(chosen)
    assert np.abs(gaps - gaps.mean()).max() <= max(every, 0.2 * gaps.mean())


def test_where_too_few_were_detected_in_all_frames_are_chosen_from():
    store = KeyframeStore()
    offer_tracked(store, 10, 3)
    assert [kept.index for kept in store.choose(8)] == [0, 1, 3, 4, 5, 6, 8, 9]
    assert [kept.index for kept in store.choose(4)] == [0, 3, 6, 9]


def test_a_carried_frame_is_kept_where_no_other_comes():
    store = KeyframeStore(recent_seconds=5.0)
    for i in range(3000):
        store.offer(Candidate(i, i / 30, ArrayPicture(IMAGE), LABELS, carried=i > 0))
    chosen = [kept.index for kept in store.choose(8)]
    assert (chosen[0], chosen[-1]) == (0, 2999)
    assert np.diff(chosen).max() < 1.5 * 3000 / 7


@given(st.lists(st.floats(0, 100), min_size=1, max_size=600), st.integers(1, 64))
@settings(max_examples=50)
def test_memory_is_bounded_and_order_kept_whatever_the_stamps(steps, frames):
    store = KeyframeStore(capacity=32, recent_seconds=10.0, recent_capacity=8)
    offer(store, itertools.accumulate(steps))
    assert len(store._spread) < 32
    assert len(store._recent) <= 10
    chosen = store.choose(frames)
    assert [kept.index for kept in chosen] == sorted({kept.index for kept in chosen})
    assert chosen[-1].index == len(steps) - 1


def test_stamps_that_stand_still_do_not_fill_the_memory():
    store = KeyframeStore(capacity=32)
    offer(store, [5.0] * 1000)
    assert len(store._spread) < 32


def test_the_last_seconds_are_dense_after_hours():
    store = KeyframeStore(recent_seconds=60.0)
    offer(store, (i / 2 for i in range(3600)))  # half an hour at 2 Hz
    chosen = store.choose(8, last_seconds=20.0)
    assert len(chosen) == 8
    assert chosen[0].stamp >= 3599 / 2 - 20
    assert chosen[-1].stamp == 3599 / 2


def test_only_what_is_kept_is_encoded():
    class Counting:
        encoded = 0

        def jpeg(self):
            Counting.encoded += 1
            return b""

    store = KeyframeStore(recent_seconds=1e6, recent_capacity=2)
    for i in range(2000):
        store.offer(Candidate(i, i / 30, Counting(), LABELS))
    assert Counting.encoded < 600  # 128 at first, then 64 for each doubling of the stride


def test_the_newest_frame_is_not_encoded_where_one_that_was_detected_in_is_chosen():
    class Counting:
        def __init__(self, encoded):
            self.encoded = encoded

        def jpeg(self):
            self.encoded.append(self)
            return b""

    encoded = []
    store = KeyframeStore(recent_seconds=1e6, recent_capacity=2)
    for i in range(1000):
        store.offer(Candidate(i, i / 30, Counting(encoded), LABELS, carried=i % 3 > 0))
    assert store.choose(8)[-1].index == 999
    before = len(encoded)
    assert not store.offer(Candidate(1000, 1000 / 30, Counting(encoded), LABELS, carried=True))
    assert store.choose(8)[-1].index == 999
    assert len(encoded) == before


def test_a_cleared_store_begins_anew():
    store = KeyframeStore()
    offer(store, range(10))
    store.clear()
    assert store.choose(8) == []
    assert store.frames_seen == 0
    offer(store, [0.0, 1.0])
    assert [kept.index for kept in store.choose(8)] == [0, 1]


def test_frames_pinned_by_hand_are_kept_whatever_their_spacing():
    store = KeyframeStore(pinned=frozenset({3, 500, 501}))
    offer(store, range(1000))
    assert [kept.index for kept in store.choose(8)] == [3, 500, 501]


def test_what_is_kept_comes_back_as_it_was():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 65536, (48, 64)).astype(np.uint16)
    store = KeyframeStore()
    store.offer(Candidate(0, 0.0, ArrayPicture(np.full((48, 64, 3), 77, np.uint8)), labels))
    kept = store.choose(1)[0]
    assert (kept.labels() == labels).all()
    assert np.abs(kept.image().astype(int) - 77).max() <= 1
    assert kept.areas == areas(labels)


def test_objects_are_chosen_by_frequency_then_area():
    frames = [{1: 10, 2: 500, 3: 1}, {1: 10, 3: 1}, {1: 10, 3: 5, 4: 900}]
    assert top_k(frames, 10) == [1, 3, 4, 2]  # 1 and 3 in three frames each, 30 px over 7 px
    assert top_k(frames, 2) == [1, 3]
    assert top_k(frames, 0) == []
    assert top_k([], 3) == []


@given(st.lists(st.dictionaries(st.integers(1, 30), st.integers(1, 1000)), max_size=12), st.integers(0, 40))
def test_selection_equals_its_definition(frames, k):
    ids = {i for frame in frames for i in frame}
    freq = {i: sum(i in frame for frame in frames) for i in ids}
    area = {i: sum(frame.get(i, 0) for frame in frames) for i in ids}
    chosen = top_k(frames, k)
    assert len(chosen) == min(k, len(ids))
    ranks = [(-freq[i], -area[i]) for i in chosen]
    assert ranks == sorted(ranks)
    if chosen:
        assert all((-freq[i], -area[i]) >= ranks[-1] for i in ids - set(chosen))


def test_depths_are_medians_over_the_mask_without_the_unknown():
    labels = np.array([[1, 1, 1, 2], [1, 2, 2, 0]], np.uint16)
    depth = np.array([[1.0, 2.0, 9.0, np.nan], [np.nan, 0.0, np.inf, 5.0]], np.float32)
    assert median_depths(labels, depth, areas(labels)) == {1: 2.0}
    with pytest.raises(ImageError, match="depth image"):
        median_depths(labels, depth[:1], {})


def seen(index: int, stamp: float, objects: dict[int, float]) -> Candidate:
    """Return a frame of 10x10 pixels with an object a row: id -> when it was first seen."""
    labels = np.zeros((10, 10), np.uint16)
    labels[: len(objects)] = np.array(list(objects), np.uint16)[:, None]
    return Candidate(index, stamp, ArrayPicture(np.zeros((10, 10, 3), np.uint8)), labels, first_seen=objects)


def test_an_id_given_anew_leaves_the_frames_in_which_it_meant_something_else():
    store = KeyframeStore()
    store.offer(seen(0, 0.0, {1: 0.0, 2: 0.0}))
    store.offer(seen(1, 1.0, {1: 0.0, 3: 1.0}))
    assert [sorted(kept.areas) for kept in store.choose(8)] == [[1, 2], [1, 3]]
    before = store.choose(8)[1]
    store.offer(seen(2, 2.0, {2: 2.0, 3: 1.0}))
    assert [sorted(kept.areas) for kept in store.choose(8)] == [[1], [1, 3], [2, 3]]
    assert store.let_go == 1
    assert store.choose(8)[1] is before, "what did not change needs no drawing anew"
    store.offer(seen(3, 3.0, {1: 2.5}))
    assert [sorted(kept.areas) for kept in store.choose(8)] == [[], [3], [2, 3], [1]]
    assert store.let_go == 2
    assert store.choose(1, 0.1)[0].areas == {1: 10}


def test_stamps_that_stand_still_do_not_make_one_object_two():
    store = KeyframeStore()
    for i, first in enumerate([0.0, 0.0, 0.0]):  # first seen by the time of arrival, after the stamp that stands still
        store.offer(seen(i, 0.0, {1: first, 2: 0.7}))
    assert [sorted(kept.areas) for kept in store.choose(8)] == [[1, 2]] * 3
    assert store.let_go == 0


def test_frames_that_do_not_know_since_when_go_by_their_stamp():
    store = KeyframeStore()
    bare = seen(0, 5.0, {1: 0.0, 2: 0.0})
    store.offer(dataclasses.replace(bare, first_seen={}))
    store.offer(seen(1, 6.0, {1: 6.0, 2: 4.0}))
    assert sorted(store.choose(2)[0].areas) == [2]


def test_a_million_objects_leave_only_as_much_as_the_ids_can_mean():
    store = KeyframeStore(capacity=16, recent_seconds=1.0, recent_capacity=4)
    for i in range(1000):
        first = {1 + (1000 * i + k) % 65_535: float(i) for k in range(1000)}
        store.offer(Candidate(i, float(i), ArrayPicture(IMAGE), LABELS, first_seen=first))
    assert len(store._meaning) == 65_535

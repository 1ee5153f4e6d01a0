from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.flow.memory.views import ViewMemory
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.label_maps import compact, shapes
from cc_ros.tracking.optical_flow import DisFlow, warp

maps = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 5))


@given(maps)
def test_compact_numbers_the_labels_without_gaps(labels: np.ndarray) -> None:
    distinct, index = compact(labels)
    assert np.array_equal(distinct[index], labels)
    assert np.array_equal(distinct, np.unique(labels))


@given(maps)
def test_shapes_are_those_of_the_pixels(labels: np.ndarray) -> None:
    found = shapes(labels)
    assert set(found) == set(np.unique(labels).tolist()) - {0}
    for label, shape in found.items():
        y, x = np.nonzero(labels == label)
        assert shape.area == len(x)
        assert np.allclose(shape.centre, (x.mean(), y.mean()))
        assert shape.box == (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)


def test_flow_carries_a_map_along() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (240, 320), np.uint8), (0, 0), 2)
    labels = np.zeros(image.shape, np.int32)
    labels[100:140, 100:160] = 70000  # more than 16 bits
    motion = DisFlow(1).motion(image, np.roll(image, 6, axis=1))
    moved = warp(labels, motion.flow)
    truth = np.roll(labels, 6, axis=1) > 0
    assert (truth & (moved == 70000)).sum() / (truth | (moved > 0)).sum() > 0.9
    assert motion.reliable[100:140, 100:160].mean() > 0.9


@pytest.mark.parametrize("fast", [3, 45, 80, 130])
def test_flow_follows_a_camera_that_turns_fast(fast: int) -> None:
    before, after = wall(300), wall(300 + fast)
    flow = DisFlow(1).flow(before, after)
    inside = np.abs(flow[20:-20, 20 : 300 - fast] - (fast, 0)).max(axis=2)
    assert (inside < 2).mean() > 0.9


def wall(offset: int) -> np.ndarray:
    """A view of 320x240 out of a wide wall of coarse texture."""
    wide = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 250), np.uint8), (2000, 240))
    return np.ascontiguousarray(wide[:, offset : offset + 320])


def test_a_view_is_known_again_after_others() -> None:
    memory = ViewMemory(capacity=4, features=400)
    labels = np.zeros((240, 320), np.int32)
    labels[60:180, 100:200] = 3
    assert not memory.recall(wall(0)).any()
    memory.remember(labels)
    for offset in (600, 1000, 1400):
        assert not memory.recall(wall(offset)).any()
        memory.remember(np.zeros_like(labels))
    found = memory.recall(wall(40)) == 3
    truth = np.roll(labels, -40, axis=1) == 3
    assert (found & truth).sum() / (found | truth).sum() > 0.9
    memory.forget()
    assert not memory.recall(wall(0)).any()


def test_ids_are_given_once_and_statuses_tell_what_happened() -> None:
    table = TrackTable(max_lost=1)
    keys = np.zeros((40, 40), np.int32)
    track = table.open(0.0)
    table.judge(track, objectness=0.5, held=0.81, stamp=0.0, average=0.5, at_once=True)
    keys[:20] = track.key
    seen = []
    for stamp, shown in enumerate((keys, keys, keys * 0, keys)):
        table.measure(table.ids(shown), float(stamp))
        seen.append(table.report()[0].status)
    assert seen == [TrackStatus.NEW, TrackStatus.VISIBLE, TrackStatus.LOST, TrackStatus.RECOVERED]
    assert math.isclose(table.report()[0].confidence, 0.76 * 0.9)
    other = table.open(5.0)
    table.judge(other, objectness=0.9, held=1.0, stamp=5.0, average=0.5, at_once=True)
    assert (track.id, other.id) == (1, 2)
    table.prune(present=set())
    assert list(table.tracks) == [other.key]  # of two as long unseen the newer one

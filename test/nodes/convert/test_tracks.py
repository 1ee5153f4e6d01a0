"""Tracks and instance maps as messages and back, and tracks of a reduced picture."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("rclpy")

import numpy as np
from cc_ros.msg import Track as TrackMsg
from cc_ros.msg import Tracks
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from std_msgs.msg import Header
from support.any_values import any_of

from cc_ros.nodes.convert.stamps import nanoseconds, to_time
from cc_ros.nodes.convert.tracks import (
    enlarged,
    masks_message,
    to_track,
    to_tracked,
    track_message,
    tracks_message,
)
from cc_ros.tracking import Track, Tracked, TrackStatus

INSTANTS = st.integers(0, 2**31 * 10**9 - 1)


def test_a_track_and_its_message_have_the_same_fields() -> None:
    assert {field.name for field in dataclasses.fields(Track)} == set(TrackMsg.get_fields_and_field_types())
    constants = {name: getattr(TrackMsg, name) for name in TrackStatus.__members__}
    assert constants == {name: int(status) for name, status in TrackStatus.__members__.items()}


@given(st.integers(0, 10**18), any_of(Track))
def test_every_field_of_a_track_comes_back(begin: int, track: Track) -> None:
    back = to_track(track_message(track, begin), begin)
    for field in dataclasses.fields(Track):
        sent, came = getattr(track, field.name), getattr(back, field.name)
        assert came == (pytest.approx(sent, abs=1e-9) if field.name.endswith("_seen") else sent), field.name


@given(arrays(np.uint16, (3, 5)), st.lists(any_of(Track), max_size=3), st.integers(0, 2**63), st.booleans())
def test_masks_come_back_and_their_tracks_go_out_alone(
    labels: np.ndarray, tracks: list[Track], episode: int, carried: bool
) -> None:
    header = Header(frame_id="camera", stamp=to_time(5))
    tracked = Tracked(labels, tuple(tracks), carried)
    message = masks_message(enlarged(tracked, (5, 3)), header, 0, episode=episode, index=7, seconds=0.5)
    assert (message.header, message.labels.header) == (header, header)
    assert (message.episode, message.index, message.seconds) == (episode, 7, 0.5)
    back = to_tracked(message, 0)
    assert np.array_equal(back.labels, labels)
    assert [track.id for track in back.tracks] == [track.id for track in tracks]
    assert back.carried == carried
    assert tracks_message(message) == Tracks(header=header, episode=episode, tracks=message.tracks)


@given(INSTANTS)
def test_stamps_are_kept_to_the_nanosecond(instant: int) -> None:
    assert nanoseconds(to_time(instant)) == instant
    track = Track(1, TrackStatus.LOST, 0, (1.0, 2.0), (0, 0, 0, 0), 0.5, 0.0, 60.0)
    assert nanoseconds(track_message(track, instant).first_seen) == instant


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 3), st.integers(0, 3))
def test_tracks_of_a_reduced_picture_fit_the_enlarged_map(width: int, height: int, x: int, y: int) -> None:
    labels = np.zeros((16, 24), np.uint16)
    labels[y : y + height, x : x + width] = 9
    centre = (x + (width - 1) / 2, y + (height - 1) / 2)
    track = Track(9, TrackStatus.NEW, width * height, centre, (x, y, width, height), 1.0, 0.0, 0.0)
    for size in ((24, 16), (48, 32), (95, 63), (96, 64)):
        large = enlarged(Tracked(labels, (track,)), size)
        assert large.labels.shape == size[::-1] and not large.carried
        rows, columns = np.nonzero(large.labels)
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert large.tracks[0].box == box
        assert large.tracks[0].area == pytest.approx(len(rows), rel=0.1)
        assert large.tracks[0].centre == pytest.approx((columns.mean(), rows.mean()), abs=0.6)

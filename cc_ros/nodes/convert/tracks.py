"""Tracks and instance maps."""

from __future__ import annotations

import array
import dataclasses
import math

import cv2
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from cc_ros.msg import Track as TrackMsg
from cc_ros.msg import TrackedMasks, Tracks
from cc_ros.nodes.convert.fields import read
from cc_ros.nodes.convert.images import image_message, to_labels
from cc_ros.nodes.convert.stamps import nanoseconds, to_time
from cc_ros.tracking import Track, Tracked, TrackStatus


def enlarged(tracked: Tracked, size: tuple[int, int]) -> Tracked:
    """Return what was tracked in a reduced picture as map and tracks of the whole one.

    :param size: (width, height) of the whole picture.
    """
    height, width = tracked.labels.shape
    if (width, height) == size:
        return tracked
    x, y = size[0] / width, size[1] / height

    def place(track: Track) -> Track:
        left, top, w, h = track.box
        # as cv2.resize takes its nearest pixels
        box = _ceil(left * x), _ceil(top * y), _ceil((left + w) * x), _ceil((top + h) * y)
        return dataclasses.replace(
            track,
            area=round(track.area * x * y),
            centre=((track.centre[0] + 0.5) * x - 0.5, (track.centre[1] + 0.5) * y - 0.5),
            box=(box[0], box[1], box[2] - box[0], box[3] - box[1]),
        )

    labels = cv2.resize(tracked.labels, size, interpolation=cv2.INTER_NEAREST)
    return dataclasses.replace(tracked, labels=labels, tracks=tuple(place(track) for track in tracked.tracks))


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-9)


def track_message(track: Track, begin: int) -> TrackMsg:
    """Return a track as a message.

    :param begin: nanoseconds of the instant that the track's stamps count from.
    """
    x, y, w, h = track.box
    return TrackMsg(
        id=track.id,
        status=int(track.status),
        area=track.area,
        centre=[float(track.centre[0]), float(track.centre[1])],
        box=RegionOfInterest(x_offset=x, y_offset=y, width=w, height=h),
        confidence=float(track.confidence),
        first_seen=to_time(begin + round(track.first_seen * 1e9)),
        last_seen=to_time(begin + round(track.last_seen * 1e9)),
    )


def to_track(message: TrackMsg, begin: int) -> Track:
    """Return the track of a message.

    :param begin: nanoseconds of the instant that the track's stamps are to count from.
    """
    box = message.box
    return read(
        Track,
        message,
        status=TrackStatus(message.status),
        box=(box.x_offset, box.y_offset, box.width, box.height),
        first_seen=(nanoseconds(message.first_seen) - begin) * 1e-9,
        last_seen=(nanoseconds(message.last_seen) - begin) * 1e-9,
    )


def masks_message(
    tracked: Tracked, header: Header, begin: int, buffer: array.array | None = None, **counts: float
) -> TrackedMasks:
    """Return what was tracked in one frame as a message.

    :param header: of the camera image.
    :param begin: nanoseconds of the instant that the tracks' stamps count from.
    :param buffer: as for :func:`image_message`.
    :param counts: the message's fields ``episode``, ``index`` and ``seconds``.
    """
    message = TrackedMasks(header=header, carried=tracked.carried, **counts)
    message.labels = image_message(header, tracked.labels, "16UC1", buffer)
    message.tracks = [track_message(track, begin) for track in tracked.tracks]
    return message


def tracks_message(masks: TrackedMasks) -> Tracks:
    """Return the same tracks without the map."""
    return Tracks(header=masks.header, episode=masks.episode, tracks=masks.tracks)


def to_tracked(message: TrackedMasks, begin: int) -> Tracked:
    """Return what was tracked in the frame of a message.

    :param begin: nanoseconds of the instant that the tracks' stamps are to count from.
    :raises ImageError: the map is not 16UC1, or its size does not fit its data.
    """
    tracks = tuple(to_track(track, begin) for track in message.tracks)
    return Tracked(to_labels(message.labels), tracks, message.carried)

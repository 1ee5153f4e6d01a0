"""Marked keyframes, how they are asked for, and what their marks look like."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from std_msgs.msg import Header

from cc_ros.errors import SettingsError
from cc_ros.frame import Distortion
from cc_ros.keyframes import KeyframeRequest, KeyframeSet, Mark, MarkedKeyframe, MarkSettings, RememberedObject
from cc_ros.msg import Keyframe as KeyframeMsg
from cc_ros.msg import Mark as MarkMsg
from cc_ros.msg import MarkedKeyframes, MarkStyle
from cc_ros.msg import RememberedObject as RememberedObjectMsg
from cc_ros.nodes.convert.fields import read, written
from cc_ros.nodes.convert.images import jpeg_message
from cc_ros.nodes.convert.places import place_message, to_place
from cc_ros.nodes.convert.poses import pose_message, to_pose
from cc_ros.nodes.convert.stamps import nanoseconds, to_time
from cc_ros.srv import GetKeyframes

_SWITCH = {False: MarkStyle.OFF, True: MarkStyle.ON}


def style_message(style: str, look: MarkSettings) -> MarkStyle:
    """Return how keyframes are marked as a message.

    :param style: of the keyframes; "" = as set up.
    """
    return MarkStyle(kind=style, **{n: _SWITCH[v] if isinstance(v, bool) else v for n, v in written(look).items()})


def to_look(message: MarkStyle, own: MarkSettings) -> MarkSettings:
    """Return what marks look like by a message.

    :param own: what holds where the message leaves it open.
    :raises SettingsError: a switch is neither on nor off nor left open.
    """
    return MarkSettings(
        **{
            field.name: _chosen(field.name, getattr(message, field.name), getattr(own, field.name))
            for field in dataclasses.fields(MarkSettings)
        }
    )


def _chosen(name: str, value: Any, own: Any) -> Any:
    if not isinstance(own, bool):
        return value or own
    if value not in (MarkStyle.AS_SET, MarkStyle.ON, MarkStyle.OFF):
        raise SettingsError(f"{name} must be 0 (as set), 1 (on) or 2 (off), got {value}")
    return own if value == MarkStyle.AS_SET else value == MarkStyle.ON


def get_request(request: KeyframeRequest, blur: Sequence[int] = ()) -> GetKeyframes.Request:
    """Return a request for keyframes as that of ``cc/get_keyframes``.

    :param blur: ids of objects to be made unrecognisable.
    """
    values = written(request) | {"style": MarkStyle(kind=request.style), "blur_marks": blur}
    return GetKeyframes.Request(**values)


def to_request(message: GetKeyframes.Request) -> KeyframeRequest:
    """Return the request for keyframes of a message; its look and the marks to be blurred are told beside it."""
    return read(KeyframeRequest, message, style=message.style.kind)


def keyframes_message(seen: KeyframeSet, style: str, header: Header, begin: int, **counts: int) -> MarkedKeyframes:
    """Return marked keyframes as a message, with marks as large as they were drawn.

    :param style: in which they are marked.
    :param header: of the newest camera image.
    :param begin: nanoseconds of the instant that the keyframes' stamps count from.
    :param counts: the message's fields ``episode`` and ``frames_seen``.
    """
    look = seen.look
    if seen.keyframes:
        first = seen.keyframes[0]
        look = dataclasses.replace(look, diameter=look.pixels(first.width, first.height))
    message = MarkedKeyframes(header=header, style=style_message(style, look), remarks=seen.remarks, **counts)
    message.remembered_since = seen.remembered_since
    message.objects = [remembered_message(one) for one in seen.objects]
    for keyframe in seen.keyframes:
        own = Header(frame_id=header.frame_id, stamp=to_time(begin + round(keyframe.stamp * 1e9)))
        message.keyframes.append(keyframe_message(keyframe, own))
    return message


def to_keyframes(message: MarkedKeyframes) -> KeyframeSet:
    """Return the marked keyframes of a message; their stamps are seconds since 1970."""
    keyframes = tuple(map(to_keyframe, message.keyframes))
    objects = tuple(map(to_remembered, message.objects))
    look, remarks = to_look(message.style, MarkSettings()), tuple(message.remarks)
    return KeyframeSet(keyframes, look, remarks, objects=objects, remembered_since=message.remembered_since)


def remembered_message(known: RememberedObject) -> RememberedObjectMsg:
    """Return what a memory knows of an object as a message."""
    times = {name: to_time(round(getattr(known, name) * 1e9)) for name in ("first_seen", "last_seen", "changed")}
    message = RememberedObjectMsg(id=known.id, state=known.state, world_frame=known.world_frame, **times)
    if known.place is not None:
        message.has_place = True
        message.place.x, message.place.y, message.place.z = known.place
    return message


def to_remembered(message: RememberedObjectMsg) -> RememberedObject:
    """Return what the message of an object says."""
    place = message.place.x, message.place.y, message.place.z
    times = {name: nanoseconds(getattr(message, name)) * 1e-9 for name in ("first_seen", "last_seen", "changed")}
    return read(RememberedObject, message, place=place if message.has_place else None, **times)


def keyframe_message(keyframe: MarkedKeyframe, header: Header) -> KeyframeMsg:
    """Return a marked keyframe as a message.

    :param header: of the camera image it was made of.
    """
    message = KeyframeMsg(
        header=header,
        index=keyframe.index,
        image=jpeg_message(header, keyframe.jpeg),
        width=keyframe.width,
        height=keyframe.height,
        marks=list(map(_mark_message, keyframe.marks)),
    )
    if keyframe.intrinsics is not None:
        message.k = keyframe.intrinsics.ravel()
    if keyframe.distortion is not None:
        message.distortion_model, message.d = keyframe.distortion.model, keyframe.distortion.coefficients
    if keyframe.pose is not None:
        message.has_pose, message.pose = True, pose_message(keyframe.pose)
        message.world_frame = keyframe.world_frame
    return message


def to_keyframe(message: KeyframeMsg) -> MarkedKeyframe:
    """Return the marked keyframe of a message."""
    k = np.array(message.k, dtype=np.float64).reshape(3, 3)
    return MarkedKeyframe(
        index=message.index,
        stamp=nanoseconds(message.header.stamp) * 1e-9,
        jpeg=bytes(message.image.data),
        width=message.width,
        height=message.height,
        marks=tuple(map(_to_mark, message.marks)),
        intrinsics=k if k.any() else None,
        pose=to_pose(message.pose) if message.has_pose else None,
        world_frame=message.world_frame,
        distortion=Distortion(message.distortion_model, tuple(message.d)) if message.distortion_model else None,
    )


def _mark_message(mark: Mark) -> MarkMsg:
    message = MarkMsg(id=mark.id, x=float(mark.x), y=float(mark.y), area=mark.area, depth=mark.depth)
    if mark.place is not None:
        message.has_place, message.place = True, place_message(mark.place)
    return message


def _to_mark(message: MarkMsg) -> Mark:
    place = to_place(message.place) if message.has_place else None
    return Mark(message.id, message.x, message.y, message.area, message.depth, place)

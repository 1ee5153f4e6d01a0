"""Choose the topics of a bag: the camera's image, calibration and depth, and the robot's odometry."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cc_ros.errors import SourceError
from cc_ros.sources.bag.robot_frames import RobotFrames
from cc_ros.sources.bag.streams import CAMERA_INFO, COMPRESSED, IMAGE, ODOMETRY, Stream
from cc_ros.sources.base import NONE, SourceSettings
from cc_ros.sources.registered import same_frame, same_view

_ALIGNED = ("aligned", "registered", "_to_rgb", "_to_color")  # decides only where frames and calibrations do not
_DRAWN = frozenset({"annotated", "debug", "depth", "detections", "disparity", "mask", "masks", "overlay", "vis", "viz"})
_VIDEO = ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "foxglove_msgs/msg/CompressedVideo")


@dataclass(frozen=True)
class Topics:
    """The chosen topics; None = there is none.

    :param why: what was chosen and why, in sentences for people.
    """

    image: str
    camera_info: str | None
    depth: str | None
    odom: str | None
    why: tuple[str, ...]


def choose_topics(streams: Mapping[str, Stream], settings: SourceSettings, frames: RobotFrames) -> Topics:
    """Choose by the settings, then by type, encoding, frame and calibration; names decide last.

    :raises SourceError: no image topic, several that could be meant, or a topic asked for that is not in the bag.
    """
    why: list[str] = []
    asked = _asked(streams, settings.image_topic, (IMAGE, COMPRESSED))
    if asked and asked.depth and (not asked.encoding.startswith("16UC1") or "depth" in asked.topic.lower()):
        raise SourceError(f"topic {asked} holds depth, not pictures; the bag has {_list(streams.values())}")
    image, reason = (asked, "as asked for") if asked else _find_image(streams)
    why.append(f"images: {image}: {reason}")
    info = depth = odom = None
    if settings.camera_info_topic != NONE:
        info = _asked(streams, settings.camera_info_topic, (CAMERA_INFO,)) or _find_camera_info(streams, image)
        why.append(f"calibration: {info.topic}" if info else _no_camera_info(streams, image))
    if settings.depth_topic != NONE:
        depth = _asked(streams, settings.depth_topic, (IMAGE, COMPRESSED)) or _find_depth(streams, image, info, frames)
        if depth and not _one_frame(image, depth, frames):
            why.append(
                f"depth: {depth} is not used: it is of another frame than the image ({image.frame}); depth must be "
                "registered to the image"
            )
            depth = None
        elif depth:
            why.append(f"depth: {depth}" + (", registered to the image by its frame" if depth.frame else ""))
        else:
            named = [s for s in streams.values() if s.msgtype == IMAGE and "depth" in s.topic.lower() and s != image]
            why += [f"depth: {stream} is not used: depth is 16UC1, 32FC1 or mono16" for stream in named]
    if settings.odom_topic != NONE:
        odom = _asked(streams, settings.odom_topic, (ODOMETRY,)) or _find_odom(streams, image, frames)
        if odom:
            why.append(f"odometry: {odom.topic}")
    camera_info, depths, odometry = (stream.topic if stream else None for stream in (info, depth, odom))
    return Topics(image.topic, camera_info, depths, odometry, tuple(why))


def _asked(streams: Mapping[str, Stream], name: str, types: tuple[str, ...]) -> Stream | None:
    """Return the topic that the user named, with or without its slash and its transport; None if he named none."""
    if not name:
        return None
    full = name if name.startswith("/") else f"/{name}"
    for topic in (full, f"{full}/compressed", f"{full}/compressedDepth"):
        if topic in streams and streams[topic].msgtype in types:
            return streams[topic]
    wrong = f"is {streams[full].msgtype}, not {' or '.join(types)}" if full in streams else "is not in the bag"
    raise SourceError(f"topic {full} {wrong}; the bag has {_list(streams.values())}")


def _find_image(streams: Mapping[str, Stream]) -> tuple[Stream, str]:
    """Return the stream of pictures and why it is that one."""
    pictures = [
        stream
        for stream in streams.values()
        if stream.msgtype in (IMAGE, COMPRESSED)
        and not stream.depth
        and "/cc/" not in stream.topic  # what this package drew when the bag was recorded
    ]
    if not pictures:
        raise SourceError(_no_images(streams))
    cameras: dict[tuple[str, str], list[Stream]] = {}
    for stream in pictures:
        cameras.setdefault((stream.camera, stream.frame), []).append(stream)
    cameras = _tell_apart(cameras)
    best = min(_rank(camera) for camera in cameras.values())
    left = {key: camera for key, camera in cameras.items() if _rank(camera) == best}
    reason = "the only camera in colour" if not best[1] else "the only camera that can be read"
    if len(cameras) == 1:
        reason = "the only camera"
    if len(left) > 1:
        depth_frames = {stream.frame for stream in streams.values() if stream.depth and stream.frame}
        with_depth = {key: camera for key, camera in left.items() if key[1] in depth_frames}
        if len(with_depth) == 1 and sum(key[1] in depth_frames for key in cameras) == 1:
            left, reason = with_depth, "the camera that depth is registered to"
    if len(left) > 1:
        candidates = _list(stream for camera in left.values() for stream in camera)
        raise SourceError(
            f"the bag has several cameras, choose one by image_topic: {candidates} (`cc-ros run --topic TOPIC`)"
        )
    (camera,) = left.values()
    most = max(stream.count for stream in camera)
    # The raw transport is lossless, unless the recorder could not keep up with it.
    complete = [stream for stream in camera if stream.count >= 0.95 * most]
    chosen = min(complete, key=lambda s: (not s.readable, not s.colour, _drawn(s), s.msgtype != IMAGE, s.topic))
    return chosen, reason


def _drawn(stream: Stream) -> bool:
    """Whether a camera's topic is called like pictures that somebody drew or made of others."""
    return not _DRAWN.isdisjoint(re.findall("[a-z]+", stream.base.rsplit("/", 1)[-1].lower()))


def _tell_apart(cameras: Mapping[tuple[str, str], list[Stream]]) -> dict[tuple[str, str], list[Stream]]:
    """Return cameras by (name, frame): topics of one namespace, frame and shape are of one camera."""
    result: dict[tuple[str, str], list[Stream]] = {}
    for (space, frame), camera in cameras.items():
        sizes = [stream.size for stream in camera if all(stream.size)]
        one = bool(frame) and all(same_view(*size, *sizes[0]) for size in sizes)
        for stream in camera:
            result.setdefault((space if one else stream.base, frame), []).append(stream)
    return result


def _rank(camera: Iterable[Stream]) -> tuple[bool, bool]:
    """Return what makes a camera come first: readable, then in colour."""
    streams = list(camera)
    return not any(s.readable for s in streams), not any(s.readable and s.colour for s in streams)


def _find_camera_info(streams: Mapping[str, Stream], image: Stream) -> Stream | None:
    infos = [s for s in streams.values() if s.msgtype == CAMERA_INFO and same_frame(s.frame, image.frame)]
    sibling = f"{image.camera}/camera_info"  # where image_transport looks for it

    def rank(info: Stream) -> tuple[bool, bool, bool, str]:
        fits = not all(info.size) or not all(image.size) or same_view(*info.size, *image.size)
        return info.topic != sibling, not (info.frame and info.frame == image.frame), not fits, info.topic

    sure = [info for info in infos if info.topic == sibling or info.frame == image.frame != "" or len(infos) == 1]
    return min(sure, key=rank, default=None)


def _no_camera_info(streams: Mapping[str, Stream], image: Stream) -> str:
    others = [stream.topic for stream in streams.values() if stream.msgtype == CAMERA_INFO]
    of_others = f"; {', '.join(sorted(others))} belong to other frames than {image.frame!r}" if others else ""
    return f"no calibration: directions and distances are unknown{of_others}"


def _find_depth(
    streams: Mapping[str, Stream], image: Stream, info: Stream | None, frames: RobotFrames
) -> Stream | None:
    def rank(depth: Stream) -> tuple[object, ...]:
        aligned = any(word in depth.topic.lower() for word in _ALIGNED)
        return (
            not _one_frame(image, depth, frames),
            all(depth.size) and all(image.size) and not same_view(*depth.size, *image.size),
            not (depth.frame and depth.frame == image.frame),
            not _one_calibration(streams, depth, info),
            not aligned,
            -len(os.path.commonpath([image.topic, depth.topic])),
            depth.msgtype != IMAGE,
            depth.topic,
        )

    depths = [stream for stream in streams.values() if stream.depth and stream.topic != image.topic]
    return min(depths, key=rank, default=None)


def _one_frame(image: Stream, depth: Stream, frames: RobotFrames) -> bool:
    return same_frame(image.frame, depth.frame) or frames.same(image.frame, depth.frame)


def _one_calibration(streams: Mapping[str, Stream], depth: Stream, info: Stream | None) -> bool:
    """Whether the depth camera's own calibration is that of the picture, or nothing says that it is not."""
    own = streams.get(f"{depth.camera}/camera_info")
    if own is None or info is None or own.k is None or info.k is None or not (all(own.size) and all(info.size)):
        return True
    one, other = (s.k / np.array([[s.size[0]], [s.size[1]], [1.0]]) for s in (own, info) if s.k is not None)
    return bool(np.allclose(one, other, atol=0.02))


def _find_odom(streams: Mapping[str, Stream], image: Stream, frames: RobotFrames) -> Stream | None:
    odoms = [stream for stream in streams.values() if stream.msgtype == ODOMETRY]

    def rank(odom: Stream) -> tuple[object, ...]:
        name = odom.topic
        return not frames.joined(odom.frame, image.frame), name != "/odom", not name.endswith("/odom"), name

    return min(odoms, key=rank, default=None)


def _no_images(streams: Mapping[str, Stream]) -> str:
    text = f"the bag has no images: neither {IMAGE} nor {COMPRESSED}; it has {_list(streams.values())}"
    depths = sorted(stream.topic for stream in streams.values() if stream.depth)
    if depths:
        text += (
            f". {', '.join(depths)} hold depth: record the colour images too (where one is a thermal camera's, name it "
            "by --topic)"
        )
    videos = sorted(f"{stream.topic} ({stream.msgtype})" for stream in streams.values() if stream.msgtype in _VIDEO)
    if videos:
        text += (
            f". {', '.join(videos)} hold packets of encoded video (H.264, H.265, AV1), which are not read: decode "
            "them into images first (`ros2 run image_transport republish`), or export a video file"
        )
    return text


def _list(streams: Iterable[Stream]) -> str:
    lines = [f"{s.topic} ({s.msgtype}, {s.count} messages)" for s in streams]
    return ", ".join(sorted(lines)) or "no messages at all"

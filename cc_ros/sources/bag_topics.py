"""Which of a bag's topics are the camera's image, calibration and depth, and the robot's odometry."""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from dataclasses import dataclass

from rosbags.interfaces import Connection

from cc_ros.errors import SourceError
from cc_ros.sources.base import SourceSettings

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
NONE = "none"

_TRANSPORTS = ("/compressed", "/compressedDepth")
_ALIGNED = ("aligned", "registered")  # depth that was projected into the colour camera


@dataclass(frozen=True)
class Topics:
    """The chosen topics; None = there is none."""

    image: str
    camera_info: str | None
    depth: str | None
    odom: str | None


def choose_topics(connections: Iterable[Connection], settings: SourceSettings) -> Topics:
    """Choose by the settings, then by type and name.

    :raises SourceError: no image topic, several that could be meant, or a topic asked for that is not in the bag.
    """
    found: dict[str, Connection] = {}
    for connection in connections:
        if connection.msgcount and (
            connection.topic not in found or connection.msgcount > found[connection.topic].msgcount
        ):
            found[connection.topic] = connection
    image = _asked(found, settings.image_topic, (IMAGE, COMPRESSED)) or _find_image(found)
    return Topics(
        image,
        _optional(found, settings.camera_info_topic, (CAMERA_INFO,), _find_camera_info(found, image)),
        _optional(found, settings.depth_topic, (IMAGE, COMPRESSED), _find_depth(found, image)),
        _optional(found, settings.odom_topic, (ODOMETRY,), _find_odom(found)),
    )


def _asked(found: dict[str, Connection], name: str, types: tuple[str, ...]) -> str | None:
    """Return the topic that the user named, with or without its slash and its transport; None if he named none."""
    if not name:
        return None
    full = name if name.startswith("/") else f"/{name}"
    for topic in (full, *(full + transport for transport in _TRANSPORTS)):
        if topic in found and found[topic].msgtype in types:
            return topic
    wrong = f"is {found[full].msgtype}, not {' or '.join(types)}" if full in found else "is not in the bag"
    raise SourceError(f"topic {full} {wrong}; the bag has {_list(found.values())}")


def _optional(found: dict[str, Connection], name: str, types: tuple[str, ...], default: str | None) -> str | None:
    return None if name == NONE else _asked(found, name, types) or default


def _find_image(found: dict[str, Connection]) -> str:
    cameras: dict[str, list[Connection]] = {}
    for connection in found.values():
        own = "/cc/" in connection.topic  # what this package drew when the bag was recorded
        if connection.msgtype in (IMAGE, COMPRESSED) and not _is_depth(connection) and not own:
            cameras.setdefault(_base(connection.topic), []).append(connection)
    if not cameras:
        raise SourceError(f"the bag has no images: neither {IMAGE} nor {COMPRESSED}; it has {_list(found.values())}")
    if len(cameras) > 1:
        candidates = _list(connection for camera in cameras.values() for connection in camera)
        raise SourceError(f"the bag has several cameras, choose one by image_topic: {candidates}")
    (camera,) = cameras.values()
    most = max(connection.msgcount for connection in camera)
    # The raw transport is lossless, unless the recorder could not keep up with it.
    complete = [connection for connection in camera if connection.msgcount >= 0.95 * most]
    return min(complete, key=lambda connection: connection.msgtype != IMAGE).topic


def _find_camera_info(found: dict[str, Connection], image: str) -> str | None:
    infos = [topic for topic, connection in found.items() if connection.msgtype == CAMERA_INFO]
    sibling = _base(image).rsplit("/", 1)[0] + "/camera_info"  # where image_transport looks for it
    if sibling in infos:
        return sibling
    infos = [topic for topic in infos if "depth" not in topic.lower()]
    return infos[0] if len(infos) == 1 else None


def _find_depth(found: dict[str, Connection], image: str) -> str | None:
    def rank(topic: str) -> tuple[bool, int, bool, str]:
        aligned = any(word in topic.lower() for word in _ALIGNED)
        return not aligned, -len(os.path.commonpath([image, topic])), found[topic].msgtype != IMAGE, topic

    depths = [topic for topic, connection in found.items() if _is_depth(connection) and topic != image]
    return min(depths, key=rank, default=None)


def _find_odom(found: dict[str, Connection]) -> str | None:
    odoms = sorted(topic for topic, connection in found.items() if connection.msgtype == ODOMETRY)
    return min(odoms, key=lambda topic: (topic != "/odom", not topic.endswith("/odom")), default=None)


def _is_depth(connection: Connection) -> bool:
    return connection.msgtype in (IMAGE, COMPRESSED) and "depth" in connection.topic.lower()


def _base(topic: str) -> str:
    """Return the name of the image topic without its transport."""
    for transport in _TRANSPORTS:
        topic = topic.removesuffix(transport)
    return topic


def _list(connections: Iterable[Connection]) -> str:
    lines = [f"{c.topic} ({c.msgtype}, {c.msgcount} messages)" for c in connections]
    return ", ".join(sorted(lines)) or "no messages at all"

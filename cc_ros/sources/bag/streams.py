"""Describe the topics of a bag by their first messages rather than by their names."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from cc_ros.encodings import IMAGE_ENCODINGS
from cc_ros.errors import SourceError
from cc_ros.picture_header import read_header
from cc_ros.sources.bag.file import BagFile

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
TF = "tf2_msgs/msg/TFMessage"

_TRANSPORTS = ("/compressed", "/compressedDepth")
_DEPTH = ("16UC1", "32FC1")  # REP 118
_THERMAL = ("thermal", "lwir", "infra", "flir", "lepton", "boson")  # their pictures are 16UC1 as well
_GREY = ("mono", "8UC1", "16UC1")


@dataclass(frozen=True)
class Stream:
    """One topic and what its first message says.

    :param topic: as recorded.
    :param msgtype: as ROS 2 spells it.
    :param count: messages.
    :param frame: ``header.frame_id``, of an Odometry the ``child_frame_id``; "" where it is not known.
    :param size: (width, height), zeros where it is not known.
    :param encoding: of an image; the kind of file for a compressed one.
    :param depth: an image of distances.
    :param colour: a picture in colours.
    :param readable: of an encoding that can be decoded.
    :param k: 3x3 of a CameraInfo.
    """

    topic: str
    msgtype: str
    count: int
    frame: str = ""
    size: tuple[int, int] = (0, 0)
    encoding: str = ""
    depth: bool = False
    colour: bool = False
    readable: bool = True
    k: np.ndarray | None = None

    @property
    def base(self) -> str:
        """The name of an image topic without its transport."""
        name = self.topic
        for transport in _TRANSPORTS:
            name = name.removesuffix(transport)
        return name

    @property
    def camera(self) -> str:
        """The namespace in which a camera has its topics."""
        return self.base.rsplit("/", 1)[0]

    def __str__(self) -> str:
        size = f"{self.size[0]}x{self.size[1]}" if all(self.size) else ""
        frame = f"frame {self.frame}" if self.frame else ""
        details = filter(None, (self.encoding, size, frame, f"{self.count} messages"))
        return f"{self.topic} ({', '.join(details)})"


def read_streams(bag: BagFile) -> dict[str, Stream]:
    """Return the topics with messages; of several connections on one topic, that with the most messages."""
    largest: dict[str, Connection] = {}
    for connection in bag.connections:
        known = largest.get(connection.topic)
        if connection.msgcount and (known is None or connection.msgcount > known.msgcount):
            largest[connection.topic] = connection
    return {topic: _stream(bag, connection) for topic, connection in largest.items()}


def _stream(bag: BagFile, connection: Connection) -> Stream:
    plain = Stream(connection.topic, connection.msgtype, connection.msgcount)
    if plain.msgtype not in (IMAGE, COMPRESSED, CAMERA_INFO, ODOMETRY):
        return plain
    message: Any = None
    with suppress(SourceError):  # damage further on is told when it is read
        message = bag.first(connection)
    name = plain.topic.lower()
    by_name = "depth" in name  # only where nothing better is known
    thermal = not by_name and any(word in name for word in _THERMAL)
    if message is None:
        return Stream(plain.topic, plain.msgtype, plain.count, depth=by_name)
    topic, kind, count, frame = plain.topic, plain.msgtype, plain.count, message.header.frame_id
    if kind == ODOMETRY:
        return Stream(topic, kind, count, message.child_frame_id)
    if kind == CAMERA_INFO:
        k = np.asarray(message.k, np.float64).reshape(3, 3)
        return Stream(topic, kind, count, frame, (message.width, message.height), k=k)
    if kind == IMAGE:
        encoding = message.encoding
        depth = (encoding in _DEPTH and not (encoding == "16UC1" and thermal)) or (encoding == "mono16" and by_name)
        readable = encoding in IMAGE_ENCODINGS
        size = message.width, message.height
    else:
        encoding, depth, readable, size = _compressed(message, plain.topic, by_name, thermal)
    colour = not depth and not encoding.startswith(_GREY)
    return Stream(topic, kind, count, frame, size, encoding, depth, colour, readable)


def _compressed(message: Any, topic: str, by_name: bool, thermal: bool) -> tuple[str, bool, bool, tuple[int, int]]:
    """Return encoding, whether it is depth, whether it can be decoded, and the size of a CompressedImage."""
    prefix, separator, _ = message.format.partition(";")
    own = prefix.strip() if separator else ""
    raw = bytes(message.data)
    skip = 12 if "compressedDepth" in message.format else 0
    header = read_header(raw[skip:])
    kind = header.kind if header else message.format or "unknown"
    size = (header.width, header.height) if header else (0, 0)
    deep = header is not None and header.deep and header.grey and by_name
    depth = bool(skip) or topic.endswith("/compressedDepth") or (own in _DEPTH and not thermal) or deep
    if header is not None and header.grey and not own:
        own = "mono16" if header.deep else "mono8"
    return " ".join(filter(None, (own, kind))), depth, header is not None, size

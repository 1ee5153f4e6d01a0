"""Small rosbag2 recordings for the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
T = STORE.types
EPOCH = 1_700_000_000
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
K = np.array([50.0, 0, 16, 0, 50, 12, 0, 0, 1])
WIDTH, HEIGHT = 32, 24

Row = tuple[str, float, Any]  # topic, seconds at which it was recorded, message


def header(stamp: float, frame_id: str = "camera_optical") -> Any:
    nanoseconds = 0 if stamp < 0 else round((EPOCH + stamp) * 1000) * 10**6
    return T["std_msgs/msg/Header"](T["builtin_interfaces/msg/Time"](*divmod(nanoseconds, 10**9)), frame_id)


def picture(value: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def image(stamp: float, value: int = 0, encoding: str = "bgr8") -> Any:
    return T[IMAGE](header(stamp), HEIGHT, WIDTH, encoding, 0, WIDTH * 3, picture(value).ravel())


def compressed(stamp: float, value: int = 0, cut: int | None = None) -> Any:
    data = cv2.imencode(".jpg", picture(value))[1].ravel()[:cut]
    return T[COMPRESSED](header(stamp), "bgr8; jpeg compressed bgr8", data)


def depth(stamp: float, metres: float, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Any:
    data = np.full(shape, round(metres * 1000), "<u2").view(np.uint8).ravel()
    return T[IMAGE](header(stamp), *shape, "16UC1", 0, shape[1] * 2, data)


def camera_info(stamp: float, k: np.ndarray = K, width: int = WIDTH, height: int = HEIGHT) -> Any:
    region = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    p = np.zeros(12)
    return T["sensor_msgs/msg/CameraInfo"](
        header(stamp), height, width, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, region
    )


def odometry(stamp: float, x: float, y: float = 0.0) -> Any:
    point, vector = T["geometry_msgs/msg/Point"](x, y, 0.0), T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    pose = T["geometry_msgs/msg/Pose"](point, T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    return T["nav_msgs/msg/Odometry"](
        header(stamp, "odom"),
        "base_link",
        T["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36)),
        T["geometry_msgs/msg/TwistWithCovariance"](T["geometry_msgs/msg/Twist"](vector, vector), np.zeros(36)),
    )


def transforms(*links: tuple[str, str, tuple[float, float, float], tuple[float, float, float, float]]) -> Any:
    return T["tf2_msgs/msg/TFMessage"](
        [
            T["geometry_msgs/msg/TransformStamped"](
                header(0, parent),
                child,
                T["geometry_msgs/msg/Transform"](
                    T["geometry_msgs/msg/Vector3"](*move), T["geometry_msgs/msg/Quaternion"](*turn)
                ),
            )
            for parent, child, move, turn in links
        ]
    )


def qos(reliability: QosReliability, durability: QosDurability, depth: int = 5) -> Qos:
    never = QosTime(0, 0)
    return Qos(
        QosHistory.KEEP_LAST, depth, reliability, durability, never, never, QosLiveliness.AUTOMATIC, never, False
    )


def write_bag(
    path: Path,
    rows: Iterable[Row],
    plugin: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    offers: Mapping[str, Qos] | None = None,
) -> Path:
    """Write the messages, sorted by the time at which they were recorded."""
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        topics: dict[str, Any] = {}
        for topic, seconds, message in sorted(rows, key=lambda row: row[1]):
            if topic not in topics:
                offered = [offers[topic]] if offers and topic in offers else []
                topics[topic] = writer.add_connection(
                    topic, message.__msgtype__, typestore=STORE, offered_qos_profiles=offered
                )
            nanoseconds = round((EPOCH + seconds) * 1000) * 10**6
            writer.write(topics[topic], nanoseconds, STORE.serialize_cdr(message, message.__msgtype__))
    return path

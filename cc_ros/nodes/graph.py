"""Why no images arrive: what the ROS graph tells about a topic, for the tracker's warning and ``cc-ros doctor``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


def image_topics(node: Node) -> dict[str, str]:
    """Return the image topics that somebody publishes: name -> type."""
    return {
        name: kind
        for name, kinds in node.get_topic_names_and_types()
        for kind in kinds
        if kind in IMAGE_TYPES and node.count_publishers(name)
    }


def explain_silence(node: Node, topics: Iterable[tuple[str, str]], qos: QoSProfile) -> list[str]:
    """Return, a line each, what is known about topics on which nothing arrives.

    :param topics: (name as resolved, type) of each subscription.
    :param qos: of the subscriptions.
    """
    lines = []
    published = image_topics(node)
    for topic, kind in topics:
        publishers = node.get_publishers_info_by_topic(topic)
        if not publishers:
            lines.append(f"{topic} ({kind}): nobody publishes on it")
        lines.extend(f"{topic}: {_publisher(info, kind, qos)}" for info in publishers)
    wanted = [topic for topic, _ in topics]
    others = sorted(
        set(published) - set(wanted),
        key=lambda name: -max(difflib.SequenceMatcher(None, name, topic).ratio() for topic in wanted),
    )
    # maps made by trackers are images as well, but never what a camera input waits for
    others = [name for name in others if "/cc/" not in name]
    if others:
        lines.append(
            "image topics that are published: " + ", ".join(f"{name} ({published[name]})" for name in others[:8])
        )
        raw = others[0].removesuffix("/compressed") if published[others[0]] == IMAGE_TYPES[1] else others[0]
        lines.append(f"if the camera is one of them, remap: image:={raw}")
    elif not any(node.count_publishers(topic) for topic in wanted):
        lines.append(
            "no image topic is published at all; is the camera or the bag player running, with the same "
            "ROS_DOMAIN_ID and discovery range?"
        )
    return lines


def _publisher(info: TopicEndpointInfo, kind: str, qos: QoSProfile) -> str:
    who = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
    if info.node_name == "_NODE_NAME_UNKNOWN_":
        who = "a program whose node is not known (yet)"
    if info.topic_type != kind:
        return f"published by {who} as {info.topic_type}, wanted {kind}"
    compatible, reason = qos_check_compatible(info.qos_profile, qos)
    if compatible == QoSCompatibility.ERROR:
        return f"published by {who}, but its QoS cannot match: {reason}"
    return (
        f"published by {who} with a QoS that matches, but nothing arrives: it may be idle, or images are lost on the "
        "way (a publisher with a reliable QoS, or `sudo sysctl -w net.core.rmem_max=16777216`, helps)"
    )

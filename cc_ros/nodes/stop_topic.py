"""The topic on which any message stops the robot."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool, Empty

TOPIC = "cc/stop"
TYPES: dict[str, Any] = {"empty": Empty, "bool": Bool}
LOOK_PERIOD = 0.2  # seconds between two looks at the graph


class StopTopic:
    """Listens to ``cc/stop``. Thread-safe.

    A node can listen to one type on a topic. A publisher of another type cannot be heard: that one is there counts as
    its message.

    :param kind: a key of :data:`TYPES`.
    """

    def __init__(self, node: Node, kind: str) -> None:
        self._node = node
        self._type = f"std_msgs/msg/{TYPES[kind].__name__}"
        self._stopped = threading.Event()
        self._look_at = 0.0
        self._subscription = node.create_subscription(
            TYPES[kind], TOPIC, lambda _: self._stopped.set(), 10, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def clear(self) -> None:
        """Forget messages of before: an episode begins."""
        self._stopped.clear()

    def pressed(self) -> str:
        """Return why the robot has to stand, "" where it may drive."""
        if self._stopped.is_set():
            return f"stopped by a message on {TOPIC}"
        now = time.monotonic()
        if now < self._look_at:
            return ""
        self._look_at = now + LOOK_PERIOD
        name = self._subscription.topic_name
        other = {info.topic_type for info in self._node.get_publishers_info_by_topic(name)} - {self._type}
        if other:
            self._stopped.set()
            return f"somebody publishes {min(other)} on {TOPIC}, which cannot be heard: set the parameter stop_type"
        return ""

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

"""Whether whom one waits for is still there: a node that was killed, a client that was."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.duration import Duration
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import LivelinessPolicy, QoSProfile
from std_msgs.msg import Empty

# The middleware's own threads say that a node lives, however busy it is; it is missed this long after it was killed.
LEASE = QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC, liveliness_lease_duration=Duration(seconds=1.0))
POLL_SECONDS = 0.5  # seconds between two checks of the graph


def announce(node: Node, service: str) -> Publisher[Empty]:
    """Let others notice when this node, which offers ``service``, is gone. Nothing is ever published."""
    return node.create_publisher(Empty, _topic(service), LEASE)


class Watch:
    """Notices within two seconds that the node which offers a service was killed. Thread-safe.

    :param service: as given to :func:`announce`.
    """

    def __init__(self, node: Node, service: str, group: CallbackGroup | None = None) -> None:
        self._gone = False
        self.announced = False
        """Whether its middleware has said that it lives, as it does about a second after its start."""
        events = SubscriptionEventCallbacks(liveliness=self._on_change, use_default_callbacks=False)
        self._subscription = node.create_subscription(
            Empty, _topic(service), lambda _: None, LEASE, callback_group=group, event_callbacks=events
        )

    def gone(self) -> bool:
        """Whether it was there and is no more; False also for one that never announced itself."""
        return self._gone

    def _on_change(self, info: QoSLivelinessChangedInfo) -> None:
        # Once the dead one has left the graph as well, the graph tells whether there is another.
        self.announced |= info.alive_count > 0
        self._gone = info.not_alive_count > 0 and not info.alive_count


class Caller:
    """Notices that whoever called a service has left the graph: by then nobody waits for the response.

    The caller is not told apart from others that were there when it called: all of them have to be gone. One that was
    killed leaves the graph some seconds later.

    :param service: name as the server gave it.
    """

    def __init__(self, node: Node, service: str) -> None:
        self._node = node
        self._topic = f"rq{node.resolve_service_name(service)}Request"  # how ROS 2 names it for DDS
        self._callers = self._now()
        self._next = time.monotonic() + POLL_SECONDS
        self._left = False

    def left(self) -> bool:
        """Whether they have left; False where the middleware does not tell."""
        if self._callers and not self._left and time.monotonic() >= self._next:
            self._next = time.monotonic() + POLL_SECONDS
            self._left = not (self._callers & self._now())
        return self._left

    def _now(self) -> set[bytes]:
        infos: list[Any] = self._node.get_publishers_info_by_topic(self._topic, no_mangle=True)
        return {bytes(info.endpoint_gid) for info in infos}


def _topic(service: str) -> str:
    return f"{service}/_alive"  # hidden from lists of topics

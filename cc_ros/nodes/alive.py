"""Whether whom one waits for is still there: a node that was killed, a client that was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.action.client import ActionClient
from rclpy.action.server import ActionServer
from rclpy.callback_groups import CallbackGroup
from rclpy.duration import Duration
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import LivelinessPolicy, QoSProfile
from std_msgs.msg import Empty

# The middleware's own threads say that a node lives, however busy it is; it is missed this long after it was killed.
LEASE = QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC, liveliness_lease_duration=Duration(seconds=0.25))
GONE_TIME = 1.0  # seconds that it is missed until it counts as killed: a machine may be too busy to let it say so
POLL_SECONDS = 0.5  # seconds between two checks of the graph
FIND_TIME = 1.5  # seconds that a server has to be found; after two somebody must know that there is none
FIND_PERIOD = 0.05  # seconds between two looks for it


def announce(node: Node, service: str) -> Publisher[Empty]:
    """Let others notice when this node, which offers ``service``, is gone. Nothing is ever published."""
    return node.create_publisher(Empty, _topic(service), LEASE)


def found(ready: Callable[[], bool], given_up: Callable[[], bool]) -> bool:
    """Wait for a server that is only just starting; return whether it is there, False at once where given up."""
    deadline = time.monotonic() + FIND_TIME
    while not ready():
        if given_up() or time.monotonic() > deadline:
            return False
        time.sleep(FIND_PERIOD)
    return True


def destroy_actions(node: Node) -> None:
    """Destroy the node's action clients and servers, as it is about to be destroyed itself.

    rclpy leaves these to the garbage collector, and the node with them: until then others still find its servers, which
    do not respond any more.
    """
    for waitable in list(node.waitables):
        if isinstance(waitable, ActionClient | ActionServer):
            waitable.destroy()


class Watch:
    """Notices that the node which offers a service was killed. Thread-safe.

    :param service: as given to :func:`announce`.
    """

    def __init__(self, node: Node, service: str, group: CallbackGroup | None = None) -> None:
        self._node = node
        self._dead: set[bytes] | None = None  # who was in the graph when the last one was missed; None = one is heard
        self._since = math.inf  # when that began
        self.announced = False
        """Whether its middleware has said that it lives."""
        events = SubscriptionEventCallbacks(liveliness=self._on_change, use_default_callbacks=False)
        self._subscription = node.create_subscription(
            Empty, _topic(service), lambda _: None, LEASE, callback_group=group, event_callbacks=events
        )

    def missed(self) -> bool:
        """Whether it was there and has not been heard for 0.25 s; False for one that never announced itself.

        Who must not go on without it pauses; only when it is gone has it failed.
        """
        # One that came back in the place of a killed one is in the graph before its middleware says that it lives.
        dead = self._dead  # a change may come from another thread meanwhile
        return dead is not None and self._publishers() <= dead

    def gone(self) -> bool:
        """Whether it has been missed for so long that it was killed."""
        return time.monotonic() > self._since + GONE_TIME and self.missed()

    def _on_change(self, info: QoSLivelinessChangedInfo) -> None:
        self.announced |= info.alive_count > 0
        silent = not info.alive_count and info.not_alive_count > 0
        if silent and self._dead is None:
            self._dead, self._since = self._publishers(), time.monotonic()
        elif not silent:  # or the dead one has left the graph as well, which then tells whether there is another
            self._dead, self._since = None, math.inf

    def _publishers(self) -> set[bytes]:
        infos = self._node.get_publishers_info_by_topic(self._subscription.topic_name)
        return {bytes(info.endpoint_gid) for info in infos}


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

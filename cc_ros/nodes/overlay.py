"""The picture with its tracks in colour, for whoever watches, at no cost to the tracker."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cc_ros.keyframes.drawing import draw_labels
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.convert.images import image_message
from cc_ros.tracking.priority import WATCHED, give_way


class Overlay:
    """Draws and publishes ``cc/overlay`` in a thread of its own: the newest frame, and only while somebody subscribes.

    :param node: that publishes it.
    """

    def __init__(self, node: BaseNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(Image, "cc/overlay", QoSProfile(depth=1))
        self._newest: tuple[Header, np.ndarray, np.ndarray] | None = None
        self._change = threading.Condition()
        self._stopping = False
        self._thread: Any = None

    def start(self) -> None:
        """Begin to draw."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="cc_overlay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the frame in work come to its end."""
        with self._change:
            self._stopping, self._newest = True, None
            self._change.notify()
        self._thread.join()

    def offer(self, header: Header, image: np.ndarray, labels: np.ndarray) -> None:
        """Take a frame in the place of one that waits; neither array changes any more.

        :param image: HxWx3 uint8 BGR.
        :param labels: HxW uint16, 0 = none.
        """
        if not self._publisher.get_subscription_count():
            return
        with self._change:
            self._newest = header, image, labels
            self._change.notify()

    def _work(self) -> None:
        give_way(WATCHED)
        while True:
            with self._change:
                self._change.wait_for(lambda: self._newest is not None or self._stopping)
                if self._newest is None:
                    return
                (header, image, labels), self._newest = self._newest, None
            try:
                self._publisher.publish(image_message(header, draw_labels(image, labels), "bgr8"))
            except Exception as error:  # a defect met in one picture must not end them all
                self._node.fault("errors", f"the overlay failed: {error!r}")

"""From the nodes to the board: the live picture, keyframes, the map, the timeline, diagnostics."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from cc_ros.client import SpatialMemory
from cc_ros.client.places import places_in
from cc_ros.encodings import encode_jpeg
from cc_ros.errors import CCError
from cc_ros.msg import MarkedKeyframes, Tracks
from cc_ros.nodes.base_node import INACTIVE
from cc_ros.nodes.convert.images import to_bgr
from cc_ros.nodes.convert.keyframes import to_keyframes
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.registry import NODES
from cc_ros.runs.timeline import timeline
from cc_ros.runs.track_history import TrackHistory
from cc_ros.web import views
from cc_ros.web.board import Board

PICTURES_A_SECOND = 15.0
WIDEST = 960  # pixels of the live picture
QUALITY = 75  # of its JPEG
TELL_PERIOD = 1.0  # seconds between two states of the timeline and the diagnostics
SILENT = 4.0  # seconds without a word on /diagnostics after which a node is missed
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Feed:
    """Listens to the nodes of one robot and keeps the board up to date. It works on, whatever nodes come and go.

    What costs the nodes something, the overlay and the keyframes, is listened to only while somebody watches.

    :param memory: the client of the nodes; its methods may be called while this runs.
    :param board: where everything goes.
    """

    def __init__(self, memory: SpatialMemory, board: Board) -> None:
        self._memory = memory
        self._board = board
        self._history = TrackHistory()
        self._episode = 0
        self._keyframe_stamps: list[float] = []
        self._marked: set[int] = set()
        self.fill = "red"
        """Colour of the marks as drawn."""
        self._heard: dict[str, tuple[float, DiagnosticStatus]] = {}
        self._watchers = 0
        self._watching: list[Any] = []
        self._lock = threading.Lock()
        self._encoder = _Encoder(board)
        node = memory.node
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_subscription(Tracks, "cc/tracks", self._on_tracks, QoSProfile(depth=5))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=20))
        node.create_timer(TELL_PERIOD, self._tell, clock=steady)

    def watch(self, more: int) -> None:
        """Count somebody who begins (1) or ends (-1) to watch; waits for the client's thread."""
        with self._lock:
            self._watchers += more
            if bool(self._watchers) == bool(self._watching):
                return
            self._memory.in_thread(self._listen if self._watchers else self._leave)

    def close(self) -> None:
        """Stop; the client is closed by its owner."""
        self._encoder.close()

    # -- in the client's thread

    def _listen(self) -> None:
        node, newest = self._memory.node, QoSProfile(depth=1)
        self._watching = [
            node.create_subscription(Image, "cc/overlay", self._encoder.offer, newest),
            node.create_subscription(MarkedKeyframes, "cc/keyframes", self._on_keyframes, LATCHED),
        ]

    def _leave(self) -> None:
        for subscription in self._watching:
            self._memory.node.destroy_subscription(subscription)
        self._watching = []

    def _on_tracks(self, message: Tracks) -> None:
        if message.episode != self._episode:
            self._episode = message.episode
            self._history.reset()
        stamp = nanoseconds(message.header.stamp) * 1e-9
        self._history.add(stamp, [track.id for track in message.tracks if track.area])

    def _on_keyframes(self, message: MarkedKeyframes) -> None:
        seen = to_keyframes(message)
        self.fill = seen.look.fill
        self._keyframe_stamps = [keyframe.stamp for keyframe in seen.keyframes]
        self._marked = {mark.id for keyframe in seen.keyframes for mark in keyframe.marks}
        self._board.post("keyframes", views.keyframes_view(seen.keyframes, self._board.add_picture, self.fill))
        try:
            places, remarks = places_in(seen.keyframes), list(seen.remarks)
        except CCError as error:  # a camera matrix that cannot be used
            places, remarks = [], [str(error)]
        self._board.post("map", views.map_view(seen.keyframes, places, self.fill, remarks))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._heard[status.name] = (time.monotonic(), status)

    def _tell(self) -> None:
        self._board.post("timeline", timeline(self._history, self._marked, self._keyframe_stamps))
        space = self._memory.node.get_namespace().strip("/")
        self._board.post("diagnostics", [self._state(f"{space}/{node.name}".lstrip("/")) for node in NODES])

    def _state(self, name: str) -> views.Plain:
        heard, status = self._heard.get(name, (None, DiagnosticStatus()))
        if heard is None:
            return {"name": name, "level": "missing", "message": "not heard yet: start the nodes by cc-ros up"}
        gone = time.monotonic() - heard
        if gone > SILENT:
            return {"name": name, "level": "missing", "message": f"not heard for {gone:.0f} s: is it running?"}
        level = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warn"}.get(status.level, "error")
        level = "inactive" if status.message == INACTIVE else level
        figures = views.words({pair.key: pair.value for pair in status.values})
        return {"name": name, "level": level, "message": status.message, "figures": figures}


class _Encoder:
    """Makes a JPEG of the newest overlay, at most so many a second, in a thread of its own."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._newest: Image | None = None
        self._change = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cc_web_encoder", daemon=True)
        self._thread.start()

    def offer(self, message: Image) -> None:
        """Take the newest overlay in the place of one that waits."""
        with self._change:
            self._newest = message
            self._change.notify()

    def close(self) -> None:
        """Stop."""
        self._closed.set()
        with self._change:
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            begun = time.monotonic()
            with self._change:
                self._change.wait_for(lambda: self._newest is not None or self._closed.is_set())
                message, self._newest = self._newest, None
            if message is None:
                return
            try:
                self._board.post("picture", _jpeg(message))
            except CCError as error:
                self._board.post("notice", f"the overlay cannot be shown: {error}")
            self._closed.wait(max(0.0, begun + 1 / PICTURES_A_SECOND - time.monotonic()))


def _jpeg(message: Image) -> bytes:
    picture = to_bgr(message)
    height, width = picture.shape[:2]
    if width > WIDEST:
        size = WIDEST, max(1, round(height * WIDEST / width))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(picture, QUALITY)

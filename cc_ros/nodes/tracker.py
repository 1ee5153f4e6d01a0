"""The ``cc_tracker`` node: camera images in, instance maps with lasting ids out."""

from __future__ import annotations

import array
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from cc_ros.errors import BackendError, CCError
from cc_ros.frame import Frame
from cc_ros.msg import TrackedMasks, Tracks
from cc_ros.nodes.alive import announce
from cc_ros.nodes.base_node import STEADY, BaseNode
from cc_ros.nodes.camera import SENSOR_QOS, CameraContext, CameraSettings, ImageInput, ImageMessage
from cc_ros.nodes.convert.images import to_small_bgr
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.convert.tracks import enlarged, masks_message, tracks_message
from cc_ros.nodes.graph import explain_silence
from cc_ros.nodes.overlay import Overlay
from cc_ros.nodes.runtime import main_of
from cc_ros.settings import knob
from cc_ros.stamps import Order, StampOrder
from cc_ros.tracking import Tracked, Tracker, TrackStatus
from cc_ros.tracking.base import BackendSettings
from cc_ros.tracking.factory import NAMES, SETTINGS, make_tracker, view_width

SILENCE_AGAIN = 30.0  # seconds between two explanations of the same silence
NO_IMAGES = "no images for {:.0f} s"
IN_WORK = "one image has been in work for {:.0f} s"
DEPTH_LATE = 0.01  # seconds that an image waits for its depth
DETAIL = 2  # times the width that is tracked: images that are wider still are reduced as they are decoded


@dataclass(frozen=True)
class TrackerSettings:
    """Settings of the tracker node."""

    backend: str = knob("auto", "auto: SAM 2 where it can run, flow otherwise", choices=NAMES)
    queue: int = knob(
        1, "images that may wait: 1 works on the newest; to see every frame of a recording, more", ge=1, le=100
    )
    silence: float = knob(5.0, "without images for so long, say what may be wrong, in s", ge=0.5, le=3600.0)


class TrackerNode(BaseNode):
    """Runs a tracker over the camera stream, in a thread of its own so that callbacks stay short."""

    name = "cc_tracker"
    groups = (("", TrackerSettings), ("camera", CameraSettings), *SETTINGS.items())

    def __init__(self, **node_options: object) -> None:
        self._tracker: Tracker | None = None
        super().__init__(**node_options)
        self._masks = self.create_publisher(TrackedMasks, "cc/masks", QoSProfile(depth=5))
        self._tracks = self.create_publisher(Tracks, "cc/tracks", QoSProfile(depth=5))
        self._overlay = Overlay(self)
        self._announced = announce(self, "cc/masks")

    def prepare(self) -> None:
        """Make the tracker and let it load and compile.

        :raises CCError: a parameter is wrong, the backend cannot run here, or the process ends.
        """
        self._made_of = self._tracking()
        backend, settings = self._made_of
        self._tracker = make_tracker(backend, *settings)
        if self.ending.is_set():
            raise BackendError("ended before the tracker was ready")
        self._tracker.prepare()

    def release(self) -> None:
        """Drop the tracker with everything it remembers."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            tracker.close()

    def break_off(self) -> None:
        """Make the tracker end what it is at."""
        tracker = self._tracker
        if tracker is not None and not self.active:
            tracker.stop()

    def start(self) -> None:
        """Listen to the camera.

        :raises CCError: a parameter is wrong or the backend cannot run here.
        """
        if self._tracker is None or self._made_of != self._tracking():  # set since it was configured
            self.release()
            self.prepare()
        self._settings = self.parameters.read(TrackerSettings)
        camera = self.parameters.read(CameraSettings)
        backend, settings = self._made_of
        self._enough = DETAIL * view_width(backend, *settings)
        self._inbox: deque[ImageMessage] = deque()
        self._at_work: ImageMessage | None = None
        self._wake = threading.Condition()
        self._stopping = self._restart = False
        self._order = StampOrder()
        self._new_episode()
        self._buffer = array.array("B")
        self._durations: deque[float] = deque(maxlen=300)
        self._last_image = self._turned = time.monotonic()
        self._warned_at: float | None = None
        self._told: ImageMessage | None = None  # the last image whose long work was told
        self._camera = CameraContext(self, camera, self._oldest_waiting)
        self.undo.callback(self._camera.close)
        taken = max(2, min(self._settings.queue, SENSOR_QOS.depth))
        self._images = ImageInput(self, camera.transport, self._on_image, taken)
        self.undo.callback(self._images.close)
        watch = self.create_timer(1.0, self._watch_silence, self.background, STEADY)
        self.undo.callback(self.destroy_timer, watch)
        self._overlay.start()
        self._worker = threading.Thread(target=self._work, name="cc_tracker", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Stop listening and let the frame in work come to its end."""
        super().stop()
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._worker.join()
        self._overlay.stop()

    def _tracking(self) -> tuple[str, list[BackendSettings]]:
        read = self.parameters.read
        return read(TrackerSettings).backend, [read(cls) for cls in SETTINGS.values()]

    def new_episode(self) -> None:
        """Forget every object before the next image."""
        with self._wake:
            self._restart = True
            self._inbox.clear()

    def doing(self) -> str:
        """Return the backend and where images are waited for."""
        topics = " or ".join(topic for topic, _ in self._images.topics())
        return f"backend {self._settings.backend}, waiting for images on {topics}"

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return figures of the last seconds; a trouble when images are missing or the backend is degraded."""
        tracker = dict(self._tracker.health()) if self._tracker is not None else {}
        trouble = str(tracker.get("degraded", ""))
        in_work, seconds = self._standstill()
        if seconds > self._settings.silence:
            trouble = (NO_IMAGES if in_work is None else IN_WORK).format(seconds)
        spent = sorted(self._durations)
        with self._wake:
            waiting = len(self._inbox) + (self._at_work is not None)
        figures: dict[str, object] = {"backend": self._settings.backend, **tracker, "episode_frames": self._index}
        figures |= {"publishers": self._images.publishers(), "waiting": waiting}
        if spent:
            figures["ms_median"] = f"{1e3 * spent[len(spent) // 2]:.1f}"
            figures["ms_p95"] = f"{1e3 * spent[int(len(spent) * 0.95)]:.1f}"
        return trouble, figures

    # -- executor's thread

    def _on_image(self, message: ImageMessage) -> None:
        self._last_image = time.monotonic()
        self.count("images")
        with self._wake:
            self._inbox.append(message)
            if len(self._inbox) > self._settings.queue:
                self._inbox.popleft()
                self.count("images_skipped_lower_camera_rate_or_raise_queue")
            self._wake.notify()

    def _oldest_waiting(self) -> int | None:
        """Return the stamp of the oldest image that is not tracked yet."""
        with self._wake:
            oldest = self._at_work or (self._inbox[0] if self._inbox else None)
        return None if oldest is None else nanoseconds(oldest.header.stamp)

    def _standstill(self) -> tuple[ImageMessage | None, float]:
        """Return the image in work and for how many seconds it has been, or None and how long none has come.

        The camera is not to blame while one is in work: who plays a recording may well wait for the tracker.
        """
        with self._wake:
            since = self._turned if self._at_work else max(self._turned, self._last_image)
            return self._at_work, time.monotonic() - since

    def _watch_silence(self) -> None:
        in_work, seconds = self._standstill()
        if in_work is not None and in_work is not self._told and seconds > self._settings.silence:
            self._told = in_work
            self.fault("slow_frames", f"{IN_WORK.format(seconds)}: the backend is slow here; backend:=flow is fastest")
        if in_work is not None or seconds <= self._settings.silence:
            if self._warned_at is not None:
                self._warned_at = None
                self.get_logger().info("images arrive")
            return
        self._images.listen()
        now = time.monotonic()
        if self._warned_at is None or now - self._warned_at > SILENCE_AGAIN:
            self._warned_at = now
            self.count("silences")
            why = explain_silence(self, self._images.topics(), SENSOR_QOS)
            self.get_logger().warning("\n  ".join([NO_IMAGES.format(seconds), *why]))

    # -- worker's thread

    def _work(self) -> None:
        while True:
            with self._wake:
                self._at_work, self._turned = None, time.monotonic()
                self._wake.wait_for(lambda: self._inbox or self._stopping)
                if self._stopping:
                    return
                message = self._at_work = self._inbox.popleft()
                self._turned = time.monotonic()
                restart, self._restart = self._restart, False
            try:
                if restart:
                    self._new_episode()
                self._step(message)
            except BackendError as error:
                self.fault("backend_errors", f"the tracker failed on a frame and goes on with the next: {error}")
            except CCError as error:
                self.fault("bad_images", f"an image was left out: {error}")
            except Exception as error:  # a defect met in one frame must not end the stream
                self.fault("errors", f"a frame failed: {error!r}\n{traceback.format_exc()}")

    def _new_episode(self) -> None:
        assert self._tracker is not None  # prepared
        self._tracker.reset()
        self._episode = time.time_ns()
        self._index = 0
        self._in_view: set[int] = set()
        self._begin: int | None = None  # nanoseconds; exact as float seconds only when counted from here

    def _step(self, message: ImageMessage) -> None:
        assert self._tracker is not None  # prepared
        image, size = to_small_bgr(message, self._enough)
        begun = time.perf_counter()
        stamp = nanoseconds(message.header.stamp)
        order, instant = self._order.check(stamp, time.monotonic_ns())
        if order is Order.LATE:
            self.fault("late_images", f"an image older than its predecessor was left out (stamp {stamp * 1e-9:.3f} s)")
            return
        if order is Order.STILL:
            self.fault("still_stamps", "stamps stand still; going by the time of arrival: does the driver set them?")
        if order is Order.JUMPED_BACK:
            self.get_logger().info("time ran backwards: a new episode begins")
            self._new_episode()
        if self._begin is None:
            self._begin = instant
        height, width = image.shape[:2]
        view = self._camera.at(stamp, width, height, message.header.frame_id, DEPTH_LATE)
        seconds = (instant - self._begin) * 1e-9
        tracked = self._tracker.step(Frame(image, seconds, *view))
        took = time.perf_counter() - begun
        self._durations.append(took)
        if not self._restart:  # else it belongs to the episode that was just ended
            self._overlay.offer(message.header, image, tracked.labels)
            self._publish(message.header, enlarged(tracked, size), took, self._begin)

    def _publish(self, header: Header, tracked: Tracked, took: float, begin: int) -> None:
        # A lost track is told once: there may be hundreds that could return, and each costs time in every frame.
        told = tuple(t for t in tracked.tracks if t.status is not TrackStatus.LOST or t.id in self._in_view)
        self._in_view = {t.id for t in tracked.tracks if t.status is not TrackStatus.LOST}
        counts = {"episode": self._episode, "index": self._index, "seconds": took}
        message = masks_message(replace(tracked, tracks=told), header, begin, self._buffer, **counts)
        self._masks.publish(message)
        if self._tracks.get_subscription_count():
            self._tracks.publish(tracks_message(message))
        self._index += 1
        self.count("masks")


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_tracker``."""
    return main_of([TrackerNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

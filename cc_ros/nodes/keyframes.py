"""The ``cc_keyframes`` node: keeps a few frames of the episode and draws marks on them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from cc_ros.errors import CCError, ImageError
from cc_ros.geometry.places import with_places
from cc_ros.keyframes import (
    SET_OF_MARK,
    Candidate,
    KeyframeRequest,
    Keyframes,
    KeyframeSet,
    KeyframeSettings,
    MarkSettings,
)
from cc_ros.memory import Memory, MemorySettings
from cc_ros.msg import Answered, MarkedKeyframes, TrackedMasks
from cc_ros.nodes.alive import announce
from cc_ros.nodes.base_node import STEADY, BaseNode
from cc_ros.nodes.camera import CameraContext, CameraSettings, ImageInput, ImageMessage
from cc_ros.nodes.convert.images import MessagePicture, jpeg_message, picture_size
from cc_ros.nodes.convert.keyframes import keyframes_message, to_look, to_request
from cc_ros.nodes.convert.questions import to_answered
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.convert.tracks import to_tracked
from cc_ros.nodes.fusing import Fusing
from cc_ros.nodes.ground_input import GroundInput
from cc_ros.nodes.markers import MarkerOutput
from cc_ros.nodes.runtime import main_of
from cc_ros.reasoning.captions import captioning
from cc_ros.reasoning.settings import CaptionSettings
from cc_ros.settings import knob
from cc_ros.srv import GetKeyframes

ANSWERS = 10  # answered questions that may wait to be kept
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class PublishSettings:
    """Settings of the keyframe node."""

    publish_period: float = knob(2.0, "shortest time between two messages on cc/keyframes, in s", ge=0.1, le=3600.0)
    image_buffer: float = knob(128.0, "memory for images that wait for their masks, in MB", ge=8.0, le=8192.0)


class KeyframesNode(BaseNode):
    """Pairs camera images with their masks, keeps frames spread over the episode and hands them out marked."""

    name = "cc_keyframes"
    groups = (
        ("", PublishSettings),
        ("", KeyframeSettings),
        ("", MemorySettings),
        ("memory", CaptionSettings),
        ("mark", MarkSettings),
        ("camera", CameraSettings),
    )
    threads = 3  # images and masks, the service, publishing

    def __init__(self, **node_options: object) -> None:
        self._keyframes = Keyframes()
        self._memory: Memory | None = None
        self._images: OrderedDict[int, ImageMessage] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        super().__init__(**node_options)
        self._published = self.create_publisher(MarkedKeyframes, "cc/keyframes", LATCHED)
        self._newest_marked = self.create_publisher(CompressedImage, "cc/marked_image/compressed", QoSProfile(depth=1))
        self._answers = self.create_subscription(Answered, "cc/answers", self._on_answer, ANSWERS)
        self._announced = announce(self, "cc/get_keyframes")
        self.serve(GetKeyframes, "cc/get_keyframes", self._on_get, MutuallyExclusiveCallbackGroup())

    def start(self) -> None:
        """Begin to keep frames.

        :raises CCError: a parameter is wrong.
        """
        self._settings = self.parameters.read(PublishSettings)
        camera = self.parameters.read(CameraSettings)
        memory = self._memory = self._opened_memory()
        self._keyframes = Keyframes(self.parameters.read(KeyframeSettings), self.parameters.read(MarkSettings), memory)
        self._images.clear()
        self._bytes = 0
        self._episode = 0
        self._header = Header()
        self._begin = 0  # nanoseconds; times within an episode are exact as floats, those since 1970 are not
        self._published_at = -1
        self._camera = CameraContext(self, camera, self._oldest_waiting)
        self.undo.callback(self._camera.close)
        self._ground = GroundInput(self)
        self.undo.callback(self._ground.close)
        self._places = Fusing(self, self._keyframes.number)
        self.undo.callback(self._places.close)
        self._markers = MarkerOutput(self, self._places.places, self._fixed)
        self.undo.callback(self._markers.close)
        self._input = ImageInput(self, camera.transport, self._on_image)
        self.undo.callback(self._input.close)
        self._masks = self.create_subscription(TrackedMasks, "cc/masks", self._on_masks, QoSProfile(depth=5))
        self.undo.callback(lambda: self.destroy_subscription(self._masks))
        timer = self.create_timer(self._settings.publish_period, self._publish, self.background, STEADY)
        self.undo.callback(self.destroy_timer, timer)

    def _opened_memory(self) -> Memory | None:
        settings = self.parameters.read(MemorySettings)
        if not settings.memory_dir:
            return None
        memory = Memory(settings, captioning(self.parameters.read(CaptionSettings)))
        self.undo.callback(memory.close)
        return memory

    def _on_answer(self, message: Answered) -> None:
        if self._memory is not None and self.active:
            self._memory.note(to_answered(message))

    def release(self) -> None:
        """Forget the episode; what the memory keeps is on disk."""
        with self._lock:
            self._images.clear()
            self._bytes = 0
        self._memory, self._keyframes = None, Keyframes()

    def new_episode(self) -> None:
        """Forget the frames; what is under way goes when the first masks of the tracker's new episode come."""
        self._keyframes.store.clear()
        self._ground.clear()
        self._places.clear()
        if self._memory is not None:
            self._memory.new_episode(next((name for name, _ in self._input.topics()), ""))

    def doing(self) -> str:
        """Return how many frames and marks there will be."""
        return f"{self._keyframes.settings.frames} keyframes with {self._keyframes.settings.marks} marks"

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return figures on what is kept."""
        store = self._keyframes.store
        with self._lock:
            figures: dict[str, object] = {"episode_frames": store.frames_seen, "images_waiting": len(self._images)}
        figures["publishers"] = self._input.publishers()
        if store.let_go:
            figures["old_marks_dropped_call_cc_reset"] = store.let_go
        if self._memory is None:
            return "", figures
        trouble, kept = self._memory.health()
        return trouble, figures | kept

    # -- the stream

    def _on_image(self, message: ImageMessage) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            self._drop(stamp)  # stamps that stand still: the newest picture counts
            self._images[stamp] = message
            self._bytes += len(message.data)
            while self._bytes > self._settings.image_buffer * 1e6 and len(self._images) > 1:
                self._drop(next(iter(self._images)))
                self.count("waiting_images_dropped_raise_image_buffer")

    def _oldest_waiting(self) -> int | None:
        """Return the stamp of the oldest image whose masks may still come."""
        with self._lock:
            return next(iter(self._images), None)

    def _drop(self, stamp: int) -> ImageMessage | None:
        message = self._images.pop(stamp, None)
        if message is not None:
            self._bytes -= len(message.data)
        return message

    def _on_masks(self, message: TrackedMasks) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            if message.episode != self._episode:
                self._episode, self._begin = message.episode, stamp
                self._keyframes.begin = stamp * 1e-9
                self.new_episode()
                self._markers.clear()
            image = self._images.get(stamp)
            while self._images and next(iter(self._images)) != stamp and image is not None:
                self._drop(next(iter(self._images)))  # older than what the tracker is at
            self._header = message.header
        if image is None:
            self._input.listen()  # they may come on the other topic now
            self.fault("unmatched_masks", "masks came for an image that was not received: is the network too slow?")
            return
        try:
            tracked = to_tracked(message, self._begin)
            height, width = tracked.labels.shape
            _check_size(width, height, image)
            view = self._camera.at(stamp, width, height, message.header.frame_id)
            seconds = (stamp - self._begin) * 1e-9
            candidate = Candidate(
                *(message.index, seconds, MessagePicture(image), tracked.labels),
                *(view.depth, view.intrinsics, view.pose),
                *(tracked.confidences, tracked.first_seen, view.distortion),
                carried=tracked.carried,
            )
            self._places.add(seconds, tracked, view)
            self._ground.see(seconds, view)
            self._keyframes.store.offer(candidate)
            if self._memory is not None:
                self._memory.offer(candidate, self._begin * 1e-9, self._camera.world_frame)
        except CCError as error:
            self.fault("bad_frames", f"a frame was not kept: {error}")

    # -- handing out

    def _on_get(self, request: GetKeyframes.Request, response: GetKeyframes.Response) -> GetKeyframes.Response:
        if not self.active:
            response.message = "cc_keyframes is not active"
            return response
        look = to_look(request.style, self._keyframes.look)
        response.keyframes = self._message(to_request(request), look, tuple(request.blur_marks))
        response.grounds = self._ground.messages(self._camera.world_frame)
        response.success = bool(response.keyframes.keyframes or response.keyframes.objects)
        if not response.success:
            response.message = self._keyframes.missing(to_request(request))
        return response

    def _message(self, request: KeyframeRequest, look: MarkSettings, blur: tuple[int, ...] = ()) -> MarkedKeyframes:
        with self._lock:
            header, episode, begin = self._header, self._episode, self._begin
            seen = self._keyframes.store.frames_seen
        world = self._camera.world_frame
        style = request.style or self._keyframes.settings.kind
        marked = [replace(keyframe, world_frame=world) for keyframe in self._keyframes.marked(request, look, blur)]
        if style != SET_OF_MARK and not request.reaches_back:  # its numbers are those of each picture
            places = self._places.places({mark.id for keyframe in marked for mark in keyframe.marks})
            marked = [with_places(keyframe, places) for keyframe in marked]
        remarks, objects = tuple(self.remarks.values()), self._keyframes.objects(request)
        since = self._keyframes.remembered_since()
        given = KeyframeSet(tuple(marked), look, remarks, objects=objects, remembered_since=since)
        return keyframes_message(given, style, header, begin, episode=episode, frames_seen=seen)

    def _fixed(self) -> Header:
        """Return the frame that places are in, and the time of the newest frame."""
        with self._lock:
            return Header(frame_id=self._camera.world_frame, stamp=self._header.stamp)

    def _publish(self) -> None:
        if not (self._published.get_subscription_count() or self._newest_marked.get_subscription_count()):
            return
        with self._lock:
            seen = self._keyframes.store.frames_seen
        if seen in (0, self._published_at):
            return
        self._published_at = seen
        try:
            message = self._message(KeyframeRequest(), self._keyframes.look)
        except CCError as error:
            self.fault("bad_frames", f"the keyframes were not published: {error}")
            return
        self._published.publish(message)
        newest = message.keyframes[-1]
        self._newest_marked.publish(jpeg_message(newest.header, newest.image.data))


def _check_size(width: int, height: int, image: ImageMessage) -> None:
    """Refuse a map that is not of its image's size.

    :raises ImageError: it is not, or the image is damaged.
    """
    size = picture_size(image)
    turned = isinstance(image, CompressedImage) and size == (height, width)  # by an EXIF orientation
    if size != (width, height) and not turned:
        raise ImageError(f"the instance map is {width}x{height}, its image {size[0]}x{size[1]}")


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; ``ros2 run cc_ros cc_keyframes``."""
    return main_of([KeyframesNode], args)


if __name__ == "__main__":
    raise SystemExit(main())

"""What ROS costs: the nodes' steps against the same steps without ROS, and how many frames arrive over DDS.

    PYTHONPATH=test python benchmarks/nodes.py [--frames 120] [--sizes 640x480 1280x720]

Milliseconds a frame, medians over neighbouring frames in twos. The tracker node's worker (decode, track, publish)
stands beside decode and track alone, the keyframe node's callback beside `KeyframeStore.offer` alone. Both work on the
same pictures in turns, so that what else the machine does weighs on both alike. The throughput is that of a best-effort
camera in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy
from cc_ros.msg import TrackedMasks
from sensor_msgs.msg import CompressedImage, Image
from support.rig import Onlooker, image_of, scene, until

from cc_ros.dds import prepare
from cc_ros.frame import Frame
from cc_ros.keyframes import Candidate, Keyframes
from cc_ros.nodes.convert.images import MessagePicture, image_message, to_bgr, to_labels, to_small_bgr
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.convert.tracks import enlarged, track_message
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.nodes.runtime import executor_of, spin
from cc_ros.nodes.tracker import DETAIL, TrackerNode
from cc_ros.tracking.factory import make_tracker
from cc_ros.tracking.flow.settings import FlowSettings

PERIOD = 10**9 // 15  # nanoseconds between two stamps
Size = tuple[int, int]
Times = list[tuple[float, float]]  # seconds by the clock, and of the thread's own work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720"], metavar="WxH")
    parser.add_argument("--camera", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.camera:
        camera(options.camera[0], _size(options.camera[1]), int(options.camera[2]), float(options.camera[3]))
        return
    prepare()
    print("| step | size | input | with ROS, ms | without, ms | ratio | thread with, ms | thread without, ms |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for text in options.sizes:
        for compressed in (False, True):
            messages = [image_of(scene(i, *_size(text)), i * PERIOD, compressed) for i in range(options.frames)]
            for name, compare in (("tracker", tracker), ("keyframes", keyframes)):
                with_ros, without = compare(messages)
                kind = "jpeg" if compressed else "raw"
                ros, alone = (
                    [1e3 * statistics.median(in_twos(t)) for t in zip(*times, strict=True)]
                    for times in (with_ros, without)
                )
                cells = f"{ros[0]:.2f} | {alone[0]:.2f} | {ros[0] / alone[0]:.2f} | {ros[1]:.2f} | {alone[1]:.2f}"
                print(f"| {name} | {text} | {kind} | {cells} |", flush=True)
    print("\n| camera, best effort | size | offered Hz | arrived | masks for |\n|---|---|---|---|---|", flush=True)
    for text in options.sizes:
        for kind in ("raw", "jpeg"):
            for rate in (15.0, 30.0):
                shares = [f"{100 * n / options.frames:.0f} %" for n in throughput(kind, text, options.frames, rate)]
                print(f"| {kind} | {text} | {rate:g} | {' | '.join(shares)} |", flush=True)


def in_twos(times: Sequence[float]) -> list[float]:
    """Return means of two neighbours: the tracker searches in every other frame, and a median of two kinds of frames
    falls now on the one, now on the other."""
    return [(a + b) / 2 for a, b in zip(times[0::2], times[1::2], strict=False)]


def _size(text: str) -> Size:
    width, height = text.split("x")
    return int(width), int(height)


@contextmanager
def running(kind: Callable[..., Any], *arguments: str) -> Iterator[tuple[Any, Onlooker]]:
    """Run one node with an executor's thread, as ``cc-ros up`` does."""
    import threading

    context = rclpy.Context()
    rclpy.init(context=context, args=["--ros-args", *arguments])
    node, look, stop = kind(context=context), Onlooker(context), threading.Event()
    executor = executor_of(node)
    thread = threading.Thread(target=spin, args=(node, executor, stop))
    thread.start()
    node.autostart()
    try:
        yield node, look
    finally:
        stop.set()
        node.stop_if_active()
        thread.join()
        executor.shutdown()
        look.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


def timed(function: Callable[[Any], Any], times: Times) -> Callable[[Any], Any]:
    """Return ``function`` with its wall time and its thread's time appended to ``times``."""

    def call(argument: Any) -> Any:
        begun = time.perf_counter(), time.thread_time()
        try:
            return function(argument)
        finally:
            times.append((time.perf_counter() - begun[0], time.thread_time() - begun[1]))

    return call


def tracker(messages: list[Any]) -> tuple[Times, Times]:
    """Return seconds a frame of the node's worker, from message to published masks, and without ROS."""
    with_ros: Times = []
    without: Times = []
    alone = make_tracker("flow")

    def step(message: Any) -> None:
        image, size = to_small_bgr(message, DETAIL * FlowSettings().work_width)
        enlarged(alone.step(Frame(image, nanoseconds(message.header.stamp) * 1e-9)), size)

    step = timed(step, without)
    with running(TrackerNode, "-p", "backend:=flow") as (node, look):
        node._step = timed(node._step, with_ros)
        heard = look.listen(TrackedMasks, "cc/masks")
        topic = "image/compressed" if isinstance(messages[0], CompressedImage) else "image"
        publisher = look.publisher(type(messages[0]), topic, reliable=True)
        until(publisher.get_subscription_count)
        for number, message in enumerate(messages, 1):
            publisher.publish(message)
            until(lambda number=number: len(heard) == number and len(with_ros) == number)
            step(message)
    warm = len(messages) // 10
    return with_ros[warm:], without[warm:]


def keyframes(messages: list[Any]) -> tuple[Times, Times]:
    """Return seconds a frame of the node's masks callback, and of offering the same frames without ROS."""
    with_ros: Times = []
    without: Times = []
    alone = Keyframes().store
    source = make_tracker("flow")
    masks = []
    for index, message in enumerate(messages):
        tracked = source.step(Frame(to_bgr(message), index / 15))
        result = TrackedMasks(header=message.header, episode=1, index=index)
        result.labels = image_message(message.header, tracked.labels, "16UC1")
        result.tracks = [track_message(track, 0) for track in tracked.tracks]
        masks.append(result)

    def offer(pair: Any) -> None:
        image, result = pair
        alone.offer(Candidate(result.index, result.index / 15, MessagePicture(image), to_labels(result.labels)))

    offer = timed(offer, without)
    with running(KeyframesNode) as (node, look):
        node.destroy_subscription(node._masks)
        node._on_masks = timed(node._on_masks, with_ros)
        node._masks = node.create_subscription(TrackedMasks, "cc/masks", node._on_masks, 5)
        topic = "image/compressed" if isinstance(messages[0], CompressedImage) else "image"
        images = look.publisher(type(messages[0]), topic, reliable=True)
        publisher = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
        until(lambda: images.get_subscription_count() and publisher.get_subscription_count())
        for number, (message, result) in enumerate(zip(messages, masks, strict=True), 1):
            images.publish(message)
            until(lambda message=message: nanoseconds(message.header.stamp) in node._images)
            publisher.publish(result)
            until(lambda number=number: len(with_ros) == number)
            offer((message, result))
    return with_ros, without


def camera(kind: str, size: Size, frames: int, rate: float) -> None:
    """Publish as a driver does that knows nothing of us: with the transports of Fast DDS as it comes."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    rclpy.init()
    node = rclpy.create_node("camera")
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    jpeg = kind == "jpeg"
    publisher = node.create_publisher(CompressedImage if jpeg else Image, "image/compressed" if jpeg else "image", qos)
    pictures = [image_of(scene(i, *size), 0, jpeg) for i in range(frames)]
    until(publisher.get_subscription_count, 30)
    begun = time.monotonic()
    for i, picture in enumerate(pictures):
        picture.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(picture)
        time.sleep(max(0.0, begun + (i + 1) / rate - time.monotonic()))
    time.sleep(1)
    rclpy.shutdown()


def throughput(kind: str, size: str, frames: int, rate: float) -> tuple[int, int]:
    """Return how many frames of a camera in another process arrived, and for how many masks came."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("FASTDDS_", "FASTRTPS_"))}
    if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "SYSTEM_DEFAULT":
        plain["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with running(TrackerNode, "-p", "backend:=flow", "-p", "queue:=10") as (node, look):
        heard = look.listen(TrackedMasks, "cc/masks")
        command = [sys.executable, __file__, "--camera", kind, size, str(frames), str(rate)]
        subprocess.run(command, env=plain, check=True, timeout=120)
        until(lambda: not node._inbox, 30)
        time.sleep(0.5)
        return node.counters["images"], len(heard)


if __name__ == "__main__":
    main()

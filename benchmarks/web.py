"""What the live page costs: pictures a second to each browser, and tracked frames with and without them.

    PYTHONPATH=test python benchmarks/web.py [--browsers 3] [--seconds 10] [--rounds 3] [--rate 15]

`cc-ros up` (flow) and `cc-ros web` run as programs; a camera of 640x480 publishes in a process of its own. Phases
without and with browsers take turns. A browser is a WebSocket that shows each picture at once. `--rate 0` keeps the
tracker busy all the time, so that whatever takes its processor costs frames.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy
from cc_ros.msg import TrackedMasks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from support.rig import Onlooker, Program, image_of, scene, until
from websockets.sync.client import connect

from cc_ros.dds import prepare

BUSY = 60  # frames a second that keep it busy


class Browser:
    """Counts the pictures that it gets."""

    def __init__(self, url: str) -> None:
        self.pictures = 0
        self._socket = connect(url.replace("http", "ws") + "/live", max_size=None)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for message in self._socket:
            if isinstance(message, bytes):
                self.pictures += 1
                self._socket.send(json.dumps({"do": "more"}))

    def close(self) -> None:
        self._socket.close()
        self._thread.join(10)


def publish(rate: int) -> None:
    """Be a camera until killed."""
    prepare()
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "image", QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    pictures, begun = [image_of(scene(index), 0) for index in range(90)], time.monotonic()
    for index in range(1 << 30):
        picture = pictures[index % len(pictures)]
        picture.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(picture)
        time.sleep(max(0.0, begun + (index + 1) / rate - time.monotonic()))


@contextmanager
def camera(rate: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, __file__, "--be-camera", str(rate)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def phase(masks: list[TrackedMasks], seconds: float) -> tuple[float, float]:
    """Return tracked frames a second and the median time of a frame in ms."""
    time.sleep(2)  # until what has just begun is in full swing
    masks.clear()
    begun = time.monotonic()
    time.sleep(seconds)
    heard = list(masks)
    return len(heard) / (time.monotonic() - begun), 1e3 * statistics.median(mask.seconds for mask in heard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browsers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=15, help="of the camera, in Hz; 0 = keep the tracker busy")
    parser.add_argument("--be-camera", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_camera:
        publish(options.be_camera)
    prepare()
    with ExitStack() as stack:
        up = stack.enter_context(Program(["-m", "cc_ros.cli", "up", "--backend", "flow"], os.environ))
        web = stack.enter_context(Program(["-m", "cc_ros.cli", "web", "--port", "0"], os.environ))
        up.wait_for("active after", 180)
        web.wait_for("open http")
        url = web.text.split("open ")[1].split("/\n")[0].strip().rstrip("/")
        context = rclpy.Context()
        rclpy.init(context=context)
        look = Onlooker(context)
        stack.callback(rclpy.shutdown, context=context)
        stack.callback(look.close)
        masks = look.listen(TrackedMasks, "cc/masks", 10)
        stack.enter_context(camera(options.rate or BUSY))
        until(lambda: masks, 30)
        print("round  browsers  tracked/s  ms/frame  pictures/s to each")
        ratios = []
        for number in range(options.rounds):
            alone = phase(masks, options.seconds)
            print(f"{number:5}  {0:8}  {alone[0]:9.1f}  {alone[1]:8.1f}", flush=True)
            browsers = [Browser(url) for _ in range(options.browsers)]
            before, begun = [browser.pictures for browser in browsers], time.monotonic()
            watched = phase(masks, options.seconds)
            spent = time.monotonic() - begun
            rates = [(browser.pictures - old) / spent for browser, old in zip(browsers, before, strict=True)]
            for browser in browsers:
                browser.close()
            shown = ", ".join(f"{rate:.1f}" for rate in rates)
            print(f"{number:5}  {len(browsers):8}  {watched[0]:9.1f}  {watched[1]:8.1f}  {shown}", flush=True)
            ratios.append(watched[0] / alone[0])
        print(f"tracked with browsers / without: median {statistics.median(ratios):.3f}, {min(ratios):.3f} at worst")


if __name__ == "__main__":
    main()

"""What the live page costs: pictures a second to each browser, and tracked frames with and without them.

    PYTHONPATH=test python benchmarks/web.py [--browsers 3] [--seconds 4] [--rounds 12] [--rate 15]

`cc-ros up` (flow) and `cc-ros web` run as programs; a camera of 640x480 publishes in a process of its own. Short phases
without and with browsers take turns, in changing order, and are compared in pairs, so that what else a machine does
falls on both. A browser is a WebSocket that shows each picture at once. `--rate 0` keeps the tracker busy all the time,
so that whatever takes its processor costs frames.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import psutil
import rclpy
from cc_ros.msg import TrackedMasks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from support.rig import Onlooker, Program, image_of, scene, until
from websockets.exceptions import ConnectionClosed
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
                with suppress(ConnectionClosed):
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


@dataclass(frozen=True)
class Phase:
    """What some seconds of the stream took: frames, and milliseconds a frame; processor time unless said otherwise."""

    frames: int
    seconds: float
    wall: float  # median from the arrival of a frame to its masks
    thread: float  # of the thread of the nodes that works most: it tracks
    nodes: float  # of the process of the nodes, in which the overlay is drawn
    page: float  # of the process of the page

    @property
    def rate(self) -> float:
        return self.frames / self.seconds


class Meter:
    """Measures phases of the running programs.

    :param nodes: process of `cc-ros up`.
    :param page: process of `cc-ros web`.
    """

    def __init__(self, masks: list[TrackedMasks], nodes: int, page: int) -> None:
        self._masks = masks
        self._nodes, self._page = psutil.Process(nodes), psutil.Process(page)
        self._tracker = 0

    def _spent(self) -> tuple[dict[int, float], float]:
        threads = {thread.id: thread.user_time + thread.system_time for thread in self._nodes.threads()}
        return threads, sum(self._page.cpu_times()[:2])

    def phase(self, seconds: float) -> Phase:
        time.sleep(1)  # until what has just begun is in full swing
        (before, page), begun = self._spent(), time.monotonic()
        self._masks.clear()
        time.sleep(seconds)
        heard = list(self._masks)
        took, (after, page_after) = time.monotonic() - begun, self._spent()
        spent = {id: after[id] - before.get(id, 0.0) for id in after}
        self._tracker = self._tracker or max(spent, key=lambda id: spent[id])  # the first phase has no browsers
        ms = 1e3 / max(len(heard), 1)
        wall = 1e3 * statistics.median(mask.seconds for mask in heard)
        return Phase(
            *(len(heard), took, wall, ms * spent[self._tracker], ms * sum(spent.values()), ms * (page_after - page))
        )


def compared(name: str, pairs: list[tuple[Phase, Phase]], value: Callable[[Phase], float]) -> None:
    """Print the median of a figure without and with browsers, and of the ratio of each pair, with its quartiles."""
    alone, watched = (statistics.median(map(value, of)) for of in zip(*pairs, strict=True))
    low, middle, high = statistics.quantiles([value(b) / value(a) for a, b in pairs], n=4)
    print(f"| {name} | {alone:.2f} | {watched:.2f} | {middle:.3f} ({low:.3f} to {high:.3f}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browsers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=12)
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
        meter, pairs, shown = Meter(masks, up.process.pid, web.process.pid), list[tuple[Phase, Phase]](), list[float]()
        meter.phase(options.seconds)  # warms up
        for number in range(options.rounds):
            both = dict[bool, Phase]()
            for watched in (False, True) if number % 2 == 0 else (True, False):
                with ExitStack() as watching:
                    browsers = [Browser(url) for _ in range(options.browsers if watched else 0)]
                    for browser in browsers:
                        watching.callback(browser.close)
                    before, begun = [browser.pictures for browser in browsers], time.monotonic()
                    both[watched] = meter.phase(options.seconds)
                    spent = time.monotonic() - begun
                    shown += [(one.pictures - old) / spent for one, old in zip(browsers, before, strict=True)]
            pairs.append((both[False], both[True]))
            print(number, *(f"{one.rate:.1f}/s {one.wall:.1f} ms" for one in pairs[-1]), file=sys.stderr, flush=True)
        print(
            f"| {options.rounds} pairs | without | {options.browsers} browsers | ratio (quartiles) |\n|---|---|---|---|"
        )
        compared("tracked frames a second", pairs, lambda one: one.rate)
        compared("ms a frame, wall", pairs, lambda one: one.wall)
        compared("ms a frame, processor time of the tracker's thread", pairs, lambda one: one.thread)
        compared("the same of all nodes", pairs, lambda one: one.nodes)
        page = statistics.median(b.page * b.rate / 10 for _, b in pairs)
        print(f"pictures a second to each browser: median {statistics.median(shown):.1f}, least {min(shown):.1f}")
        print(f"the page's process: {page:.0f} % of a core")


if __name__ == "__main__":
    main()

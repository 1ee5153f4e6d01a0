"""What the tests of nodes and commands share: an isolated ROS graph, programs with an end, and a node to look on."""

from __future__ import annotations

import array
import fcntl
import functools
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BAG = ROOT / "cc_ros" / "data" / "room102_pan"
WIDTH, HEIGHT = 640, 480
_locks: list[Any] = []  # kept open, and with them locked
START = 45.0  # seconds that a program may take to start on a busy machine


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a frame of a synthetic scene: textured wall, three objects of plain colour, one of them moving."""
    rng = np.random.default_rng(7)
    wall = cv2.resize(rng.integers(90, 130, (height // 16, width // 16, 3), dtype=np.uint8), (width, height))
    cv2.rectangle(wall, (width // 10, height // 2), (width // 3, height - 20), (30, 30, 200), -1)
    cv2.rectangle(wall, (width // 2, height // 8), (width * 2 // 3, height // 3), (40, 190, 60), -1)
    x = width // 2 + round(width / 6 * np.sin(index / 15))
    cv2.circle(wall, (x, height * 2 // 3), height // 8, (210, 120, 20), -1)
    return wall


def image_of(picture: np.ndarray, stamp: int, compressed: bool = False, encoding: str = "bgr8") -> Any:
    """Return an image message with a stamp in nanoseconds."""
    from sensor_msgs.msg import CompressedImage, Image

    data = array.array("B")
    if compressed:
        data.frombytes(cv2.imencode(".jpg", picture)[1].tobytes())
        message: Any = CompressedImage(format="jpeg", data=data)
    else:
        data.frombytes(np.ascontiguousarray(picture).tobytes())
        height, width = picture.shape[:2]
        step = picture.nbytes // height if height else 0
        message = Image(height=height, width=width, encoding=encoding, step=step, data=data)
    message.header.frame_id = "camera"
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


@functools.cache
def domain() -> int:
    """Return a ROS domain that no other run of these tests has, until this process ends."""
    for number in range(1, 101):
        lock = (Path(tempfile.gettempdir()) / f"cc_ros_test_domain_{number}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return number
    raise RuntimeError("all hundred ROS domains of the tests are taken")


def environment(**more: str) -> dict[str, str]:
    """Return an environment with a ROS graph of its own, and without a model's key."""
    dropped = ("FASTDDS_", "FASTRTPS_", "ROS_AUTO", "ROS_DOMAIN", "ROS_STATIC", "OPENAI_", "GEMINI_", "ANTHROPIC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    isolated = {"ROS_DOMAIN_ID": str(domain()), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    path = os.pathsep.join(filter(None, [str(ROOT / "test"), kept.get("PYTHONPATH")]))  # for programs of ``support``
    kept |= {"PYTHONPATH": path, "ROS_LOG_DIR": "/tmp/cc_ros_test_logs", "PYTHONUNBUFFERED": "1"}
    return {**kept, **isolated, **more}


@contextmanager
def isolated(**more: str) -> Iterator[None]:
    """Give this process that environment for a while."""
    former = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(**more))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)


class Program:
    """A child process whose words are collected, and which is stopped in the end."""

    def __init__(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(env or environment()),
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            self._new.put(None)
        self._new.put(None)

    @property
    def text(self) -> str:
        """All that it has said."""
        return "\n".join(self.lines)

    def wait_for(self, text: str, seconds: float = START) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} within {seconds} s in:\n{self.text}"
            try:
                self._new.get(timeout=left)
            except queue.Empty:
                continue
            assert self.process.poll() is None or text in self.text or self._reader.is_alive(), self.text

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, seconds: float = 20) -> int:
        """Wait for its end and return the exit status."""
        status = self.process.wait(seconds)
        self._reader.join(5)
        return status

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self._reader.join(5)


def cc_ros(*arguments: str, **env: str) -> Program:
    """Start a ``cc-ros`` command."""
    return Program(["-m", "cc_ros.cli", *arguments], environment(**env))


ANNOUNCED = """
import signal, sys, time, rclpy
from cc_ros.dds import prepare
from cc_ros.nodes.alive import announce
prepare()
rclpy.init(args=[])
node = rclpy.create_node("announced")
kept = announce(node, sys.argv[1])
while not kept.get_subscription_count():
    time.sleep(0.01)
print("heard", flush=True)
signal.pause()
"""


@contextmanager
def announced(service: str) -> Iterator[Program]:
    """Run a process that says it offers a service, and has no more of it; somebody has to watch out for it."""
    with Program(["-c", ANNOUNCED, service]) as program:
        program.wait_for("heard")
        yield program


class Onlooker:
    """A node of the test's own process that spins in a thread."""

    def __init__(self, context: Any, name: str = "tester") -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.node = rclpy.create_node(name, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._clients: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def listen(self, kind: Any, topic: str, qos: Any = 200) -> list[Any]:
        """Return a list that grows with the messages of a topic; reliable unless said otherwise."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def publisher(self, kind: Any, topic: str, reliable: bool = False) -> Any:
        """Return a publisher, best effort unless said otherwise."""
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(kind, topic, QoSProfile(depth=10, reliability=policy))

    def call(self, kind: Any, name: str, request: Any, seconds: float = 30) -> Any:
        """Call a service and return its response."""
        if name not in self._clients:  # kept, since a new one has to find the service first
            self._clients[name] = self.node.create_client(kind, name)
        client = self._clients[name]
        until(client.service_is_ready, START, f"no service {name}")  # rclpy's own wait looks four times a second
        future = client.call_async(request)
        until(future.done, seconds, f"{name} did not answer")
        return future.result()

    def drop(self, destroy: Callable[[], Any]) -> None:
        """Destroy something of the node between two waits: the executor holds no lock while it builds its wait set."""
        task = self._executor.create_task(destroy)
        until(task.done)

    def close(self) -> None:
        """Stop."""
        from cc_ros.nodes.alive import destroy_actions

        self._stop.set()
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join(10)
        self._executor.shutdown(5)
        destroy_actions(self.node)
        self.node.destroy_node()


def until(condition: Callable[[], Any], seconds: float = 20, failure: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, failure or "the condition did not come true in time"
        time.sleep(0.01)

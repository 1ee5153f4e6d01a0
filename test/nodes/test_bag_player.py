"""Playing a bag: real publishers over DDS, a real subscriber in another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import StoragePlugin
from support.bags import EPOCH, Row, image, odometry, qos, transforms, write_bag
from support.rig import domain

from cc_ros.errors import SourceError

pytest.importorskip("rclpy")

from cc_ros.nodes.bag_player import Played, PlaySettings, play
from cc_ros.nodes.play_qos import qos_of

# Prints a line for each message: topic, stamp of the header, when it came; ends by itself at its deadline.
LISTENER = """
import importlib, json, sys, time
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
count, wait, wanted = int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
rclpy.init()
node = rclpy.create_node("listener")
got = []
def heard(topic, message):
    at = message.header.stamp if hasattr(message, "header") else message.clock
    got.append([topic, at.sec + at.nanosec * 1e-9, time.monotonic()])
for topic, kind, reliable, latched in wanted:
    package, _, name = kind.split("/")
    profile = QoSProfile(depth=100)
    profile.reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    cls = getattr(importlib.import_module(package + ".msg"), name)
    node.create_subscription(cls, topic, lambda m, topic=topic: heard(topic, m), profile)
print("ready", flush=True)
end = time.monotonic() + wait
while time.monotonic() < end and len(got) < count:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps(got), flush=True)
"""
IMAGES: tuple[Any, ...] = ("/image", "sensor_msgs/msg/Image", True, False)


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")


class Listener:
    """A subscriber in a process of its own."""

    def __init__(self, wanted: Sequence[Sequence[Any]], count: int, wait: float = 20) -> None:
        command = [sys.executable, "-c", LISTENER, str(count), str(wait), json.dumps(list(wanted))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def heard(self) -> list[list[Any]]:
        return json.loads(self.process.communicate(timeout=40)[0])


@pytest.fixture
def listen() -> Iterator[Any]:
    started: list[Listener] = []

    def start(*wanted: Sequence[Any], count: int, wait: float = 20) -> Listener:
        started.append(Listener(wanted, count, wait))
        return started[-1]

    yield start
    for listener in started:
        listener.process.kill()
        listener.process.communicate(timeout=10)


def images(count: int = 20, period: float = 0.05) -> list[Row]:
    return [("/image", i * period, image(i * period, i)) for i in range(count)]


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_messages_arrive_complete_in_order_and_at_the_recorded_pace(
    tmp_path: Path, listen: Any, plugin: StoragePlugin
) -> None:
    bag = write_bag(tmp_path / "bag", images(), plugin)
    listener = listen(IMAGES, count=20)
    steps: list[float] = []
    ahead: list[float] = []  # of the recorded pace, seconds
    begun = time.monotonic()

    def watch(played: Played) -> None:
        steps.append(played.position)
        ahead.append(played.position - (time.monotonic() - begun))

    played = play(bag, PlaySettings(wait=15), progress=watch)
    heard = listener.heard()
    assert [round(stamp - EPOCH, 3) for _, stamp, _ in heard] == [round(i * 0.05, 3) for i in range(20)]
    assert max(ahead) - ahead[0] < played.worst_delay + 0.05  # the first one may be late as well
    assert heard[-1][2] - heard[0][2] < 0.95 + played.worst_delay + 0.3  # a busy machine is late
    assert (played.messages, played.passes, played.left_out) == (20, 1, {})
    assert steps == sorted(steps)
    assert steps[-1] == pytest.approx(0.95)


def test_rate_start_duration_and_remapping(tmp_path: Path, listen: Any) -> None:
    bag = write_bag(tmp_path / "bag", images(40))
    listener = listen(("/robot/camera", *IMAGES[1:]), count=20)
    settings = PlaySettings(rate=2.0, start=0.5, duration=1.0, wait=15)
    played = play(bag, settings, remap={"image": "robot/camera"})
    assert played.messages == 20
    heard = listener.heard()
    assert [round(stamp - EPOCH, 3) for _, stamp, _ in heard] == [round(0.5 + i * 0.05, 3) for i in range(20)]
    assert 0.4 < heard[-1][2] - heard[0][2] < 0.475 + played.worst_delay + 0.3  # a busy machine is late


def test_a_loop_runs_backwards_in_time_until_it_is_stopped(tmp_path: Path, listen: Any) -> None:
    bag = write_bag(tmp_path / "bag", images(4))
    listener = listen(IMAGES, count=10)
    stop = threading.Event()

    def watch(played: Played) -> None:
        if played.messages >= 12:
            stop.set()

    played = play(bag, PlaySettings(loop=True, wait=15), stop=stop, progress=watch)
    stamps = [round(stamp - EPOCH, 3) for _, stamp, _ in listener.heard()]
    assert stamps[:8] == [0.0, 0.05, 0.1, 0.15] * 2
    assert played.passes >= 2


def test_the_clock_is_that_of_the_bag(tmp_path: Path, listen: Any) -> None:
    bag = write_bag(tmp_path / "bag", images(10))
    listener = listen(("/clock", "rosgraph_msgs/msg/Clock", True, False), IMAGES, count=35)
    play(bag, PlaySettings(clock=True, wait=15, rate=0.25), topics=["/image"])  # slow: a busy machine ticks seldom
    clock = [stamp - EPOCH for topic, stamp, _ in listener.heard() if topic == "/clock"]
    assert len(clock) >= 25
    assert clock == sorted(clock)
    assert clock[-1] <= 0.45 + 1e-3


def test_latched_topics_reach_late_subscribers_even_from_before_the_start(tmp_path: Path, listen: Any) -> None:
    rows = [("/map_pose", 0.0, odometry(0.0, 1.0)), *images(60)]
    offers = {"/map_pose": qos(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, 1)}
    bag = write_bag(tmp_path / "bag", rows, offers=offers)
    stop = threading.Event()
    thread = threading.Thread(target=play, args=(bag, PlaySettings(start=0.5, loop=True)), kwargs={"stop": stop})
    thread.start()
    try:
        heard = listen(("/map_pose", "nav_msgs/msg/Odometry", True, True), count=1).heard()
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert [round(stamp - EPOCH, 3) for _, stamp, _ in heard] == [0.0]


def test_types_that_are_not_installed_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tf2_msgs", "tf2_msgs.msg"):
        monkeypatch.setitem(sys.modules, name, None)
    rows = [("/tf_static", 0.0, transforms()), *images(3)]
    played = play(write_bag(tmp_path / "bag", rows))
    assert played.left_out == {"/tf_static": "message type tf2_msgs/msg/TFMessage is not installed"}
    assert played.messages == 3
    with pytest.raises(SourceError, match="nothing that can be played"):
        play(tmp_path / "bag", topics=["tf_static"])


def test_topics_that_are_not_in_the_bag_are_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", images(3))
    with pytest.raises(SourceError, match=r"has no topic /elsewhere; it has /image"):
        play(bag, topics=["elsewhere"])
    with pytest.raises(SourceError, match=r"has no topic /imgae; it has /image"):
        play(bag, remap={"imgae": "/camera"})


def test_a_start_behind_the_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be played from 9 s on: it lasts 0\.1 s"):
        play(write_bag(tmp_path / "bag", images(3)), PlaySettings(start=9.0))


def test_rosbags_is_needed_for_bags_only(tmp_path: Path) -> None:
    """On a robot the library comes by pip, and only who reads bags has it."""
    program = (
        "import sys; sys.modules['rosbags'] = None\n"
        "from cc_ros import cli\n"
        "sys.exit(cli.main(['run', sys.argv[1], '--out', sys.argv[2], '--backend', 'flow', '--max-frames', '1']))\n"
    )
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
    for source, status in ((tmp_path, 0), (write_bag(tmp_path / "bag", images(2)), 1)):
        command = [sys.executable, "-c", program, str(source), str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stderr
    assert "rosbags is missing" in done.stderr
    assert "pip install rosbags" in done.stderr


def test_waiting_for_subscribers_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    assert play(write_bag(tmp_path / "bag", images(2)), PlaySettings(wait=0.5)).messages == 2
    assert 0.5 <= time.monotonic() - began < 10


def test_playing_begins_when_the_last_topic_has_its_subscriber(tmp_path: Path, listen: Any) -> None:
    """A second program takes seconds to start, and hears the first message all the same."""
    bag = write_bag(tmp_path / "bag", [("/odom", 0.0, odometry(0.0, 1.0)), *images(4)])
    first = listen(IMAGES, count=4)
    results: list[Played] = []
    playing = threading.Thread(target=lambda: results.append(play(bag, PlaySettings(wait=30))))
    playing.start()
    second = listen(("/odom", "nav_msgs/msg/Odometry", True, False), count=1)
    playing.join(40)
    assert [topic for topic, _, _ in second.heard()] == ["/odom"]
    assert len(first.heard()) == 4
    assert results[0].unheard == []


def test_topics_that_nobody_listens_to_are_named(tmp_path: Path, listen: Any) -> None:
    bag = write_bag(tmp_path / "bag", [("/odom", 0.0, odometry(0.0, 1.0)), *images(2)])
    listener = listen(IMAGES, count=2)
    assert play(bag, PlaySettings(wait=3)).unheard == ["/odom"]
    assert len(listener.heard()) == 2


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_signals_stop_it_cleanly(tmp_path: Path, number: str) -> None:
    program = (
        "import os, signal, sys, threading; from pathlib import Path\n"
        "from cc_ros.commands.signals import stop_on_signals\n"
        "from cc_ros.nodes.bag_player import PlaySettings, play\n"
        f"send = lambda p: p.messages and os.kill(os.getpid(), signal.{number})\n"
        "with stop_on_signals() as stop:\n"
        "    print('messages', play(Path(sys.argv[1]), PlaySettings(loop=True), stop=stop, progress=send).messages)\n"
    )
    bag = write_bag(tmp_path / "bag", images(40))
    done = subprocess.run([sys.executable, "-c", program, bag], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("messages ")


@pytest.mark.parametrize(
    ("offers", "reliable", "latched", "depth"),
    [
        ([], True, False, 10),
        ([qos(QosReliability.BEST_EFFORT, QosDurability.VOLATILE)], False, False, 5),
        ([qos(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, 1)] * 3, True, True, 12),
        (
            [
                qos(QosReliability.BEST_EFFORT, QosDurability.VOLATILE, 3),
                qos(QosReliability.RELIABLE, QosDurability.UNKNOWN, 7),
            ],
            True,
            False,
            7,
        ),
    ],
)
def test_quality_of_service_is_what_was_offered(offers: list[Any], reliable: bool, latched: bool, depth: int) -> None:
    from types import SimpleNamespace as Made

    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    connections: Any = [Made(ext=Made(offered_qos_profiles=[o]), msgcount=4) for o in offers] or [Made(ext=None)]
    profile = qos_of(connections)
    assert profile.depth == depth
    assert (profile.reliability == ReliabilityPolicy.RELIABLE) is reliable
    assert (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) is latched

"""Play a rosbag2 over ROS in real time: the raw messages go out as they were recorded, nothing is decoded."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.dds import prepare
from cc_ros.errors import SourceError
from cc_ros.nodes.pacing import Pace
from cc_ros.settings import knob

if TYPE_CHECKING:  # rosbags is needed to play, not to name the options of it
    from rosbags.interfaces import Connection

    from cc_ros.sources.bag.file import BagFile

CLOCK_PERIOD = 0.01  # seconds of wall time between messages on /clock
PROGRESS_PERIOD = 0.2  # seconds of wall time
PACE_PERIOD = 0.005  # seconds between two questions whether to wait any longer
LOOK_PERIOD = 0.02  # seconds between two looks whether all subscribers are there


@dataclass(frozen=True)
class PlaySettings:
    """How to play a bag."""

    rate: float = knob(1.0, "speed: 2 = twice as fast as recorded", ge=0.01, le=100)
    loop: bool = knob(False, "begin again at the end; stamps in headers stay those of the bag")
    clock: bool = knob(False, "publish the bag's time on /clock, for nodes with use_sim_time")
    start: float = knob(0.0, "seconds of the bag to leave out at its beginning", ge=0)
    duration: float = knob(0.0, "seconds of the bag to play; 0 = to its end", ge=0)
    wait: float = knob(
        0.0, "at most so many seconds to wait until every topic has a subscriber; 0 = begin at once", ge=0
    )


@dataclass
class Played:
    """What has been played so far.

    :ivar position: seconds of the bag, from its beginning.
    :ivar length: seconds of the whole bag.
    :ivar messages: published so far, over all passes.
    :ivar passes: complete ones.
    :ivar worst_delay: largest lateness of a message, seconds of wall time.
    :ivar left_out: topic -> why it is not played.
    :ivar unheard: topics that had no subscriber when waiting for them ended.
    """

    position: float = 0.0
    length: float = 0.0
    messages: int = 0
    passes: int = 0
    worst_delay: float = 0.0
    left_out: dict[str, str] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)


def play(
    path: Path,
    settings: PlaySettings = PlaySettings(),
    *,
    topics: Collection[str] = (),
    remap: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Played], None] | None = None,
    pace: Pace | None = None,
) -> Played:
    """Publish the messages of a bag at the pace of their recording, until its end or until ``stop`` is set.

    Topics whose message type is not installed are left out and named in the result.

    :param topics: play only these; empty = all.
    :param remap: recorded topic -> the topic to publish on.
    :param progress: called now and then, and once at the end.
    :param pace: whom to wait for, before each message and at the end.
    :raises SourceError: the bag cannot be read, ends before the start, lacks a topic that was asked for, or has none
        that can be played.
    """
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    try:
        from cc_ros.sources.bag.file import BagFile
    except ImportError as error:
        raise SourceError(f"{path} cannot be played, rosbags is missing ({error}): pip install rosbags") from error

    prepare()
    with BagFile(path) as bag:
        renamed = {_full(old): _full(new) for old, new in (remap or {}).items()}
        _check_topics(bag, renamed)
        chosen = _choose(bag, topics)
        if settings.start > bag.duration * 1e-9:
            raise SourceError(
                f"{path} cannot be played from {settings.start:g} s on: it lasts {bag.duration * 1e-9:.1f} s"
            )
        context = rclpy.Context()
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        try:
            node = rclpy.create_node("cc_player", context=context, enable_rosout=False, start_parameter_services=False)
            player = _Player(bag, node, settings, stop or threading.Event(), progress, pace)
            player.advertise(chosen, renamed)
            player.run()
            return player.played
        finally:
            rclpy.shutdown(context=context)


@dataclass
class _Player:
    """One bag on one node."""

    _bag: BagFile
    _node: Any
    _settings: PlaySettings
    _stop: threading.Event
    _progress: Callable[[Played], None] | None
    _pace: Pace | None

    def __post_init__(self) -> None:
        self._publishers: dict[int, Any] = {}
        self._connections: list[Connection] = []
        self._latched: list[Connection] = []
        self._clock: Any = None
        self._next_clock = self._next_progress = 0.0
        self.played = Played(length=self._bag.duration * 1e-9)

    def advertise(self, connections: list[Connection], remap: Mapping[str, str]) -> None:
        """Create a publisher for each topic whose type is installed."""
        from rclpy.qos import DurabilityPolicy

        from cc_ros.nodes.play_qos import qos_of

        by_topic: dict[tuple[str, str], list[Connection]] = {}
        for connection in connections:
            if not (self._settings.clock and connection.topic == "/clock"):
                by_topic.setdefault((connection.topic, connection.msgtype), []).append(connection)
        for (topic, msgtype), group in by_topic.items():
            try:
                message_class = _load(msgtype)
            except (ImportError, AttributeError, ValueError) as error:
                self.played.left_out[topic] = f"message type {msgtype} is not installed"
                self._node.get_logger().warning(f"{topic} is not played: {msgtype} is not installed ({error})")
                continue
            qos = qos_of(group)
            publisher = self._node.create_publisher(message_class, remap.get(topic, topic), qos)
            self._publishers.update({connection.id: publisher for connection in group})
            self._connections += group
            if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
                self._latched += group
        if not self._publishers:
            raise SourceError(f"{self._bag.path} has nothing that can be played: {self.played.left_out or 'no topics'}")
        if self._settings.clock:
            from rosgraph_msgs.msg import Clock

            self._clock = self._node.create_publisher(Clock, "/clock", 10)

    def run(self) -> None:
        """Play to the end, or over and over, or until stopped."""
        from rclpy.duration import Duration

        begin = self._bag.start + int(self._settings.start * 1e9)
        end = begin + int(self._settings.duration * 1e9) if self._settings.duration else None
        self._wait_for_subscribers()
        for connection, _, raw in self._bag.messages(self._latched, stop=begin):
            self._publish(connection, raw)  # what a late subscriber would still have been given
        while not self._stop.is_set():
            before = self.played.messages
            self._one_pass(begin, end)
            if not self._settings.loop or self.played.messages == before:
                break
        if (pace := self._pace) is not None:
            self._wait_while(lambda: not pace.done())
        for publisher in set(self._publishers.values()):
            if not self._stop.is_set():
                publisher.wait_for_all_acked(Duration(seconds=1))
        self._tell(last=True)

    def _one_pass(self, begin: int, end: int | None) -> None:
        origin = time.monotonic()
        for connection, stamp, raw in self._bag.messages(self._connections, begin, end):
            due = origin + (stamp - begin) * 1e-9 / self._settings.rate
            if not self._sleep_until(due, stamp):
                return
            if self._pace is not None:
                hold = partial(self._pace.hold, connection.topic, raw)
                origin += self._wait_while(hold)
                if self._stop.is_set():
                    return
            due = origin + (stamp - begin) * 1e-9 / self._settings.rate
            self.played.worst_delay = max(self.played.worst_delay, time.monotonic() - due)
            self._publish(connection, raw)
            self.played.position = (stamp - self._bag.start) * 1e-9
        self.played.passes += 1

    def _wait_while(self, condition: Callable[[], bool]) -> float:
        """Wait, unless stopped, and return for how many seconds of wall time."""
        begun = time.monotonic()
        while condition() and not self._stop.wait(PACE_PERIOD):
            if time.monotonic() >= self._next_progress:
                self._tell()
        return time.monotonic() - begun

    def _publish(self, connection: Connection, raw: bytes) -> None:
        self._publishers[connection.id].publish(bytes(raw))
        self.played.messages += 1

    def _sleep_until(self, due: float, stamp: int) -> bool:
        """Keep the clock going until a message of bag time ``stamp`` is due; False when stopped."""
        while not self._stop.is_set():
            now = time.monotonic()
            if self._clock is not None and (now >= self._next_clock or now >= due):
                self._next_clock = now + CLOCK_PERIOD
                self._publish_clock(stamp - max(int((due - now) * self._settings.rate * 1e9), 0))
            if now >= self._next_progress:
                self._tell()
            if now >= due:
                return True
            self._stop.wait(min(due - now, CLOCK_PERIOD if self._clock is not None else PROGRESS_PERIOD))
        return False

    def _publish_clock(self, nanoseconds: int) -> None:
        from rosgraph_msgs.msg import Clock

        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(nanoseconds, 10**9)
        self._clock.publish(message)

    def _tell(self, last: bool = False) -> None:
        self._next_progress = time.monotonic() + PROGRESS_PERIOD
        if self._progress is not None and (last or self.played.messages):
            self._progress(self.played)

    def _wait_for_subscribers(self) -> None:
        """Wait until every topic has a subscriber, or the time is over, and say whose were missing then."""
        deadline = time.monotonic() + self._settings.wait
        publishers = {*self._publishers.values(), *([self._clock] if self._clock else [])}
        while missing := {p.topic_name for p in publishers if not p.get_subscription_count()}:
            if time.monotonic() >= deadline:
                break
            self._stop.wait(LOOK_PERIOD)
            if self._stop.is_set():
                return
        if self._settings.wait:
            self.played.unheard = sorted(missing)


def _choose(bag: BagFile, topics: Collection[str]) -> list[Connection]:
    wanted = {_full(topic) for topic in topics}
    _check_topics(bag, wanted)
    return [connection for connection in bag.connections if not wanted or connection.topic in wanted]


def _check_topics(bag: BagFile, wanted: Collection[str]) -> None:
    known = {connection.topic for connection in bag.connections}
    if not known.issuperset(wanted):
        raise SourceError(f"{bag.path} has no topic {min(set(wanted) - known)}; it has {', '.join(sorted(known))}")


def _full(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"


def _load(msgtype: str) -> Any:
    package, kind, name = msgtype.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)

"""the whole way in 20 seconds: a bag through the three nodes, three answers, a report

Plays a bundled bag (a camera that pans through a living room) over ROS topics into cc_tracker, cc_keyframes and
cc_reasoner, asks cc/ask three questions, and leaves report.html. Without a model the answers come from geometry; with
OPENAI_API_KEY set, or --base-url, from the model.

  cc-ros demo
  cc-ros demo my_bag --remap image:=/camera/image_raw --base-url http://127.0.0.1:8000/v1 --model my-model
"""

from __future__ import annotations

import argparse
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cc_ros.commands.beside import nodes_beside
from cc_ros.commands.options import amount
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.commands.web import PORT
from cc_ros.dds import apart
from cc_ros.errors import CCError, NodeError
from cc_ros.nodes.pacing import AHEAD, Pace
from cc_ros.nodes.registry import NODES

if TYPE_CHECKING:
    from cc_ros.client import SpatialMemory
    from cc_ros.keyframes import MarkedKeyframe
    from cc_ros.reasoning import Answer
    from cc_ros.runs.writer import RunWriter

T = TypeVar("T")
BAG = Path(__file__).resolve().parents[1] / "data" / "room102_pan"
ASKED = [node for node in NODES if node.remembers]  # nothing is driven here
NAMES = tuple(node.name for node in ASKED)
BAG_REMAPS = ("image:=/camera/image_raw", "camera_info:=/camera/camera_info", "odom:=/odom")
HEARTBEAT = 300.0  # seconds: the nodes speak every second, so after this silence they hang
START = 30.0  # seconds that the services of nodes which are active may take to be found
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s{postfix}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("bag", nargs="?", type=Path, default=BAG, help="rosbag2 to play instead of the bundled one")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where to write; default demo")
    parser.add_argument(
        "--remap", metavar="FROM:=TO", action="append", default=[], help="for another bag: image:=/its/image/topic"
    )
    parser.add_argument("--ask", action="append", default=[], metavar="QUESTION", help="instead of ours; repeatable")
    parser.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint of the model")
    parser.add_argument("--model", metavar="NAME", help="the model's name")
    parser.add_argument("--rate", type=amount(float), default=1.0, metavar="X", help="speed of playing")


def main(options: argparse.Namespace) -> int:
    """Run the demo; return 0 when every question got an answer."""
    need_ros()
    apart()
    from cc_ros.client import SpatialMemory
    from cc_ros.runs.writer import RunWriter

    remaps = options.remap or (list(BAG_REMAPS) if options.bag == BAG else [])
    pace = Pace(_image_topics(options.bag, remaps), "cc_tracker", "cc_keyframes")
    with (
        stop_on_signals() as stop,
        RunWriter(options.out, options.bag.name) as writer,
        _nodes(options, remaps) as nodes,
        SpatialMemory(name="cc_demo", wait=START) as memory,
    ):
        return _Demo(options, writer, nodes, memory, pace, stop).run()


def _nodes(options: argparse.Namespace, remaps: list[str]) -> AbstractContextManager[subprocess.Popen[bytes]]:
    # A demo shows every frame: none of those that may be under way is skipped.
    arguments = ["--param", f"cc_tracker:queue:={2 * AHEAD}", "--nodes", *(node.module for node in ASKED)]
    for remap in remaps:
        arguments += ["--remap", remap]
    for flag, value in (("--base-url", options.base_url), ("--model", options.model)):
        arguments += [flag, value] if value else []
    return nodes_beside(options.out / "nodes.log", arguments)


def _image_topics(bag: Path, remaps: list[str]) -> set[str]:
    """Return the topics of a bag that the tracker gets its images from.

    :raises CCError: there is none, or the bag cannot be read.
    """
    from cc_ros.sources.bag.file import BagFile

    kinds = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    names = {old.strip("/"): new for old, _, new in (rule.partition(":=") for rule in remaps)}
    image = names.get("image", "image")
    wanted = {f"/{name.strip('/')}" for name in (image, names.get("image/compressed", f"{image}/compressed"))}
    with BagFile(bag) as file:
        images = {connection.topic for connection in file.connections if connection.msgtype in kinds}
    if not images & wanted:
        others = f"it has images on {', '.join(sorted(images))}: --remap image:=TOPIC" if images else "it has no images"
        raise CCError(f"{bag} has no images on {' or '.join(sorted(wanted))}; {others}")
    return images & wanted


@dataclass
class _Demo:
    """What listens to the nodes, asks them and writes the report."""

    _options: argparse.Namespace
    _writer: RunWriter
    _nodes: subprocess.Popen[bytes]
    _memory: SpatialMemory
    _pace: Pace
    _stop: threading.Event

    def __post_init__(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import QoSProfile

        from cc_ros.msg import TrackedMasks
        from cc_ros.runs.track_history import TrackHistory

        self._history = TrackHistory()
        self._begun = self._heard_at = time.monotonic()
        self._said: dict[str, str] = {}
        self._kept: deque[int] = deque([-1], maxlen=2)
        self._frames = 0
        self._failed_answers = 0
        # Heard in the client's thread, worked on in ours.
        self._heard: queue.SimpleQueue[tuple[Callable[[Any], None], Any]] = queue.SimpleQueue()
        topics = ((TrackedMasks, "cc/masks", self._on_masks), (DiagnosticArray, "/diagnostics", self._on_diagnostics))
        for kind, topic, take in topics:
            self._memory.node.create_subscription(
                kind, topic, lambda message, take=take: self._heard.put((take, message)), QoSProfile(depth=50)
            )

    def run(self) -> int:
        """Play, ask, report."""
        from tqdm import tqdm

        print(f"starting {', '.join(NAMES)} ...")
        self._until(self._all_active)
        print(f"active after {time.monotonic() - self._begun:.1f} s")
        with tqdm(total=1.0, desc="playing", bar_format=BAR) as bar:
            self._play(bar)
        if not self._frames:
            raise CCError(self._failed(f"none of {self._pace.played} images was tracked"))
        keyframes = self._keyframes()
        print("asking ...\n")
        answers = [self._answer(question) for question in self._options.ask or _questions(keyframes)]
        self._report(keyframes, answers)
        return 1 if self._failed_answers else 0

    def _play(self, bar: Any) -> None:
        from cc_ros.nodes.bag_player import Played, PlaySettings, play

        stop = threading.Event()
        failed: list[CCError] = []

        def show(played: Played) -> None:
            bar.total, bar.n = played.length, min(played.position, played.length)
            bar.set_postfix_str(f"{self._frames} frames tracked, {len(self._history)} objects")

        def run() -> None:
            try:
                settings = PlaySettings(rate=self._options.rate)
                play(self._options.bag, settings, stop=stop, progress=show, pace=self._pace)
            except CCError as error:
                failed.append(error)

        thread = threading.Thread(target=run, name="cc_demo_player")
        thread.start()
        try:
            self._until(lambda: not thread.is_alive())
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    # -- what the nodes say

    def _on_masks(self, message: Any) -> None:
        from cc_ros.nodes.convert.images import to_labels
        from cc_ros.nodes.convert.stamps import nanoseconds

        stamp = nanoseconds(message.header.stamp)
        self._writer.frame(message.index, to_labels(message.labels), message.seconds)
        self._history.add(stamp * 1e-9, [t.id for t in message.tracks if t.area])
        self._frames += 1
        self._pace.tracked(stamp)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name in NAMES:
                figures = {pair.key: pair.value for pair in status.values}
                self._heard_at = time.monotonic()
                self._said[status.name] = status.message
                self._pace.heard(status.name, figures)
                if status.name == "cc_keyframes":
                    self._kept.append(int(figures.get("episode_frames", 0)))

    def _all_active(self) -> bool:
        from cc_ros.nodes.base_node import INACTIVE

        return all(self._said.get(name, INACTIVE) != INACTIVE for name in NAMES)

    def _all_kept(self) -> bool:
        """Return whether cc_keyframes has seen every frame that was tracked, or no more come."""
        return self._kept[-1] >= self._frames or self._kept.count(self._kept[-1]) > 1

    def _keyframes(self) -> list[MarkedKeyframe]:
        self._kept.clear()
        self._kept.append(-1)
        self._until(self._all_kept)
        return self._asked(self._memory.keyframes)

    def _answer(self, question: str) -> tuple[str, Answer]:
        answer = self._asked(lambda: self._memory.ask(question, cancel=self._stop))
        if self._stop.is_set():
            raise KeyboardInterrupt
        # that the measurements do not tell is an answer
        self._failed_answers += not answer.ok and answer.status.name != "CANNOT_TELL"
        print(f"  {question}\n    {answer.text if answer.ok else answer.message}")
        print(f"    ({answer.source if answer.ok else 'no answer'}, {answer.usage.seconds:.2f} s)\n")
        return question, answer

    def _report(self, keyframes: list[MarkedKeyframe], answers: list[tuple[str, Answer]]) -> None:
        from cc_ros.runs.report import Report, write_report

        self._writer.keyframes(keyframes)
        timing = self._writer.finish()
        notes = [
            f"The bag was played over ROS topics into {', '.join(NAMES)}, no faster than the tracker could follow."
        ]
        if not any(answer.ok and answer.source == "model" for _, answer in answers):
            notes.append(
                "No model was asked: the answers come from geometry, that is, from tracks, calibration and "
                "odometry. Set OPENAI_API_KEY, or give --base-url, to ask one."
            )
        path = self._options.out / "report.html"
        report = Report(
            title="cc_ros demo",
            source=str(self._options.bag.name),
            backend="auto",
            keyframes=keyframes,
            tracks=self._history,
            timing=timing,
            answers=answers,
            notes=notes,
        )
        write_report(path, report)
        median = f"median {timing.median or 0:.1f} ms a frame"
        print(f"{timing.frames} of {self._pace.played} frames tracked, {median} -> {path}")
        print(notes[-1] if len(notes) > 1 else "The answers come from the model.")
        print(f"\n{how_to_watch(self._options.bag, self._options.remap)}")

    # -- waiting

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except NodeError as error:
            raise CCError(self._failed(str(error))) from error

    def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, for as long as the nodes live: a slow machine is slow, not wrong."""
        while not condition():
            try:
                take, message = self._heard.get(timeout=0.05)
                take(message)
            except queue.Empty:
                pass
            if self._stop.is_set():
                raise KeyboardInterrupt
            if self._nodes.poll() is not None:
                raise CCError(self._failed(f"the nodes ended with status {self._nodes.returncode}"))
            if time.monotonic() - self._heard_at > HEARTBEAT:
                raise CCError(self._failed(f"no node has said a word on /diagnostics for {HEARTBEAT:.0f} s"))

    def _failed(self, what: str) -> str:
        log = self._options.out / "nodes.log"
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
        return f"{what}; the nodes said ({log}):\n  {tail}"


def how_to_watch(bag: Path, remaps: list[str]) -> str:
    """Return the commands that show the same bag on the live page."""
    own = "".join(f" --remap {rule}" for rule in (remaps or (BAG_REMAPS if bag == BAG else ())))
    program = shlex.quote(str(Path(sys.executable).with_name("cc-ros")))
    return (
        f"To watch it live and to ask, open http://127.0.0.1:{PORT} with these two running:\n"
        f"  {program} up --web{own}\n"
        f"  {program} play {shlex.quote(os.path.relpath(bag))} --loop"
    )


def _questions(keyframes: list[MarkedKeyframe]) -> list[str]:
    """Return questions about the marks of this episode, two of them about objects that no picture shows together."""
    seen: dict[int, set[int]] = {}
    for keyframe in keyframes:
        for mark in keyframe.marks:
            seen.setdefault(mark.id, set()).add(keyframe.index)
    questions = ["How many marked objects are there?"]
    ids = sorted(seen, key=lambda i: min(seen[i]))
    if len(ids) > 1:
        first = ids[0]
        apart = [i for i in ids if not seen[i] & seen[first]]
        questions.append(f"Is mark {first} left of mark {(apart or ids)[-1]}?")
    if ids:
        questions.append(f"Where is mark {ids[-1]}?")
    return questions

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
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.commands.ros import need_ros
from cc_ros.errors import CCError

if TYPE_CHECKING:
    from cc_ros.keyframes import MarkedKeyframe
    from cc_ros.sources.report import Answered

BAG = Path(__file__).resolve().parents[1] / "data" / "room102_pan"
BAG_REMAPS = ("image:=/camera/image_raw", "camera_info:=/camera/camera_info", "odom:=/odom")
START_LIMIT = 60.0  # seconds until the nodes must be there
TRACK_LIMIT = 180.0
ANSWER_LIMIT = 120.0
QUIET = 3.0  # seconds without masks after which all have come
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
    parser.add_argument("--rate", type=float, default=1.0, metavar="X", help="speed of playing")


def main(options: argparse.Namespace) -> int:
    """Run the demo; return 0 when every question got an answer."""
    need_ros()
    # Apart from other robots and other people's demos on this network and machine.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from cc_ros.sources.run_files import RunWriter

    remaps = options.remap or (list(BAG_REMAPS) if options.bag == BAG else [])
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        with RunWriter(options.out, options.bag.name) as writer, _nodes(options, remaps) as nodes:
            return _Demo(options, writer, nodes).run()
    finally:
        rclpy.try_shutdown()


@contextmanager
def _nodes(options: argparse.Namespace, remaps: list[str]) -> Iterator[subprocess.Popen]:
    """Run ``cc-ros up`` beside us, its words going to nodes.log."""
    # A demo shows every frame, also on a machine where the tracker cannot keep up with the camera.
    command = [sys.executable, "-m", "cc_ros.cli", "up", "--param", "cc_tracker:queue:=100"]
    for remap in remaps:
        command += ["--remap", remap]
    for flag, value in (("--base-url", options.base_url), ("--model", options.model)):
        command += [flag, value] if value else []
    with (options.out / "nodes.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Demo:
    """What listens to the nodes, asks them and writes the report."""

    def __init__(self, options: argparse.Namespace, writer: Any, nodes: subprocess.Popen) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile

        from cc_ros.msg import TrackedMasks
        from cc_ros.sources.track_history import TrackHistory
        from cc_ros.srv import GetKeyframes, SpatialQuery

        self._options = options
        self._writer = writer
        self._nodes = nodes
        self._history = TrackHistory()
        self._arrived = time.monotonic()
        self._frames = 0
        self._failed_answers = 0
        self._node = rclpy.create_node("cc_demo")
        self._node.create_subscription(TrackedMasks, "cc/masks", self._on_masks, QoSProfile(depth=50))
        self._ask: Any = self._node.create_client(SpatialQuery, "cc/ask")
        self._get: Any = self._node.create_client(GetKeyframes, "cc/get_keyframes")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def run(self) -> int:
        """Play, ask, report."""
        from tqdm import tqdm

        print("starting cc_tracker, cc_keyframes and cc_reasoner ...")
        self._wait_until_active()
        with tqdm(total=1.0, desc="playing", bar_format=BAR) as bar:
            self._play(bar)
        print("tracking what is left ...")
        self._arrived = time.monotonic()
        self._until(lambda: time.monotonic() - self._arrived > QUIET, TRACK_LIMIT, "the tracker did not come to an end")
        if not len(self._history):
            raise CCError(self._failed("no masks came: does the bag hold images, and does --remap name their topic?"))
        keyframes = self._keyframes()
        print("asking ...\n")
        answers = [self._answer(question) for question in self._options.ask or _questions(keyframes)]
        self._report(keyframes, answers)
        return 1 if self._failed_answers else 0

    def _wait_until_active(self) -> None:
        """Wait for all three: a tracker that loads its model for some seconds would miss the bag."""
        from lifecycle_msgs.msg import State
        from lifecycle_msgs.srv import GetState

        for name in ("cc_tracker", "cc_keyframes", "cc_reasoner"):
            client: Any = self._node.create_client(GetState, f"{name}/get_state")
            self._until(client.service_is_ready, START_LIMIT, f"{name} did not start")
            deadline = time.monotonic() + START_LIMIT
            while self._call(client, GetState.Request(), START_LIMIT).current_state.id != State.PRIMARY_STATE_ACTIVE:
                if time.monotonic() > deadline:
                    raise CCError(self._failed(f"{name} did not become active within {START_LIMIT:.0f} s"))
                self._executor.spin_once(timeout_sec=0.1)

    def _play(self, bar: Any) -> None:
        from cc_ros.sources.player import Played, PlaySettings, play

        stop = threading.Event()
        failed: list[CCError] = []

        def show(played: Played) -> None:
            bar.total, bar.n = played.length, min(played.position, played.length)
            bar.set_postfix_str(f"{self._frames} frames tracked, {len(self._history)} objects")

        def run() -> None:
            try:
                play(self._options.bag, PlaySettings(rate=self._options.rate, wait=15.0), stop=stop, progress=show)
            except CCError as error:
                failed.append(error)

        thread = threading.Thread(target=run, name="cc_demo_player")
        thread.start()
        try:
            while thread.is_alive():
                self._executor.spin_once(timeout_sec=0.1)
                self._check_nodes()
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def _on_masks(self, message: Any) -> None:
        from cc_ros.nodes.convert import nanoseconds, to_labels

        self._arrived = time.monotonic()
        self._frames = message.index + 1
        self._writer.frame(message.index, to_labels(message.labels), message.seconds)
        self._history.add(nanoseconds(message.header.stamp) * 1e-9, [t.id for t in message.tracks if t.area])

    def _keyframes(self) -> list[MarkedKeyframe]:
        from cc_ros.nodes.convert import to_keyframe
        from cc_ros.srv import GetKeyframes

        response = self._call(self._get, GetKeyframes.Request(), 30.0)
        if not response.success:
            raise CCError(self._failed(response.message))
        return [to_keyframe(message) for message in response.keyframes.keyframes]

    def _answer(self, question: str) -> Answered:
        from cc_ros.commands.answers import from_response
        from cc_ros.srv import SpatialQuery

        response = self._call(self._ask, SpatialQuery.Request(question=question), ANSWER_LIMIT)
        answered = from_response(question, response)
        # that the measurements do not tell is an answer
        self._failed_answers += response.status not in (response.OK, response.CANNOT_TELL)
        print(f"  {question}\n    {answered.answer or answered.error}")
        print(f"    ({answered.source or 'no answer'}, {response.usage.seconds:.2f} s)\n")
        return answered

    def _report(self, keyframes: list[MarkedKeyframe], answers: list[Answered]) -> None:
        from cc_ros.sources.report import Report, write_report

        self._writer.keyframes(keyframes)
        timing = self._writer.finish()
        notes = ["The bag was played in real time over ROS topics into cc_tracker, cc_keyframes and cc_reasoner."]
        if not any(answer.source == "model" for answer in answers):
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
        print(f"{timing.frames} frames tracked, median {timing.median or 0:.1f} ms a frame -> {path}")
        print(notes[-1] if len(notes) > 1 else "The answers come from the model.")

    # -- waiting

    def _call(self, client: Any, request: Any, limit: float) -> Any:
        future = client.call_async(request)
        self._until(future.done, limit, f"{client.srv_name} did not answer")
        return future.result()

    def _until(self, condition: Any, limit: float, failure: str) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            self._executor.spin_once(timeout_sec=0.05)
            self._check_nodes()
            if time.monotonic() > deadline:
                raise CCError(self._failed(f"{failure} within {limit:.0f} s"))

    def _check_nodes(self) -> None:
        if self._nodes.poll() is not None:
            raise CCError(self._failed(f"the nodes ended with status {self._nodes.returncode}"))

    def _failed(self, what: str) -> str:
        log = self._options.out / "nodes.log"
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
        return f"{what}; the nodes said ({log}):\n  {tail}"


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

"""Active means ready: the first frame costs what any other does in which the network looks, and hides no loading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import psutil
import pytest
from support.rig import Onlooker, Program, cc_ros, image_of, isolated, scene, until

FRAMES = 8
SIZE = (1280, 720)  # not the size that is tried while the tracker is prepared

# Runs the command in a process of its own and prints the processor time of each frame, decoding and writing included.
TIMED = """
import sys, time
from cc_ros import cli
from cc_ros.runs.writer import RunWriter
from cc_ros.tracking.flow.tracker import FlowTracker
spent, prepare, frame = [], FlowTracker.prepare, RunWriter.frame
def after(function):
    def call(*arguments):
        function(*arguments)
        spent.append(time.process_time())
    return call
FlowTracker.prepare, RunWriter.frame = after(prepare), after(frame)
status = cli.main(sys.argv[1:])
print("spent", [b - a for a, b in zip(spent, spent[1:])])
sys.exit(status)
"""


def check(spent: list[float]) -> None:
    """Processor time, since on a busy machine any frame may have to wait."""
    assert len(spent) == FRAMES
    assert spent[0] <= 3 * median(spent), spent


def test_the_first_frame_of_a_run(tmp_path: Path) -> None:
    for i in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), scene(i, *SIZE))
    command = ["run", str(tmp_path), "--fps", "1", "--backend", "flow", "--quiet", "--out", str(tmp_path / "out")]
    with Program(["-c", TIMED, *command]) as run:
        assert run.end(90) == 0, run.text
    line = next(line for line in run.lines if line.startswith("spent"))
    check(json.loads(line.removeprefix("spent")))


@pytest.fixture
def look() -> Iterator[Onlooker]:
    rclpy = pytest.importorskip("rclpy")
    from cc_ros.dds import prepare

    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(context=context)
        onlooker = Onlooker(context)
        yield onlooker
        onlooker.close()
        rclpy.shutdown(context=context)


def test_the_first_frame_of_a_live_tracker(look: Onlooker) -> None:
    """A second apart by their stamps: the network looks at each of them."""
    from cc_ros.msg import TrackedMasks
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import CompressedImage

    masks: list[Any] = look.listen(TrackedMasks, "cc/masks")
    diagnostics: list[Any] = look.listen(DiagnosticArray, "/diagnostics")
    camera = look.publisher(CompressedImage, "image/compressed", reliable=True)
    pictures = [image_of(scene(i, *SIZE), (1000 + i) * 10**9, compressed=True) for i in range(FRAMES)]
    with cc_ros("up", "--nodes", "tracker", "--backend", "flow") as up:
        up.wait_for("active after")
        until(lambda: camera.get_subscription_count() and any(map(found_us, diagnostics)))
        process, spent = psutil.Process(up.process.pid), []
        for i, picture in enumerate(pictures):
            before = process.cpu_times()
            camera.publish(picture)
            until(lambda i=i: len(masks) > i, 30)
            after = process.cpu_times()
            spent.append(after.user + after.system - before.user - before.system)
    check(spent)


def found_us(diagnostics: Any) -> bool:
    """Whether the tracker says that it has found the publisher of images."""
    return any(pair.key == "publishers" and pair.value != "0" for pair in diagnostics.status[0].values)

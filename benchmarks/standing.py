"""How soon a robot that follows an instruction stands when something fails: the nodes in a process of their own.

    python benchmarks/standing.py [--rounds 3]

The base is kinematic (test/support/base.py), the model a scripted server. For each fault the longest time from the
fault to the last motion of the base is printed, at the default speeds and limits: by the base's clock, which stands
still while the machine gives it no processor time, and by the wall. The base has a watchdog for SIGKILL alone.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import rclpy
from rclpy.context import Context
from std_msgs.msg import Empty
from support.base import MOUNTED, WATCHDOG, Base
from support.model_server import ModelServer, reply
from support.rig import START, Program, announced, cc_ros, isolated, until

from cc_ros.client import SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import CCError

NODE = "cc_tracker is killed"
KILLED = "SIGKILL (the base's watchdog)"
STILL = 1.0  # seconds without motion that count as standing
MOUNTING = {f"camera.{name}": getattr(MOUNTED, name) for name in ("camera_x", "camera_z", "camera_pitch")}


class Round:
    """One instruction, under way until it is stopped."""

    def __init__(self, nodes: Program, base: Base, memory: SpatialMemory) -> None:
        self.nodes, self.base = nodes, base
        self.cancel = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(memory,))
        self._stack = ExitStack()
        self._tracker = self._stack.enter_context(announced("cc/masks"))
        base.place()
        self._thread.start()
        until(lambda: base.speed[0] > 0.25, START, "it does not drive")

    def _follow(self, memory: SpatialMemory) -> None:
        try:
            while not self.cancel.is_set() and self.base.x == 0.0:  # the last one may have been killed just now
                memory.follow("Go to the door.", cancel=self.cancel)
        except CCError as error:
            print(f"  {error}", file=sys.stderr)

    def press(self) -> None:
        publisher = self.base.publisher(Empty, "cc/stop", reliable=True)
        until(publisher.get_subscription_count)
        self.strike()
        publisher.publish(Empty())

    def kill(self) -> None:
        """Kill what says that it is the tracker."""
        self._tracker.process.kill()
        self.strike()

    def strike(self) -> None:
        """Note when the fault is."""
        self.struck, self.tick = time.monotonic(), self.base.tick

    def measure(self, fault: Callable[[Round], object]) -> tuple[float, float]:
        """Return the seconds from the fault to the last motion: by the base's clock, and by the wall."""
        self.strike()
        fault(self)
        last = self.struck
        while time.monotonic() < last + STILL:
            time.sleep(0.01)
            if self.base.speed != (0.0, 0.0):
                last = time.monotonic()
        self.cancel.set()
        self._thread.join(30)
        self._stack.close()
        return self.base.seconds(self.tick), last - self.struck


FAULTS: dict[str, Callable[[Round], object]] = {
    "odometry stops": lambda one: one.base.silent.add("odom"),
    "images stop": lambda one: one.base.silent.add("images"),
    "depth stops": lambda one: one.base.silent.add("depth"),
    "cancelled": lambda one: one.cancel.set(),
    "cc/stop": Round.press,
    NODE: Round.kill,
}
ENDS: dict[str, Callable[[Round], object]] = {  # of the nodes
    "SIGTERM": lambda one: one.nodes.signal(signal.SIGTERM),
    KILLED: lambda one: one.nodes.process.kill(),
}


@contextmanager
def started(watchdog: float) -> Iterator[Callable[[], Round]]:
    """Start everything, and yield what begins a round."""
    with ModelServer() as server:
        server.always(reply(action="FORWARD", value=3, reason="seen"))
        given = [f"cc_navigator:{name}:={value}" for name, value in {**MOUNTING, "patience": 1.0}.items()]
        options = ["--nodes", "reasoner", "navigator", "--base-url", server.base_url]
        with cc_ros("up", *options, *(word for one in given for word in ("--param", one))) as nodes:
            context = Context()
            rclpy.init(args=[], context=context)
            base = Base(context, watchdog=watchdog)
            try:
                nodes.wait_for("[cc_navigator]: active", 3 * START)
                with SpatialMemory() as memory:
                    yield lambda: Round(nodes, base, memory)
            finally:
                base.close()
                rclpy.shutdown(context=context)


def report(name: str, times: list[tuple[float, float]]) -> None:
    """Print the longest times of a fault."""
    ticked, wall = (max(column) for column in zip(*times, strict=True))
    print(f"| {name} | {ticked:.2f} s | {wall:.2f} s |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each fault")
    options = parser.parse_args()
    print("| fault | longest time to standing, by the base's clock | by the wall |\n|---|---|---|")
    with isolated():
        prepare()
        with started(math.inf) as begin:
            for name, fault in FAULTS.items():
                report(name, [begin().measure(fault) for _ in range(options.rounds)])
        for name, fault in ENDS.items():
            times = []
            for _ in range(options.rounds):
                with started(WATCHDOG if name == KILLED else math.inf) as begin:
                    times.append(begin().measure(fault))
            report(name, times)


if __name__ == "__main__":
    main()

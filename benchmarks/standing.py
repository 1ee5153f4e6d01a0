"""How soon a robot that follows an instruction stands when something fails: the nodes in a process of their own.

    python benchmarks/standing.py [--rounds 3]

The base is kinematic (test/support/base.py), the model a scripted server. For each fault the longest time from the
fault to the last motion of the base is printed, at the default speeds and limits. After SIGKILL the base's own watchdog
stops it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import rclpy
from rclpy.context import Context
from std_msgs.msg import Empty
from support.base import MOUNTED, TICK, WATCHDOG, Base
from support.model_server import ModelServer, reply
from support.rig import START, Program, cc_ros, isolated, until

from cc_ros.client import SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import CCError

MOUNTING = {f"camera.{name}": getattr(MOUNTED, name) for name in ("camera_x", "camera_z", "camera_pitch")}


class Round:
    """One instruction, under way until it is stopped."""

    def __init__(self, nodes: Program, base: Base, memory: SpatialMemory) -> None:
        self.nodes, self.base = nodes, base
        self.cancel = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(memory,))
        base.place()
        self._thread.start()
        until(lambda: base.speed[0] > 0.25, START, "it does not drive")

    def _follow(self, memory: SpatialMemory) -> None:
        try:
            memory.follow("Go to the door.", cancel=self.cancel)
        except CCError as error:
            print(f"  {error}", file=sys.stderr)

    def press(self) -> None:
        publisher = self.base.publisher(Empty, "cc/stop", reliable=True)
        until(publisher.get_subscription_count)
        self.struck = time.monotonic()
        publisher.publish(Empty())

    def measure(self, fault: Callable[[Round], object]) -> float:
        """Return the seconds from the fault to the last motion."""
        self.struck = time.monotonic()
        fault(self)
        still = 0
        last = self.struck
        while still < 3 * WATCHDOG:
            time.sleep(TICK)
            moving = self.base.speed != (0.0, 0.0)
            last, still = (time.monotonic(), 0) if moving else (last, still + 1)
        self.cancel.set()
        self._thread.join(30)
        return last - self.struck


FAULTS: dict[str, Callable[[Round], object]] = {
    "odometry stops": lambda one: one.base.silent.add("odom"),
    "images stop": lambda one: one.base.silent.add("images"),
    "depth stops": lambda one: one.base.silent.add("depth"),
    "cancelled": lambda one: one.cancel.set(),
    "cc/stop": Round.press,
    "SIGTERM": lambda one: one.nodes.signal(signal.SIGTERM),
    "SIGKILL (the base's watchdog)": lambda one: one.nodes.process.kill(),
}


def measure(fault: Callable[[Round], object]) -> float:
    """Start everything anew, and return how soon it stands."""
    with ModelServer() as server:
        server.always(reply(action="FORWARD", value=3, reason="seen"))
        given = [f"cc_navigator:{name}:={value}" for name, value in {**MOUNTING, "patience": 1.0}.items()]
        options = ["--nodes", "reasoner", "navigator", "--base-url", server.base_url]
        with cc_ros("up", *options, *(word for one in given for word in ("--param", one))) as nodes:
            context = Context()
            rclpy.init(args=[], context=context)
            base = Base(context, in_steps=False)
            nodes.wait_for("[cc_navigator]: active")
            with SpatialMemory() as memory:
                seconds = Round(nodes, base, memory).measure(fault)
            base.close()
            rclpy.shutdown(context=context)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each fault")
    options = parser.parse_args()
    print("| fault | longest time to standing |\n|---|---|")
    with isolated():
        prepare()
        for name, fault in FAULTS.items():
            print(f"| {name} | {max(measure(fault) for _ in range(options.rounds)):.2f} s |", flush=True)


if __name__ == "__main__":
    main()

"""The simulated robot in threads of this process, and what the nodes have to be told about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor

from cc_ros.errors import CCError
from cc_ros.nodes.runtime import init
from cc_ros.sim.camera import Camera
from cc_ros.sim.node import SimNode
from cc_ros.sim.settings import SimSettings
from cc_ros.sim.world import World

START = 60.0  # seconds until the first picture


def mounting(camera: Camera) -> list[str]:
    """Return the options of ``cc-ros up`` that tell the nodes where the camera sits."""
    values = {"camera_x": camera.x, "camera_z": camera.z, "camera_pitch": camera.pitch}
    nodes = ("cc_tracker", "cc_keyframes", "cc_navigator")
    return [
        word
        for node in nodes
        for name, value in values.items()
        for word in ("--param", f"{node}:camera.{name}:={value}")
    ]


@contextmanager
def simulated(
    make: Callable[[], World], settings: SimSettings, stop: threading.Event, seed: int, **options: Any
) -> Iterator[SimNode]:
    """Run the simulated robot in threads of this process; yield its node once pictures come.

    :param options: of :class:`~cc_ros.sim.node.SimNode`.

    :raises CCError: it cannot be simulated or rendered here.
    """
    init(["--ros-args"])
    node = SimNode(make, settings, seed, **options)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    over = threading.Event()
    failed: list[Exception] = []

    def simulate() -> None:
        try:
            node.run(over)
        except Exception as error:  # told in the thread that waits
            failed.append(error)
            node.ready.set()
            stop.set()

    def spin() -> None:
        while not over.is_set():
            executor.spin_once(timeout_sec=0.1)

    threads = [threading.Thread(target=work, name=f"cc_sim_{work.__name__}") for work in (simulate, spin)]
    for thread in threads:
        thread.start()
    try:
        if not node.ready.wait(START):
            raise CCError(f"the simulator showed no picture within {START:.0f} s")
        if not failed:
            yield node
    finally:
        over.set()
        for thread in threads:
            thread.join(5.0)
        executor.shutdown(2.0)
        node.destroy_node()
        rclpy.try_shutdown()
    if failed:
        raise failed[0]

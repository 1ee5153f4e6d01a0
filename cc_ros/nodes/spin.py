"""Running nodes until they are interrupted: one executor a node, so that none waits for another's callbacks."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

# 640x480 images are larger than what Fast DDS moves well by default: best effort then loses most of them.
os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from cc_ros.errors import SettingsError
from cc_ros.nodes.step_node import StepNode


def main_of(kinds: Sequence[Callable[[], StepNode]], args: Sequence[str] | None = None) -> int:
    """Run nodes of these kinds in this process until SIGINT, SIGTERM or a shutdown; return the exit status.

    :param args: ROS arguments (``--ros-args -r image:=/camera/image_raw``); None = those of the command line.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    rclpy.init(args=list(args) if args is not None else None, signal_handler_options=SignalHandlerOptions.NO)
    nodes: list[StepNode] = []
    spinning: list[tuple[Executor, threading.Thread]] = []
    try:
        for kind in kinds:
            nodes.append(kind())
        for node in nodes:
            executor = _executor(node)
            thread = threading.Thread(target=_spin, args=(executor, stop), name=f"{node.get_name()}_executor")
            thread.start()
            spinning.append((executor, thread))
        if sum(node.autostart() for node in nodes) < len(nodes):
            return 1
        while not stop.wait(0.2) and rclpy.ok():
            pass
    except SettingsError as error:
        print(f"cc_ros: {error}", file=sys.stderr)
        return 2
    finally:
        stop.set()
        for node in nodes:
            node.stop_if_active()
        for executor, thread in spinning:
            executor.shutdown(timeout_sec=2.0)
            thread.join(timeout=5.0)
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _executor(node: StepNode) -> Executor:
    executor: Executor = MultiThreadedExecutor(node.threads) if node.threads > 1 else SingleThreadedExecutor()
    executor.add_node(node)
    return executor


def _spin(executor: Executor, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.2)
    except ExternalShutdownException:
        stop.set()

"""Running nodes until they are interrupted: one executor a node, so that none waits for another's callbacks."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import psutil
import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from cc_ros.dds import prepare
from cc_ros.errors import CCError, SettingsError
from cc_ros.nodes.base_node import BaseNode
from cc_ros.process import prepare_process

Running = tuple[BaseNode, Executor, threading.Thread]
PATIENCE = 5.0  # seconds that a node which loads or compiles is given to break off


def main_of(kinds: Sequence[Callable[[], BaseNode]], args: Sequence[str] | None = None) -> int:
    """Run nodes of these kinds in this process until SIGINT, SIGTERM or a shutdown; return the exit status.

    :param args: ROS arguments (``--ros-args -r image:=/camera/image_raw``); None = those of the command line.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    prepare()
    running: list[Running] = []
    starting: _Starting | None = None
    try:
        init(args)
        for kind in kinds:
            node = kind()
            executor = executor_of(node)
            thread = threading.Thread(target=spin, args=(node, executor, stop), name=f"{node.get_name()}_executor")
            running.append((node, executor, thread))
        for _, _, thread in running:
            thread.start()
        starting = _Starting([node for node, _, _ in running], stop)
        while not stop.wait(0.2) and rclpy.ok():
            pass
        if starting.failed:
            return 1
    except CCError as error:
        print(f"cc_ros: {error}", file=sys.stderr)
        return 2
    finally:
        stop.set()
        for node, _, _ in running:
            node.end()
        if starting is not None and not starting.over(PATIENCE):
            # Something that cannot be broken off; Python would crash on leaving while it goes on.
            print("cc_ros: ended while a node was still loading", file=sys.stderr, flush=True)
            os._exit(0)
        _end(running)
    return 0


class _Starting:
    """Brings nodes to active in a thread of its own, so that loading and compiling do not keep a signal waiting.

    :param stop: set where one fails.
    """

    def __init__(self, nodes: Sequence[BaseNode], stop: threading.Event) -> None:
        self.failed = False
        self._nodes = nodes
        self._stop = stop
        self._thread = threading.Thread(target=self._start, name="starting", daemon=True)
        self._thread.start()

    def over(self, seconds: float) -> bool:
        """Wait for the end; return whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _start(self) -> None:
        for node in self._nodes:
            if self._stop.is_set():
                return
            if not node.autostart():
                self.failed = not self._stop.is_set()
                self._stop.set()
                return
        active = [node.get_name() for node in self._nodes if node.active]
        if active:
            seconds = time.time() - psutil.Process().create_time()
            print(f"cc_ros: {', '.join(active)} active after {seconds:.1f} s", flush=True)


def init(args: Sequence[str] | None) -> None:
    """Initialise rclpy without its signal handlers, in a process that is ours alone.

    :raises SettingsError: the ROS arguments cannot be used.
    """
    prepare_process()
    try:
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's own class for it is private
        first = next(iter(str(error).splitlines()), repr(error))
        raise SettingsError(f"ROS does not take these arguments: {first}") from error


def _end(running: Sequence[Running]) -> None:
    # A node drops its subscriptions as it stops: not while its executor may be about to take a message from them.
    for _, _, thread in running:
        if thread.ident is not None:
            thread.join(timeout=5.0)
    for node, executor, _ in running:
        node.stop_if_active()
        executor.shutdown(timeout_sec=2.0)
    for node, _, _ in running:
        node.destroy_node()
    rclpy.try_shutdown()


class StreamExecutor(Executor):
    """Hands callbacks to threads, but for messages of the node's default group: short ones, which it takes itself.

    Through another thread a message costs five times as much: 2.2 ms instead of 0.4, since rclpy builds its wait set
    anew when a callback begins and when it ends. What may wait for others needs a group of its own.
    """

    def __init__(self, threads: int, context: Context) -> None:
        super().__init__(context=context)
        self._pool = ThreadPoolExecutor(threads)
        self._begun: list[Any] = []

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run or hand on the next callback.

        :raises Exception: what a callback raised.
        """
        try:
            handler, entity, node = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ConditionReachedException, ShutdownException, TimeoutException):
            return
        self._begun.append(handler)
        if node and isinstance(entity, Subscription) and entity.callback_group is node.default_callback_group:
            handler()
        else:
            self._pool.submit(handler)
        for task in [task for task in self._begun if task.done()]:
            self._begun.remove(task)
            task.result()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Run no more callbacks; return whether those under way have ended in time."""
        over: bool = super().shutdown(timeout_sec)
        self._pool.shutdown()
        return over


def executor_of(node: BaseNode) -> Executor:
    """Return an executor with the threads that the node needs."""
    context, threads = node.context, node.threads
    executor: Executor = StreamExecutor(threads, context) if threads > 1 else SingleThreadedExecutor(context=context)
    executor.add_node(node)
    return executor


def spin(node: BaseNode, executor: Executor, stop: threading.Event) -> None:
    """Run the node's callbacks until ``stop`` is set."""
    # A callback gives up the GIL while OpenCV works; by default it may wait 5 ms to have it back from the executor.
    sys.setswitchinterval(5e-4)
    while not stop.is_set():
        try:
            executor.spin_once(timeout_sec=0.2)
        except ExternalShutdownException:
            stop.set()
        except InvalidHandle:  # a callback in another thread dropped a subscription just now: the next round is without
            continue
        except Exception as error:  # a defect in one callback must not silence the node
            node.fault("errors", f"a callback failed: {error!r}\n{traceback.format_exc()}")

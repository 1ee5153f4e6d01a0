"""A node with an executor thread of its own, and how to wait for others from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from cc_ros.dds import prepare
from cc_ros.errors import NotRunningError
from cc_ros.nodes.alive import Watch, destroy_actions

LOOK_PERIOD = 0.1  # seconds between two looks whether to go on waiting
LEAVE_TIME = 5.0  # seconds for callbacks to end
HOW_TO_START = "start the nodes by `cc-ros up`; `cc-ros doctor` shows what is running"


class Connection:
    """A node in the graph whose callbacks run in a thread of its own.

    :param namespace: of the node.
    :param node: whose context is shared; None = a context of its own.
    :param name: of the node.
    :param wait: seconds that servers have to appear.
    """

    def __init__(self, namespace: str, node: Node | None, name: str, wait: float) -> None:
        self.wait = wait
        self.closed = threading.Event()
        self._own_context: Context | None = None
        if node is None:
            prepare()
            self._own_context = context = Context()
            rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
        else:
            context, namespace = node.context, namespace or node.get_namespace()
        # As arguments of the node, since those of the program would win over plain ones.
        own = ["--ros-args", "-r", f"__node:={name}", "-r", f"__ns:=/{namespace.strip('/')}"]
        self.node = Node(name, context=context, cli_args=own, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def start(self) -> None:
        """Begin to spin, once all clients exist: rclpy shows the executor an action client before it is whole."""
        self._thread.start()

    def close(self) -> None:
        """Leave the graph; whoever waits is told by an error."""
        self.closed.set()
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join(LEAVE_TIME)
        self._executor.shutdown(LEAVE_TIME)
        destroy_actions(self.node)
        self.node.destroy_node()
        if self._own_context is not None:
            self._own_context.try_shutdown()

    def check_open(self) -> None:
        """Raise a NotRunningError where nothing can arrive any more."""
        if self.closed.is_set() or not self.node.context.ok():
            raise NotRunningError("this client was closed, or rclpy was shut down")

    def found(
        self, who: str, name: str, ready: Callable[[], bool], cancelled: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait until a server is there; return False where that is cancelled.

        :raises NotRunningError: it does not appear.
        """
        deadline = time.monotonic() + self.wait
        while True:
            self.check_open()
            if cancelled():
                return False
            if ready():
                return True
            if time.monotonic() > deadline:
                raise NotRunningError(f"no {who} answers on {self.node.resolve_service_name(name)}: {HOW_TO_START}")
            self.closed.wait(LOOK_PERIOD)

    def in_executor(self, work: Callable[[], Any]) -> Any:
        """Do something in the executor's thread and return what it returns.

        Sent from another thread, a request may be answered before rclpy has noted that somebody waits for the answer.
        """
        outcome: Future[Any] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except Exception as error:
                outcome.set_exception(error)

        self._executor.create_task(run)
        while not outcome.done():
            self.check_open()
            wait([outcome], LOOK_PERIOD)
        return outcome.result()

    def call(self, client: Any, request: Any, timeout: float, alive: Watch | None = None) -> Any:
        """Call a service and return its response.

        :param timeout: seconds.
        :param alive: notices that its node was killed.
        :raises NotRunningError: no response in time, or its node went away.
        """
        done = threading.Event()
        future = self.in_executor(lambda: client.call_async(request))
        future.add_done_callback(lambda _: done.set())
        deadline = time.monotonic() + timeout
        try:
            while not done.wait(LOOK_PERIOD):
                self.check_open()
                if (alive is not None and alive.gone()) or not client.service_is_ready():
                    raise NotRunningError(f"nobody answers on {client.srv_name} any more: {HOW_TO_START}")
                if time.monotonic() > deadline:
                    raise NotRunningError(f"{client.srv_name} did not respond within {timeout:g} s")
        finally:
            client.remove_pending_request(future)
        return future.result()

    def _spin(self) -> None:
        try:
            while not self.closed.is_set():
                self._executor.spin_once(timeout_sec=LOOK_PERIOD)
        except ExternalShutdownException:  # rclpy.shutdown() of the context that is shared
            pass
        finally:
            self.closed.set()

"""What the three nodes share: lifecycle, parameters, counters on /diagnostics, and ``cc/reset``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from cc_ros.errors import CCError
from cc_ros.nodes.parameters import NodeParameters
from cc_ros.settings import knob

WARN_EVERY = 5.0  # seconds between two warnings of one kind
INACTIVE = "inactive"  # what a node says on /diagnostics while it does nothing
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


@dataclass(frozen=True)
class NodeSettings:
    """Settings of every node."""

    autostart: bool = knob(True, "configure and activate on start; false leaves that to a lifecycle manager")
    diagnostics_period: float = knob(1.0, "time between two messages on /diagnostics, in s", ge=0.1, le=60.0)


class StepNode(LifecycleNode):
    """A lifecycle node around one step of the method.

    Subclasses build their step in ``start``, drop it in ``stop``, and forget the episode in ``new_episode``.

    :cvar name: of the node.
    :cvar groups: (prefix, settings dataclass) of its parameters; every node has :class:`NodeSettings` beside them.
    :ivar threads: of the executor it needs.
    """

    name: ClassVar[str]
    groups: ClassVar[Sequence[tuple[str, type]]]
    threads: int = 1

    def __init__(self, **node_options: Any) -> None:
        self.counters: Counter[str] = Counter()
        self._warned: dict[str, float] = {}
        self._count_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self.active = False
        super().__init__(self.name, **node_options)  # from here on it may be destroyed
        self.parameters = NodeParameters(self, self.all_groups())
        self.background = MutuallyExclusiveCallbackGroup()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = self.parameters.read(NodeSettings).diagnostics_period
        self.create_timer(period, self._publish_diagnostics, self.background, STEADY)
        self.create_service(Trigger, "cc/reset", self._on_reset, callback_group=self.background)

    @classmethod
    def all_groups(cls) -> list[tuple[str, type]]:
        """Return (prefix, settings dataclass) of every parameter."""
        return [("", NodeSettings), *cls.groups]

    # -- what a subclass provides

    def start(self) -> None:
        """Build the step, its publishers and subscriptions.

        :raises CCError: it cannot run with these parameters; the node stays inactive.
        """
        raise AssertionError("a subclass provides start")

    def stop(self) -> None:
        """Undo ``start``."""
        raise AssertionError("a subclass provides stop")

    def new_episode(self) -> None:
        """Forget what was seen."""
        raise AssertionError("a subclass provides new_episode")

    def doing(self) -> str:
        """Return, for people, what the active node does or waits for."""
        raise AssertionError("a subclass provides doing")

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return a trouble for people ("" = none) and figures for /diagnostics."""
        return "", {}

    # -- lifecycle

    def autostart(self) -> bool:
        """Configure and activate if the parameter says so; return False where that failed."""
        if not self.parameters.read(NodeSettings).autostart:
            return True
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the step."""
        try:
            self.start()
        except CCError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self.active = True
        self.get_logger().info(f"active: {self.doing()}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the step; parameters set meanwhile hold from the next activation on."""
        self.stop_if_active()
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the step for good."""
        self.stop_if_active()
        return super().on_shutdown(state)

    def stop_if_active(self) -> None:
        """Stop the step, whatever state the node is in."""
        with self._state_lock:  # a signal and a lifecycle manager may both want it
            if self.active:
                self.active = False
                self.stop()

    def destroy_node(self) -> None:
        """Stop the step and leave the graph."""
        self.stop_if_active()
        super().destroy_node()

    # -- faults and figures

    def count(self, what: str) -> None:
        """Count something for /diagnostics; from any thread."""
        with self._count_lock:
            self.counters[what] += 1

    def fault(self, kind: str, text: str) -> None:
        """Count a fault for /diagnostics and warn about it, at most every few seconds a kind."""
        now = STEADY.now().nanoseconds * 1e-9
        with self._count_lock:
            self.counters[kind] += 1
            silent = now - self._warned.get(kind, -WARN_EVERY) < WARN_EVERY
            if not silent:
                self._warned[kind] = now
        if not silent:
            self.get_logger().warning(f"{text} ({kind}: {self.counters[kind]} so far)")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.active:
            self.new_episode()
        response.success = True
        response.message = f"{self.get_name()}: a new episode"
        return response

    def _publish_diagnostics(self) -> None:
        trouble, figures = self.health() if self.active else ("", {})
        # Aggregators tell statuses apart by name, so it has to hold the namespace.
        status = DiagnosticStatus(name=self.get_fully_qualified_name().lstrip("/"))
        status.level = DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK
        status.message = trouble or ("running" if self.active else INACTIVE)
        with self._count_lock:
            pairs: dict[str, object] = {**figures, **self.counters}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in pairs.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

"""What the three nodes share: lifecycle, parameters, counters on /diagnostics, and ``cc/reset``."""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from cc_ros.errors import CCError
from cc_ros.nodes.alive import destroy_actions
from cc_ros.nodes.parameters import NodeParameters
from cc_ros.settings import knob

WARN_EVERY = 5.0  # seconds between two warnings of one kind
LONGEST_REASON = 300  # characters of a fault's text on /diagnostics
INACTIVE = "inactive"  # what a node says on /diagnostics while it does nothing
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


@dataclass(frozen=True)
class NodeSettings:
    """Settings of every node."""

    autostart: bool = knob(True, "configure and activate on start; false leaves that to a lifecycle manager")
    diagnostics_period: float = knob(1.0, "time between two messages on /diagnostics, in s", ge=0.1, le=60.0)


class BaseNode(LifecycleNode):
    """A lifecycle node around one step of the method.

    Subclasses load what takes time in ``prepare``, so that an active node can serve; build their step in ``start``,
    drop it in ``stop`` and what was prepared in ``release``, and forget the episode in ``new_episode``. Whatever any of
    these raises, or a service does, is logged and counted, and the node lives.

    :cvar name: of the node.
    :cvar groups: (prefix, settings dataclass) of its parameters; every node has :class:`NodeSettings` beside them.
    :ivar threads: of the executor it needs.
    :ivar undo: what ``start`` registers here is undone when the step stops, the last first, and where it fails halfway.
    :ivar ending: set when the process ends: work that takes long is to be broken off.
    :ivar remarks: what was said once since the activation, by kind.
    """

    name: ClassVar[str]
    groups: ClassVar[Sequence[tuple[str, type]]]
    threads: int = 1

    def __init__(self, **node_options: Any) -> None:
        self.counters: Counter[str] = Counter()
        self._warned: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self.remarks: dict[str, str] = {}
        self.undo = ExitStack()
        self.ending = threading.Event()
        self._count_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self.active = False
        super().__init__(self.name, **node_options)  # from here on it may be destroyed
        self.parameters = NodeParameters(self, self.all_groups())
        self.background = MutuallyExclusiveCallbackGroup()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = self.parameters.read(NodeSettings).diagnostics_period
        self.create_timer(period, self._publish_diagnostics, self.background, STEADY)
        self.serve(Trigger, "cc/reset", self._on_reset, self.background)

    @classmethod
    def all_groups(cls) -> list[tuple[str, type]]:
        """Return (prefix, settings dataclass) of every parameter."""
        return [("", NodeSettings), *cls.groups]

    # -- what a subclass provides

    def prepare(self) -> None:
        """Load and compile whatever the first request or frame would otherwise wait for.

        :raises CCError: it cannot run with these parameters; the node stays unconfigured.
        """

    def release(self) -> None:
        """Let go of what was prepared and of the episode; nothing may have been prepared."""

    def break_off(self) -> None:
        """Make ``prepare`` under way in another thread end early by an exception: the process ends."""

    def start(self) -> None:
        """Build the step, its publishers and subscriptions.

        :raises CCError: it cannot run with these parameters; the node stays inactive.
        """
        raise AssertionError("a subclass provides start")

    def stop(self) -> None:
        """Undo ``start``."""
        self.undo.close()

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

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load what takes time."""
        if not self._attempt("configuring", self.prepare):
            self._attempt("cleaning up", self.release)
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the step."""
        with self._count_lock:
            self.remarks = {}
        if not self._attempt("activating", self.start):
            self._attempt("stopping", self.undo.close)
            return TransitionCallbackReturn.FAILURE
        self.active = True
        self.get_logger().info(f"active: {self.doing()}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the step; parameters set meanwhile hold from the next activation on."""
        self._attempt("deactivating", self.stop_if_active)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, the episode included."""
        self._attempt("cleaning up", self.release)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the step for good."""
        self._attempt("stopping", self.stop_if_active)
        self._attempt("cleaning up", self.release)
        return super().on_shutdown(state)

    def _attempt(self, what: str, work: Callable[[], None]) -> bool:
        """Do a part of a transition; return False where it failed, which is logged."""
        try:
            work()
        except CCError as error:
            self.get_logger().error(str(error))
        except Exception as error:
            self.get_logger().error(f"{what} failed: {error!r}\n{traceback.format_exc()}")
        else:
            return True
        self.count("failed_transitions")
        return False

    def end(self) -> None:
        """Break off what takes long: the process ends."""
        self.ending.set()
        self._attempt("breaking off", self.break_off)

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters; the result says what takes effect only later. ``ros2 param set`` comes here too."""
        result = super().set_parameters_atomically(parameter_list)
        if result.successful:  # rclpy drops the reason that a callback gives for these
            result.reason = self.parameters.later(parameter_list, self._when_taken)
            if result.reason:
                self.get_logger().info(result.reason)
        return result

    def _when_taken(self, group: type) -> str:
        """Return when a parameter of this group that is set now takes effect; "" = with the activation to come."""
        if group is NodeSettings:
            return "takes effect when the node is started again"
        return "takes effect when the node is activated again" if self.active else ""

    def stop_if_active(self) -> None:
        """Stop the step, whatever state the node is in."""
        with self._state_lock:  # a signal and a lifecycle manager may both want it
            if self.active:
                self.active = False
                self.stop()

    def destroy_node(self) -> None:
        """Stop the step and leave the graph."""
        self._attempt("stopping", self.stop_if_active)
        self._attempt("cleaning up", self.release)
        destroy_actions(self)
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()  # rclpy forgets it, and the node would stay in the graph with it

    # -- faults and figures

    def serve(self, kind: type, name: str, answer: Callable[[Any, Any], Any], group: CallbackGroup) -> None:
        """Offer a service that always responds: what ``answer`` raises is told in ``success`` and ``message``.

        :param answer: takes the request and an empty response, and returns the response.
        """

        def respond(request: Any, response: Any) -> Any:
            try:
                return answer(request, response)
            except CCError as error:
                reason = str(error)
                self.count("refused_requests")
            except Exception as error:
                reason = f"{name} failed: {error!r}"
                self.fault("errors", f"{reason}\n{traceback.format_exc()}")
            response = kind.Response()  # type: ignore[attr-defined]
            response.success, response.message = False, reason
            return response

        self.create_service(kind, name, respond, callback_group=group)

    def count(self, what: str, by: int = 1) -> None:
        """Count something for /diagnostics; from any thread."""
        with self._count_lock:
            self.counters[what] += by

    def remark(self, kind: str, text: str) -> None:
        """Count what limits the results, and say it once an activation; it stays on /diagnostics."""
        with self._count_lock:
            self.counters[kind] += 1
            said = kind in self.remarks
            self.remarks[kind] = text
        if not said:
            self.get_logger().warning(f"{text} ({kind}; said once, counted on /diagnostics)")

    def end_goal(self, handle: ServerGoalHandle[Any, Any, Any], succeeded: bool, cancelled: bool) -> None:
        """Give a goal of an action its final state; what is neither succeeded nor cancelled on request is aborted."""
        try:
            if succeeded:
                handle.succeed()
            elif cancelled and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        except Exception as error:  # rclpy's own kinds are private; the result goes out in any case
            self.fault("errors", f"a goal could not be ended: {error}")

    def fault(self, kind: str, text: str) -> None:
        """Count a fault for /diagnostics and warn about it, at most every few seconds a kind."""
        now = STEADY.now().nanoseconds * 1e-9
        with self._count_lock:
            self.counters[kind] += 1
            self._reasons[kind] = text.splitlines()[0][:LONGEST_REASON] if text else ""
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
        broken, trouble = "", ""
        figures: Mapping[str, object] = {}
        try:
            trouble, figures = self.health() if self.active else ("", {})
        except Exception as error:
            broken = f"its state cannot be told: {error!r}"
            self.fault("errors", f"{broken}\n{traceback.format_exc()}")
        # Aggregators tell statuses apart by name, so it has to hold the namespace.
        status = DiagnosticStatus(name=self.get_fully_qualified_name().lstrip("/"))
        level = DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK
        status.level = DiagnosticStatus.ERROR if broken else level
        status.message = broken or trouble or ("running" if self.active else INACTIVE)
        with self._count_lock:
            reasons = {f"{kind}_last": text for kind, text in {**self._reasons, **self.remarks}.items()}
            pairs: dict[str, object] = {**figures, **self.counters, **reasons}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in pairs.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

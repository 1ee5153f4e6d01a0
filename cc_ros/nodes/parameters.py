"""ROS parameters declared from settings dataclasses: name, default, range and description stand in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from cc_ros.errors import SettingsError
from cc_ros.settings import Knob, checked, parameters

T = TypeVar("T")
UNBOUNDED = 2**31 - 1


class NodeParameters:
    """The settings of a node as ROS parameters ``<prefix>.<name>``, or ``<name>`` where the prefix is empty.

    A value that a setting does not allow is refused, at start by an exception and later by a veto with the reason.

    :param node: declares the parameters on it.
    :param groups: (prefix, settings dataclass) pairs.
    :raises SettingsError: a value given at start is of the wrong type or not allowed.
    """

    def __init__(self, node: Node, groups: Sequence[tuple[str, type]]) -> None:
        self._node = node
        self._known = {name: (cls, knob) for name, cls, knob in parameters(groups)}
        node.add_on_set_parameters_callback(self._check)
        for name, (_, knob) in self._known.items():
            try:
                node.declare_parameter(name, knob.default, _descriptor(knob))
            except (InvalidParameterTypeException, InvalidParameterValueException) as error:
                raise SettingsError(f"{node.get_name()}: parameter {name}: {error}") from error

    def read(self, cls: type[T]) -> T:
        """Return the settings ``cls`` with the present values of its parameters.

        :raises SettingsError: a value is out of its range.
        """
        own = {name: knob.name for name, (owner, knob) in self._known.items() if owner is cls}
        return checked(cls, {short: self._node.get_parameter(name).value for name, short in own.items()})

    def later(self, given: Sequence[Parameter], when: Callable[[type], str]) -> str:
        """Return for people which of these hold only later, or "".

        :param when: returns when a setting of a dataclass takes effect, or "" where soon.
        """
        told = [(p.name, when(self._known[p.name][0])) for p in given if p.name in self._known]
        return "; ".join(f"{name} {time}" for name, time in told if time)

    def _check(self, given: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in given:
                if parameter.name in self._known:
                    self._known[parameter.name][1].check(parameter.value)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _descriptor(knob: Knob) -> ParameterDescriptor:
    text = knob.help + (f" (one of: {', '.join(knob.choices)})" if knob.choices else "")
    # Dynamic for floats, so that `silence: 5` is taken as well; their type is checked by the knob.
    descriptor = ParameterDescriptor(description=text, dynamic_typing=knob.type is float)
    low, high = knob.ge, knob.le
    if knob.type is int and (low is not None or high is not None):
        limits = (-UNBOUNDED if low is None else int(low), UNBOUNDED if high is None else int(high))
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    elif knob.type is float and low is not None and high is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor

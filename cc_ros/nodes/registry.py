"""The one list of nodes, and every parameter they have (``python -m cc_ros.nodes.registry`` writes config/cc.yaml).

Another node is its module and an entry here; tests name the build files that need it as well. Nothing of ROS is
imported until a node is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cc_ros import settings
from cc_ros.settings import Knob, Scalar

if TYPE_CHECKING:
    from cc_ros.nodes.base_node import BaseNode


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One node.

    :param module: in ``cc_ros.nodes``; it holds the class and runs the node as a program.
    :param cls: name of the class.
    :param remembers: whether it holds something of the episode, so that questions cannot do without it.
    """

    module: str
    cls: str
    remembers: bool = True

    @property
    def name(self) -> str:
        """The name of the node and of its executable."""
        return f"cc_{self.module}"

    def load(self) -> type[BaseNode]:
        """Import the module and return the class."""
        node: type[BaseNode] = getattr(import_module(f"cc_ros.nodes.{self.module}"), self.cls)
        return node


NODES = (
    NodeEntry("tracker", "TrackerNode"),
    NodeEntry("keyframes", "KeyframesNode"),
    NodeEntry("reasoner", "ReasonerNode"),
    NodeEntry("navigator", "NavigatorNode", remembers=False),
)


def parameters(node: NodeEntry) -> Iterator[tuple[str, Knob]]:
    """Yield (parameter name, knob) of a node, in order."""
    for name, _, knob in settings.parameters(node.load().all_groups()):
        yield name, knob


def as_yaml() -> str:
    """Return a parameter file with every parameter, its default, and what it does."""
    lines = [
        "# Every parameter of the nodes with its default. Made by `python -m cc_ros.nodes.registry`.",
        "# Use: cc-ros up --params-file cc.yaml, or ros2 launch cc_ros cc.launch.py params_file:=/path/to/cc.yaml",
    ]
    for node in NODES:
        lines += ["", f"/**/{node.name}:", "  ros__parameters:"]
        for name, knob in parameters(node):
            allowed = f" [{knob.allowed()}]" if knob.allowed() else ""
            lines += [f"    # {knob.help}{allowed}", f"    {name}: {_value(knob.default)}"]
    return "\n".join(lines) + "\n"


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    print(as_yaml(), end="")

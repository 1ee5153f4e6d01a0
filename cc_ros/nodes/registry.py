"""Every parameter of every node, for launch and for config/cc.yaml (``python -m cc_ros.nodes.registry``)."""

from __future__ import annotations

from collections.abc import Iterator

from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.nodes.reasoner import ReasonerNode
from cc_ros.nodes.tracker import TrackerNode
from cc_ros.settings import Knob, Scalar, knobs

NODES: tuple[type[BaseNode], ...] = (TrackerNode, KeyframesNode, ReasonerNode)


def parameters(node: type[BaseNode]) -> Iterator[tuple[str, Knob]]:
    """Yield (parameter name, knob) of a node, in order."""
    for prefix, cls in node.all_groups():
        for knob in knobs(cls):
            yield f"{prefix}.{knob.name}" if prefix else knob.name, knob


def as_yaml() -> str:
    """Return a parameter file with every parameter, its default, and what it does."""
    lines = [
        "# Every parameter of the three nodes with its default. Made by `python -m cc_ros.nodes.registry`.",
        "# Use: cc-ros up --params-file cc.yaml, or ros2 launch cc_ros cc.launch.py params_file:=/path/to/cc.yaml",
    ]
    for node in NODES:
        lines += ["", f"/**/{node.name}:", "  ros__parameters:"]
        for name, knob in parameters(node):
            lines += [f"    # {knob.help}{_limits(knob)}", f"    {name}: {_value(knob.default)}"]
    return "\n".join(lines) + "\n"


def _limits(knob: Knob) -> str:
    if knob.choices:
        return f" [{', '.join(choice or '(empty)' for choice in knob.choices)}]"
    bounds = ["" if bound is None else f"{bound:g}" for bound in (knob.ge, knob.le)]
    return f" [{bounds[0]}..{bounds[1]}]" if any(bounds) else ""


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    print(as_yaml(), end="")

"""ask a question about the scene that the running nodes have seen

Shows the text as it arrives; Ctrl-C cancels the question. Exit status 0 = answered, 1 = not, 130 = cancelled.

  cc-ros ask "Is the door left of the sofa?"
  cc-ros ask "Which mark is the lamp by the window?" --goal
  cc-ros ask "How many chairs are there?" --choice 2 --choice 3 --choice 4
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from cc_ros.commands.options import amount
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.commands.times import add_window, window_of


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("question", help="in plain words; marks by their number, as in 'is 3 left of 5'")
    parser.add_argument("--kind", default="", help="free, choice, left_right, count, viewpoint, which_mark or navigate")
    parser.add_argument("--choice", action="append", default=[], metavar="TEXT", help="one of the answers; repeatable")
    parser.add_argument("--frames", type=amount(int), default=0, metavar="M", help="keyframes to look at")
    parser.add_argument("--marks", type=amount(int), default=0, metavar="K", help="objects to mark")
    parser.add_argument("--last", type=amount(float), default=0.0, metavar="S", help="only the last so many seconds")
    add_window(parser)
    parser.add_argument("--near", type=amount(int), default=0, metavar="MARK", help="only pictures that show this mark")
    parser.add_argument("--timeout", type=amount(float), default=0.0, metavar="S", help="give up after so many seconds")
    parser.add_argument("--style", default="", help="marks, raw, set_of_mark, marks_cot or marks_measured")
    parser.add_argument("--goal", action="store_true", help="publish a free place before the mark on cc/goal")
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")
    parser.add_argument("--wait", type=amount(float), default=10.0, metavar="S", help="for the reasoner; default 10")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")


def main(options: argparse.Namespace) -> int:
    """Ask and print; return 0 for an answer."""
    need_ros()
    from cc_ros.client import SpatialMemory

    window = window_of(options, near=options.near)

    shown = _Shown()
    with (
        stop_on_signals() as stop,
        SpatialMemory(options.namespace, name="cc_ask", wait=options.wait) as memory,
    ):
        result = memory.query(
            options.question,
            kind=options.kind,
            choices=options.choice,
            frames=options.frames,
            marks=options.marks,
            last_seconds=options.last,
            **{name: getattr(window, name) for name in ("since", "until", "episode", "near")},
            timeout=options.timeout,
            style=options.style,
            send_goal=options.goal,
            on_progress=None if options.json else shown,
            cancel=stop,
        )
    if shown.text:
        print(flush=True)
    if options.json:
        print(json.dumps(_as_dict(result), indent=1))
    else:
        _print(result)
    if result.status == result.CANCELLED:
        return 130
    return 0 if result.status == result.OK else 1


_BY_TOOLS = {"measuring": "measured", "looking": "looked at"}


class _Shown:
    """Prints the text as it comes, and on a terminal, until it does, what happens."""

    def __init__(self) -> None:
        self.text = ""
        self._stage = ""
        self._begun = time.monotonic()

    def __call__(self, stage: str, text: str) -> None:
        if stage in _BY_TOOLS:
            print(f"[{_BY_TOOLS[stage]}: {text}]", file=sys.stderr)
        elif text.startswith(self.text):
            print(text[len(self.text) :], end="", flush=True)
            self.text = text
        if stage == "cancelling":
            print("\ncancelling ...", file=sys.stderr)
        elif stage != self._stage and sys.stderr.isatty() and not self.text:
            print(f"[{stage} {time.monotonic() - self._begun:.1f} s]", file=sys.stderr)
        self._stage = stage


def _print(result: Any) -> None:
    from cc_ros.nodes.convert.questions import to_answer
    from cc_ros.reasoning.measured.places import in_words

    if result.status != result.OK:
        print(result.message or f"no answer (status {result.status})", file=sys.stderr)
        return
    print(result.answer)
    model = f" {result.usage.model}" if result.source == "model" and result.usage.model else ""
    details = [f"by {result.source}{model}"]
    if result.mark_ids:
        details.append("marks " + ", ".join(map(str, result.mark_ids)))
    if result.confidence:
        details.append(f"confidence {result.confidence:.2f}")
    if result.action:
        details.append(f"action {result.action}" + ("" if result.action == "STOP" else f"({result.action_value:g})"))
    if result.has_goal:
        p = result.goal.pose.position
        details.append(f"goal ({p.x:.2f}, {p.y:.2f}) in {result.goal.header.frame_id}")
    details.append(f"{result.usage.seconds:.1f} s")
    print(f"({'; '.join(details)})")
    for place in to_answer(result).places:
        print(in_words(place))
    for remark in filter(None, (result.reason, result.message)):
        print(remark)


def _as_dict(message: Any) -> Any:
    """Return a message as plain values; rosidl_runtime_py, which has this too, is not among the wheels."""
    if hasattr(message, "get_fields_and_field_types"):
        return {name: _as_dict(getattr(message, name)) for name in message.get_fields_and_field_types()}
    if isinstance(message, str | bool | int | float):
        return message
    return [_as_dict(item) for item in message]

"""have the robot follow an instruction, driven by a model's moves

Shows each move as it is driven. Ctrl-C stops the robot, and waits until it stands. It needs cc_navigator, odometry,
images and a model; to drive forward also depth and a camera whose mounting is known.
Exit status 0 = the model said that it is done, 1 = it ended otherwise, 130 = cancelled.

  cc-ros follow "Go past the sofa and stop at the door."
  cc-ros follow "Turn around." --max-steps 4 --timeout 60 --save pictures
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from cc_ros.commands.options import amount
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("instruction", help="in plain words; marks by their number")
    parser.add_argument("--max-steps", type=amount(int), default=0, metavar="N", help="moves at most")
    parser.add_argument("--timeout", type=amount(float), default=0.0, metavar="S", help="stop after so many seconds")
    parser.add_argument("--style", default="", help="marks, raw, set_of_mark or marks_cot")
    parser.add_argument("--marks", type=amount(int), default=0, metavar="K", help="objects to mark")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the picture of each move in this folder")
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")
    parser.add_argument("--wait", type=amount(float), default=10.0, metavar="S", help="for the navigator; default 10")
    parser.add_argument("--json", action="store_true", help="print how it ended as JSON")


def main(options: argparse.Namespace) -> int:
    """Follow and print; return 0 where the model said that it is done."""
    need_ros()
    from cc_ros.client import FollowStatus, SpatialMemory

    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
    with (
        stop_on_signals() as stop,
        SpatialMemory(options.namespace, name="cc_follow", wait=options.wait) as memory,
    ):
        followed = memory.follow(
            options.instruction,
            max_steps=options.max_steps,
            timeout=options.timeout,
            style=options.style,
            marks=options.marks,
            on_feedback=_Shown(options.save, sys.stderr if options.json else sys.stdout),
            cancel=stop,
        )
    if options.json:
        print(json.dumps({**dataclasses.asdict(followed), "status": followed.status.name}, indent=1))
    else:
        log = f"; log: {followed.log}" if followed.log else ""
        print(f"{followed.status.name}: {followed.message}")
        print(f"({followed.steps} moves, {followed.distance:.1f} m, {followed.seconds:.0f} s{log})")
    if followed.status is FollowStatus.CANCELLED:
        return 130
    return 0 if followed.ok else 1


class _Shown:
    """Prints what happens, a line a move, which grows on a terminal while it is driven.

    :param save: folder for the pictures, None = they are not kept.
    :param out: where to.
    """

    def __init__(self, save: Path | None, out: Any) -> None:
        self._save = save
        self._out = out
        self._phase = ""
        self._open = False  # whether the line is not at its end

    def __call__(self, feedback: Any) -> None:
        if feedback is None:
            self._line("stopping ...")
            return
        if self._save is not None and feedback.picture.data:
            (self._save / f"step_{feedback.step:03d}.jpg").write_bytes(bytes(feedback.picture.data))
        begun, self._phase = feedback.phase != self._phase, feedback.phase
        if feedback.phase == "driving":
            if begun:
                amount = "" if feedback.move == "STOP" else f" {feedback.value:g}{_unit(feedback.move)}"
                self._line(f"{feedback.step}. {feedback.move}{amount}  {feedback.words}")
            elif self._out.isatty():
                self._grow(f"   {feedback.done:.2f}{_unit(feedback.move)}")
        elif feedback.phase == "driven" and feedback.words:
            self._line(f"   {feedback.words}")
        elif begun and self._out.isatty():
            self._grow(f"{feedback.step}. {feedback.phase} ...")

    def _line(self, text: str) -> None:
        print(("\r\033[K" if self._open else "") + text, file=self._out, flush=True)
        self._open = False

    def _grow(self, text: str) -> None:
        print(f"\r\033[K{text}", end="", file=self._out, flush=True)
        self._open = True


def _unit(move: str) -> str:
    return " m" if move == "FORWARD" else " degrees"

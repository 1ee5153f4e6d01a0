"""A run of SOT questions against a server, also in a process that may be killed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

from cc_ros.evaluation.answer_file import AnswerFile
from cc_ros.evaluation.asking import Setup
from cc_ros.evaluation.benchmarks.sot import Sot
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.runner import LocalPool, Outcome, run, tasks
from cc_ros.evaluation.types import Answer

PARALLEL, TRIALS = 3, 5
BEFORE, HALF, AFTER = "before the line", "half a line", "after the line"
CONDITION = Condition("scripted", "raw", frames=2).normal()


def setup_of(url: str, out: Path, **reasoner: Any) -> Setup:
    return Setup(out / "tracked", {"reasoner": {"base_url": url, **reasoner}}, PARALLEL)


def ask(
    data: Path,
    url: str,
    out: Path,
    stop: threading.Event | None = None,
    answers: AnswerFile | None = None,
    **reasoner: Any,
) -> Outcome:
    questions = list(Sot().load(data))
    with answers or AnswerFile(out) as file, LocalPool(setup_of(url, out, **reasoner)) as pool:
        return run(tasks(questions, [CONDITION], TRIALS), file, pool, PARALLEL, stop=stop)


class Deadly(AnswerFile):
    """Kills its process at one of its lines."""

    def __init__(self, folder: Path, point: str, line: int) -> None:
        super().__init__(folder)
        self._point, self._left = point, line

    def append(self, answer: Answer) -> None:
        self._left -= 1
        if self._left == 0 and self._point == HALF:
            self._file.write(answer.to_json().encode()[:40])
            self._file.flush()
        elif self._left > 0 or self._point == AFTER:
            super().append(answer)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def ask_until_killed(data: Path, url: str, out: Path, point: str, line: int) -> None:
    """Ask, and be killed at the given point of the given line of this process; at another point somebody else kills."""
    mine = point in (BEFORE, HALF, AFTER)
    ask(data, url, out, answers=Deadly(out, point, line) if mine else None)
    os._exit(0)

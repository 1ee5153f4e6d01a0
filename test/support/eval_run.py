"""A run of SOT questions against a server, also in a process that may be killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cc_ros.evaluation.answer_file import AnswerFile
from cc_ros.evaluation.asking import Setup
from cc_ros.evaluation.benchmarks.sot import Sot
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.runner import LocalPool, Outcome, run, tasks
from cc_ros.evaluation.types import Answer

PARALLEL, TRIALS = 3, 5
ASKED, BEFORE, HALF, AFTER = "at a request", "before the line", "half a line", "after the line"
# What a run imports, so that each process begins at once.
IMPORTED = ("cc_ros.sources.registered", "cc_ros.sources.video", "cc_ros.reasoning.llm.client", "truststore", "h11")
IMPORTED += (
    "anyio._backends._asyncio",
    "openai.resources.chat",
    "openai.resources.models",
    "openai.lib.streaming.chat",
)
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


def ask_and_be_killed(data: Path, url: str, out: Path, plan: Sequence[tuple[str, int]]) -> None:
    """Ask in one process after the other; each is killed at a point of one of its lines.

    :param plan: point and line; at another point than those of a line, who reads its id in the file ``pid`` kills it.
    """
    for name in IMPORTED:
        import_module(name)
    for point, line in plan:
        pid = os.fork()  # no thread has begun yet
        if pid == 0:
            if point == ASKED:
                (out / "pid").write_text(str(os.getpid()))
            ask(data, url, out, answers=None if point == ASKED else Deadly(out, point, line))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status != signal.SIGKILL:
            os._exit(1)  # it was through before it was killed
    os._exit(0)

"""A run of SOT questions against a server, also in a process that may be killed."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from cc_ros.evaluation.answer_file import AnswerFile
from cc_ros.evaluation.asking import Setup
from cc_ros.evaluation.benchmarks.sot import Sot
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.runner import LocalPool, Outcome, run, tasks

PARALLEL, TRIALS = 3, 10
CONDITION = Condition("scripted", "raw", frames=2).normal()


def setup_of(url: str, out: Path, **reasoner: Any) -> Setup:
    return Setup(out / "tracked", {"reasoner": {"base_url": url, **reasoner}}, PARALLEL)


def ask(data: Path, url: str, out: Path, stop: threading.Event | None = None, **reasoner: Any) -> Outcome:
    questions = list(Sot().load(data))
    with AnswerFile(out) as answers, LocalPool(setup_of(url, out, **reasoner)) as pool:
        return run(tasks(questions, [CONDITION], TRIALS), answers, pool, PARALLEL, stop=stop)


def ask_in_a_child(data: Path, url: str, out: Path) -> None:
    ask(data, url, out)
    os._exit(0)

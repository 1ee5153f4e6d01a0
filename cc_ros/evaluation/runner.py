"""Ask every question under every condition, some at a time, and keep each answer before the next."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from cc_ros.errors import CCError
from cc_ros.evaluation.answer_file import AnswerFile
from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.types import Answer, Question

HOPELESS = {"NEEDS_MODEL", "SPENDING_LIMIT", "NOT_AUTHORISED", "MISCONFIGURED"}
# Another try may do better: these are no answers, and the next run asks again.
NO_ANSWER = HOPELESS | {
    *("NO_KEYFRAMES", "QUEUE_FULL", "TIMEOUT", "CANCELLED", "UNREACHABLE", "SERVER_ERROR", "RATE_LIMITED"),
    *("REJECTED", "SERVER_DOWN", "CLOSED"),
}
IN_A_ROW = 10  # questions without an answer after which nothing more is asked
TICK = 0.5  # seconds between looks at the flag that stops a run


class Pool(Protocol):
    """Answers tasks, several at a time: on this machine or on others."""

    def submit(self, task: Task) -> Future[Answer]:
        """Begin to answer a task."""

    def close(self) -> None:
        """Cancel what is under way."""


class LocalPool(AbstractContextManager["LocalPool"]):
    """Answers tasks in threads of this process."""

    def __init__(self, setup: Setup) -> None:
        self._asker = Asker(setup)
        self._threads = ThreadPoolExecutor(setup.parallel, "ask")

    def submit(self, task: Task) -> Future[Answer]:
        """Begin to answer a task."""
        return self._threads.submit(self._asker.answer, task)

    def close(self) -> None:
        """Cancel what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._asker.close()
        self._threads.shutdown()

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Outcome:
    """How a run ended.

    :ivar answered: answers that were added.
    :ivar left: reason -> questions that have no answer yet, with the first cause of each.
    :ivar stopped: why nothing more was asked, "" = all was.
    """

    answered: int = 0
    left: Counter[str] = field(default_factory=Counter)
    causes: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    in_a_row: int = 0

    def leave(self, reason: str, cause: str) -> None:
        """Count a question without an answer."""
        self.left[reason] += 1
        self.causes.setdefault(reason, cause)
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            self.stopped = f"{IN_A_ROW} questions in a row had no answer, the last one: {cause}"

    def lines(self) -> list[str]:
        """Return for people what was left, and why."""
        return [f"without an answer: {count}, {reason}: {self.causes[reason]}" for reason, count in self.left.items()]


def tasks(questions: Iterable[Question], conditions: Sequence[Condition], trials: int) -> Iterator[Task]:
    """Yield every task once; those about one scene follow each other as far as its questions do."""
    for question in questions:
        for condition in conditions:
            for direction in condition.directions:
                for trial in range(trials):
                    yield Task(question, condition, direction, trial)


def run(
    wanted: Iterable[Task],
    answers: AnswerFile,
    pool: Pool,
    parallel: int,
    on_answer: Callable[[Answer | None], None] = lambda answer: None,
    budget: float = math.inf,
    stop: threading.Event | None = None,
) -> Outcome:
    """Answer the tasks that have no answer yet.

    :param answers: where they go; a question is asked once, also over several runs. What was under way when a run was
        killed, ``parallel`` questions at most, has no answer and is asked by the next.
    :param parallel: tasks under way at once.
    :param on_answer: told each answer once it is safe, or None where there was none.
    :param budget: money for this and earlier runs into the file; nothing more is asked once it is spent.
    :param stop: ends the run once it is set.
    :raises SourceError: an answer cannot be written.
    """
    outcome = Outcome()
    todo = (task for task in wanted if task.key not in answers.done)
    under_way: dict[Future[Answer], Task] = {}
    while True:
        if stop is not None and stop.is_set():
            outcome.stopped = "stopped early"
        if answers.cost >= budget and not outcome.stopped:
            outcome.stopped = f"the budget of {budget:g} is spent ({answers.cost:.4g})"
        if not outcome.stopped:
            for task in islice(todo, parallel - len(under_way)):
                under_way[pool.submit(task)] = task
        if not under_way or (stop is not None and stop.is_set()):
            return outcome
        done, _ = wait(under_way, timeout=TICK, return_when=FIRST_COMPLETED)
        for future in done:
            on_answer(_take(future, under_way.pop(future), answers, outcome))


def _take(future: Future[Answer], task: Task, answers: AnswerFile, outcome: Outcome) -> Answer | None:
    """Keep an answer; return None where there is none."""
    try:
        answer = future.result()
    except CCError as error:
        outcome.leave("cannot be asked", f"{task.question.id}: {error}")
        return None
    if answer.status in NO_ANSWER:
        outcome.leave(answer.status, f"{task.question.id}: {answer.message}")
        if answer.status in HOPELESS:
            outcome.stopped = answer.message
        return None
    answers.append(answer)
    outcome.answered += 1
    outcome.in_a_row = 0
    return answer

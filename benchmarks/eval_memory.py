"""Memory of an evaluation of many questions: the runner, its answers, figures and report, without a model.

usage: python benchmarks/eval_memory.py [--questions 10000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path

from cc_ros.evaluation.answer_file import AnswerFile, read_answers
from cc_ros.evaluation.asking import Setup, Task
from cc_ros.evaluation.benchmarks.egoschema import EgoSchema
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.report import write_reports
from cc_ros.evaluation.results import results
from cc_ros.evaluation.runner import run, tasks
from cc_ros.evaluation.types import Answer, Media, Question

LONG = "what was said to the model and by it " * 60  # 2 kB each of prompt and reply


class Instant:
    """Answers at once."""

    def submit(self, task: Task) -> Future[Answer]:
        done: Future[Answer] = Future()
        choice = hash(task.question.id) % 5
        pictures = tuple({"index": n, "marks": [[k, 10, 20] for k in range(8)]} for n in range(8))
        done.set_result(
            Answer(
                *task.key, text=task.question.choices[choice], choice=choice, prompt=LONG, reply=LONG, pictures=pictures
            )
        )
        return done

    def close(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10_000)
    count = parser.parse_args().questions
    choices = tuple("ABCDE")
    questions = [
        Question(str(n), "egoschema", LONG[:300], Media(Path(f"{n}.mp4")), answers=("A",), choices=choices)
        for n in range(count)
    ]
    conditions = [Condition("m", style).normal() for style in ("raw", "marks")]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        with AnswerFile(out) as answers:
            run(tasks(questions, conditions, 1), answers, Instant(), 4)
            about = {"data": "", "split": "", "limit": 0, "seed": 0, "wording": {}}
            table = results(EgoSchema(), questions, conditions, read_answers(answers.path), about)
            table.write(out)
            write_reports(out, table, questions, Setup(out / "tracked"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} questions, {len(conditions)} conditions: {peak:.0f} MB at most, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()

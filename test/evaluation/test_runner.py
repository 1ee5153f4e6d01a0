"""The runner: answers are safe one by one, a killed run goes on, and what cannot be asked is told."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.eval_run import AFTER, ASKED, BEFORE, CONDITION, HALF, PARALLEL, TRIALS, ask, ask_and_be_killed, setup_of
from support.model_server import HttpStatus, ModelServer, Say, reply
from support.sot_scene import write_scene

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.answer_file import AnswerFile, read_answers
from cc_ros.evaluation.asking import Task
from cc_ros.evaluation.benchmarks.sot import Sot
from cc_ros.evaluation.runner import IN_A_ROW, LocalPool, run, tasks
from cc_ros.evaluation.types import Answer

KILLS = 10


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sot")
    write_scene(folder)
    return folder


def test_a_run_that_is_killed_ten_times_asks_every_question_and_keeps_every_answer(data: Path, tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    wanted = list(tasks(list(Sot().load(data)), [CONDITION], TRIALS))
    points = itertools.cycle([ASKED, BEFORE, HALF, AFTER])
    plan = list(zip(points, random.Random(3).choices((1, 2, 3), k=KILLS), strict=False))

    def script(body: dict[str, Any]) -> str:
        asked[next(line for line in str(body["messages"]).split("\\n") if "Question: " in line)] += 1
        with suppress(FileNotFoundError):
            os.kill(int((tmp_path / "pid").rename(tmp_path / "killed").read_text()), signal.SIGKILL)
        return reply("left")

    with ModelServer() as server:
        server.always(script)
        child = multiprocessing.get_context("spawn").Process(
            target=ask_and_be_killed, args=(data, server.base_url, tmp_path, plan)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
        before = [answer.key for answer in read_answers(tmp_path / "answers.jsonl")]
        outcome = ask(data, server.base_url, tmp_path)
    keys = [answer.key for answer in read_answers(tmp_path / "answers.jsonl")]
    assert sorted(keys) == sorted(task.key for task in wanted)  # all of them, each once
    assert keys[: len(before)] == before and outcome.answered == len(wanted) - len(before)
    # Only what was under way at a kill is asked again.
    assert sum(asked.values()) <= len(wanted) + KILLS * PARALLEL


def test_half_a_line_is_dropped_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    with AnswerFile(tmp_path) as answers:
        answers.append(Answer("1", "c", text="ü" * 100_000))
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(Answer("2", "c").to_json().encode()[:-5])
    with AnswerFile(tmp_path) as answers:
        assert answers.done == {("1", "c", "forward", 0)}
        answers.append(Answer("3", "c", usage={"cost": 0.5}))
        assert answers.cost == 0.5
    assert [answer.question for answer in read_answers(tmp_path / "answers.jsonl")] == ["1", "3"]
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(b'{"half\n')
    with pytest.raises(SourceError, match="line 3 is damaged"):
        AnswerFile(tmp_path)


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with AnswerFile(tmp_path), pytest.raises(SettingsError, match="another run writes into"):
        AnswerFile(tmp_path)


def test_faults_are_no_answers_and_the_next_run_asks_again(data: Path, tmp_path: Path) -> None:
    with ModelServer() as server:
        server.always(HttpStatus(500))
        outcome = ask(data, server.base_url, tmp_path, retries=0, breaker_failures=1000)
        assert outcome.answered == 0 and "in a row had no answer" in outcome.stopped
        assert IN_A_ROW <= outcome.left["SERVER_ERROR"] <= IN_A_ROW + PARALLEL
        server.always(HttpStatus(401))
        assert "check the key" in ask(data, server.base_url, tmp_path).stopped
        server.always(reply("right"))
        assert ask(data, server.base_url, tmp_path).answered == 6 * 1 * TRIALS


def test_a_budget_holds_over_runs(data: Path, tmp_path: Path) -> None:
    questions = list(Sot().load(data))
    with ModelServer() as server:
        server.always(reply("left"))  # 1000 and 20 tokens
        setup = setup_of(server.base_url, tmp_path, price_prompt=1000.0, price_answer=0.0)
        for expected in (4, 0):
            with AnswerFile(tmp_path) as answers, LocalPool(setup) as pool:
                outcome = run(tasks(questions, [CONDITION], TRIALS), answers, pool, 1, budget=3.5)
            assert outcome.answered == expected and "the budget of 3.5 is spent" in outcome.stopped


def test_a_run_that_is_stopped_ends_soon_and_keeps_what_it_has(data: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def script(body: dict[str, Any]) -> Say:
        stop.set()
        return Say(reply("left"), before=30)

    with ModelServer() as server:
        server.script(reply("left"), script)
        server.always(Say(reply("left"), before=30))
        outcome = ask(data, server.base_url, tmp_path, stop)
    assert outcome.stopped == "stopped early"
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert outcome.answered == len(lines) <= 1 and all(map(json.loads, lines))


def test_media_that_are_gone_are_left_out_and_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scene(tmp_path / "data", name)
    questions = list(Sot().load(tmp_path / "data"))
    (tmp_path / "data" / "a" / "A.avi").unlink()
    with (
        ModelServer() as server,
        AnswerFile(tmp_path) as answers,
        LocalPool(setup_of(server.base_url, tmp_path)) as pool,
    ):
        outcome = run([Task(q, CONDITION, "forward", 0) for q in questions], answers, pool, 1)
    assert outcome.answered == 6 and outcome.left == {"cannot be asked": 6}
    assert "A.avi does not exist" in outcome.lines()[0]

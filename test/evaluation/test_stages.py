"""The report says where an answer went wrong: fifty failures are planted, ten of each kind."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.model_server import ModelServer, Say, reply
from support.sot_scene import FIRST, write_scene

from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.benchmarks.sot import Sot, scene_questions
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.results import results
from cc_ros.evaluation.stages import Stage, of_pictures
from cc_ros.evaluation.types import FORWARD, Question
from cc_ros.keyframes import KeyframeSet, MarkedKeyframe

PLANTED = [stage for stage in Stage if stage is not Stage.UNKNOWN]


class Saboteur(Asker):
    """Spoils what the tracker or the marks say about one object."""

    plan = Stage.MODEL
    victim = FIRST
    coin = random.Random(7)

    def pictures(self, task: Task) -> tuple[KeyframeSet, dict[int, np.ndarray]]:
        seen, labels = super().pictures(task)
        if self.plan is Stage.NOT_TRACKED:
            labels = {index: np.where(ids == self.victim, 0, ids) for index, ids in labels.items()}
        if self.plan in (Stage.NOT_TRACKED, Stage.NOT_MARKED):
            return self._with(seen, lambda mark: mark.id != self.victim, {}), labels
        if self.plan is Stage.WRONG_THING:
            return self._with(seen, lambda mark: True, self._swap(seen)), labels
        return seen, labels

    def _swap(self, seen: KeyframeSet) -> dict[int, int]:
        """Let the victim's number jump to a neighbour in one of the pictures that show both."""
        shown = [frame for frame in seen.keyframes if {m.id for m in frame.marks} > {self.victim}]
        frame = self.coin.choice([one for one in shown if self.victim in {m.id for m in one.marks}])
        other = self.coin.choice([mark.id for mark in frame.marks if mark.id != self.victim])
        self._spoiled = frame.index
        return {self.victim: other, other: self.victim}

    def _with(self, seen: KeyframeSet, keep, swap: dict[int, int]) -> KeyframeSet:
        def spoiled(frame: MarkedKeyframe) -> MarkedKeyframe:
            marks = [mark for mark in frame.marks if keep(mark)]
            if swap and frame.index == self._spoiled:
                marks = [dataclasses.replace(mark, id=swap.get(mark.id, mark.id)) for mark in marks]
            return dataclasses.replace(frame, marks=tuple(marks))

        return dataclasses.replace(seen, keyframes=tuple(map(spoiled, seen.keyframes)))


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    return list(scene_questions(write_scene(tmp_path_factory.mktemp("sot"))))


def test_fifty_planted_failures_are_found_where_they_were_planted(questions: list[Question], tmp_path: Path) -> None:
    condition = Condition("scripted", "marks", frames=5, marks=6, tracker="truth").normal()
    wrong = {"left": "right", "right": "left"}
    planted, answers = {}, []
    with ModelServer() as server:
        settings = {"reasoner": {"base_url": server.base_url}}
        with Saboteur(Setup(tmp_path / "tracked", settings)) as asker:
            for number in range(50):
                question = questions[number % len(questions)]
                asker.plan = PLANTED[number % len(PLANTED)]
                asker.victim = asker.coin.choice(question.extra["objects"])
                said = reply(wrong[question.answers[0]])
                server.always(Say("I would rather not say in which way." if asker.plan is Stage.FORMAT else said))
                answer = asker.answer(Task(question, condition, FORWARD, number))
                planted[answer.key] = asker.plan.value
                answers.append(answer)
    table = results(Sot(), questions, [condition], answers, {})
    found = {answer.key: answer.stage for answer in table.rows[0].wrong}
    assert found == planted
    assert table.rows[0].stages == {stage.value: 10 for stage in PLANTED}
    assert all(answer.why for answer in table.rows[0].wrong)


def test_right_answers_fail_nowhere_and_raw_pictures_can_only_fail_in_the_model(
    questions: list[Question], tmp_path: Path
) -> None:
    conditions = [
        Condition("scripted", style, frames=5, marks=6, tracker="truth").normal() for style in ("raw", "marks")
    ]
    with ModelServer() as server, Asker(Setup(tmp_path, {"reasoner": {"base_url": server.base_url}})) as asker:
        server.always(reply("left"))
        answers = [asker.answer(Task(question, one, FORWARD, 0)) for question in questions for one in conditions]
    table = results(Sot(), questions, conditions, answers, {})
    left = sum(question.answers == ("left",) for question in questions)
    for row in table.rows:
        assert row.stages == {Stage.MODEL.value: len(questions) - left}
        assert row.figures["forward"].value == pytest.approx(left / len(questions))


def test_without_true_masks_nobody_claims_to_know(questions: list[Question], tmp_path: Path) -> None:
    media = dataclasses.replace(questions[0].media, truth=None, things=())
    question = dataclasses.replace(questions[0], media=media)
    condition = Condition("scripted", "marks", frames=3, marks=4, tracker="flow").normal()
    with ModelServer() as server, Asker(Setup(tmp_path, {"reasoner": {"base_url": server.base_url}})) as asker:
        server.always(reply("left"))
        answer = asker.answer(Task(question, condition, FORWARD, 0))
    assert answer.stage == Stage.UNKNOWN.value


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with Asker(Setup(tmp_path_factory.mktemp("tracked"))) as asker:
        yield asker


def stage_of(asker: Asker, question: Question, style: str, frames: int) -> tuple[str, str]:
    condition = Condition("scripted", style, frames=frames, marks=6, tracker="truth").normal()
    seen, labels = asker.pictures(Task(question, condition, FORWARD, 0))
    return of_pictures(question, seen.keyframes, labels, style == "set_of_mark")


def test_pictures_of_both_objects_that_share_no_number_tell_nothing(questions: list[Question], asker: Asker) -> None:
    assert stage_of(asker, questions[0], "marks", 5) == ("", "")
    assert stage_of(asker, questions[0], "marks", 2) == (
        Stage.NOT_MARKED.value,
        "no numbers tie the pictures of object 11 to those of object 15",
    )


def test_numbers_of_each_pictures_own_tie_nothing_and_are_not_on_the_wrong_thing(
    questions: list[Question], asker: Asker
) -> None:
    assert stage_of(asker, questions[0], "set_of_mark", 5)[0] == Stage.NOT_MARKED.value

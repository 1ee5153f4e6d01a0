"""Questions and answers: service, action and dataclass are one list of fields, and every field comes back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.msg import Usage as UsageMsg
from cc_ros.srv import SpatialQuery
from hypothesis import given
from hypothesis import strategies as st
from support.any_values import ANGLE, any_of

from cc_ros.nodes.convert.fields import written
from cc_ros.nodes.convert.questions import (
    NAMES,
    answer_message,
    to_answer,
    to_question,
)
from cc_ros.reasoning import Answer, Goal, Question, Status, Usage

ROOT = Path(__file__).resolve().parents[3]
ANSWERS = any_of(Answer, choice=st.integers(-1, 25), goal=st.none() | any_of(Goal, yaw=ANGLE))
ASKING = [SpatialQuery.Request, SpatialQueryAction.Goal]
ANSWERING = [SpatialQuery.Response, SpatialQueryAction.Result]


def names(cls: type) -> list[str]:
    renamed = NAMES.get(cls, {})
    return [renamed.get(field.name, field.name) for field in dataclasses.fields(cls)]


def fields(message: Any) -> set[str]:
    return set(message.get_fields_and_field_types())


@pytest.mark.parametrize("message", ASKING)
def test_a_question_has_the_fields_of_its_message(message: Any) -> None:
    assert fields(message) == set(names(Question))


@pytest.mark.parametrize("message", ANSWERING)
def test_an_answer_has_the_fields_of_its_message(message: Any) -> None:
    assert fields(message) == {*names(Answer), "action_value", "has_goal"}
    assert fields(UsageMsg) == set(names(Usage))
    constants = {name: getattr(message, name) for name in dir(message) if name.isupper() and name != "SLOT_TYPES"}
    assert constants == {status.name: int(status) for status in Status}


def test_the_files_of_the_service_and_the_action_say_the_same() -> None:
    service = (ROOT / "srv" / "SpatialQuery.srv").read_text().split("---\n")
    action = (ROOT / "action" / "SpatialQuery.action").read_text().split("---\n")
    assert action[:2] == service
    for text, compiled in zip(service, (SpatialQuery.Request, SpatialQuery.Response), strict=True):
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        assert {line[1] for line in lines if len(line) == 2 and "=" not in line[1]} == fields(compiled), "make demo"


@pytest.mark.parametrize("message", ASKING)
def test_every_field_of_a_question_comes_back(message: Any) -> None:
    @given(any_of(Question))
    def check(question: Question) -> None:
        assert to_question(message(**written(question, NAMES[Question]))) == question

    check()


def test_whole_numbers_are_taken_for_seconds() -> None:
    question = Question("What?", timeout=5, last_seconds=10)
    assert to_question(SpatialQuery.Request(**written(question, NAMES[Question]))) == question


@pytest.mark.parametrize("message", ANSWERING)
def test_every_field_of_an_answer_comes_back(message: Any) -> None:
    @given(ANSWERS)
    def check(answer: Answer) -> None:
        back = to_answer(answer_message(message, answer))
        if answer.goal is not None:
            assert back.goal is not None
            assert dataclasses.astuple(back.goal)[:3] == pytest.approx(dataclasses.astuple(answer.goal)[:3], abs=1e-9)
            assert back.goal.frame == answer.goal.frame
            back = dataclasses.replace(back, goal=answer.goal)
        assert back == answer

    check()

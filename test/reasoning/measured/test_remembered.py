"""Questions about what the memory knows are answered without a model, from the window that their words name."""

from __future__ import annotations

from datetime import datetime
from threading import Event

import pytest

from cc_ros.errors import CCError
from cc_ros.keyframes import KeyframeRequest, KeyframeSet, RememberedObject
from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.context import Context
from cc_ros.reasoning.measured import questions
from cc_ros.reasoning.measured.remembered import Recall, read


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-26 {text}").timestamp()


NOW = at("14:50")
KNOWN = (
    RememberedObject(1, "present", at("08:00"), at("14:49:30"), at("08:00"), (1.0, 2.0, 0.5), "map"),
    RememberedObject(2, "absent", at("08:00"), at("09:10"), at("13:00")),
    RememberedObject(3, "moved", at("08:00"), at("14:00"), at("12:30"), (0.0, 3.0, 0.5), "map"),
    RememberedObject(4, "present", at("13:15"), at("14:40"), at("13:15")),
    RememberedObject(5, "unseen", at("08:00"), at("08:30"), at("08:00")),
)


def ask(text: str, known: tuple[RememberedObject, ...] = KNOWN) -> tuple[Answer, list[KeyframeRequest]]:
    asked: list[KeyframeRequest] = []

    def source(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        asked.append(request)
        found = tuple(one for one in known if request.near in (0, one.id))
        if not found:
            raise CCError("no keyframes of that time")
        return KeyframeSet((), objects=found)

    with Reasoner(ReasonerSettings(), environ={}, now=lambda: NOW) as reasoner:
        return reasoner.ask(Question(text), source), asked


@pytest.mark.parametrize(
    ("text", "answer", "marks"),
    [
        ("When did you last see 1?", "at 14:49:30 at (1.00, 2.00, 0.50) m in map", (1,)),
        ("when was mark two last seen", "at 09:10; its place was seen without it at 13:00", (2,)),
        ("When did you first see object 4?", "at 13:15", (4,)),
        ("Is 1 still there?", "yes, it was seen at 14:49:30 at (1.00, 2.00, 0.50) m in map", (1,)),
        ("Is 2 still there?", "no, its place was seen without it at 13:00; it was last seen at 09:10", (2,)),
        ("Has 3 been moved?", "it was moved, seen elsewhere at 12:30 at (0.00, 3.00, 0.50) m in map", (3,)),
        ("Is 5 still there?", "its place has not been seen since; it was last seen at 08:30", (5,)),
        ("What has changed since noon?", "new: 4; gone: 2; moved: 3", (4, 2, 3)),
        ("What has changed in the last hour?", "nothing has changed, as far as it was seen", ()),
        ("What is missing?", "gone: 2", (2,)),
        ("what is new since 13:00?", "new: 4", (4,)),
    ],
)
def test_what_is_remembered_is_told(text: str, answer: str, marks: tuple[int, ...]) -> None:
    found, asked = ask(text)
    assert (found.status, found.text, found.mark_ids, found.source) == (Status.OK, answer, marks, "memory")
    assert len(asked) == 1 and asked[0].reaches_back and asked[0].frames == 1


def test_the_window_of_the_words_is_the_window_of_the_pictures() -> None:
    _, asked = ask("What was on the table this morning?")
    assert asked == []  # no model, so nobody looks at pictures
    _, (request,) = ask("What has changed since 8:30?")
    assert (request.since, request.until) == (at("08:30"), 0.0)


def test_without_a_memory_these_questions_need_a_model_as_before() -> None:
    found, _ = ask("When did you last see 3?", known=())
    assert found.status is Status.NEEDS_MODEL
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        assert reasoner.ask(Question("What has changed?"), []).status is Status.NEEDS_MODEL


@pytest.mark.parametrize("text", ["What is left of 3?", "Is 3 still left of 5?", "When did you last see the cat?", "3"])
def test_other_questions_are_none_for_the_memory(text: str) -> None:
    assert read(text) is None


def test_numbers_may_be_words() -> None:
    assert read("when did you last see the object number seven?") == Recall("last", 7)
    assert read("is one still here?") == Recall("there", 1)


@pytest.mark.parametrize("text", ["Was 3 left of 5 yesterday?", "was 3 left of 5 an hour ago", "Is 3 left of 5?"])
def test_what_was_is_measured_as_what_is(text: str) -> None:
    context = Context(Question(text), ReasonerSettings(), [], None, None, Event(), NOW)
    assert context.measurable and context.asked == questions.read("Is 3 left of 5?")

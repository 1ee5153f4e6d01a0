"""Reading questions: what is understood, and that half-understood questions are left to a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.geometry.queries import (
    Beside,
    Count,
    Distance,
    Extreme,
    GoTo,
    Is,
    Query,
    Side,
    TurnTo,
    View,
    Where,
    marks_in,
)
from cc_ros.reasoning import Kind, Question
from cc_ros.reasoning.kinds import kind_of
from cc_ros.reasoning.measured.questions import named_marks, read


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("is 3 left of 5", Is(3, Beside("left", 5))),
        ("Is mark 3 to the right of mark #5?", Is(3, Beside("right", 5))),
        ("is object 3 left of object 5, please", Is(3, Beside("left", 5))),
        ("Is mark 3 to the left or to the right of mark 5?", Side(3, 5)),
        ("is 3 left or right of 5", Side(3, 5)),
        ("on which side of 5 is 3?", Side(3, 5)),
        ("Is mark 2 to the right of mark 7 from here?", Is(2, Beside("right", 7))),
        ("From my perspective, is 3 left of 5?", Is(3, Beside("left", 5))),
        ("Is mark 3 on my left?", Is(3, Beside("left", None))),
        ("is 2 right of 7 when sitting on mark 4 facing mark 6?", Is(2, Beside("right", 7), View(4, 6))),
        (
            "You are sitting on mark 2, facing mark 5. Is mark 7 to your left or right?",
            Side(7, None, view=View(2, 5)),
        ),
        ("You are sitting on mark 2, facing mark 5: is mark 7 left or right?", Side(7, None, view=View(2, 5))),
        ("If I stand at 4 and face 6, is 7 on my left?", Is(7, Beside("left", None), View(4, 6))),
        ("which is further left, 3 or 5?", Extreme("leftmost", among=(3, 5))),
        ("how many marked objects are there?", Count()),
        ("how many marks", Count()),
        ("which mark is nearest?", Extreme("nearest")),
        ("Which mark is closest to mark 3?", Extreme("nearest", 3)),
        ("which mark is furthest from me", Extreme("farthest")),
        ("Which is nearer to the camera: 3 or 5?", Extreme("nearest", None, (3, 5))),
        ("where is mark 2?", Where(2)),
        ("how far is mark 2 from mark 3?", Distance(2, 3)),
        ("what is the distance between marks 2 and 3?", Distance(2, 3)),
        ("how far away is #3", Distance(3, None)),
        *[
            (text, GoTo(3))
            for text in (
                *(
                    "Go to mark 3",
                    "drive to 3",
                    "Please go to object 3!",
                    "navigate to #3",
                    "approach mark 3",
                    "goto 3",
                ),
                *("Robot, drive over to mark 3, please.", "can you go to 3?", "go back to marker 3", "take me to 3"),
                *("move towards mark 3", "Come to the mark 3", "I want you to go to mark 3", "go up to mark number 3"),
            )
        ],
        *[
            (text, TurnTo(3))
            for text in ("turn to mark 3", "Turn towards 3", "face mark 3", "look at mark 3", "Rotate to face #3")
        ],
    ],
)
def test_questions_about_marks_are_understood(text: str, asked: Query) -> None:
    assert read(text) == asked


@pytest.mark.parametrize(
    "text",
    [
        "how many chairs are there?",
        "how many marked objects are red?",
        "how many marks are on the table?",
        "is 3 left of the sofa?",
        "is the chair 3 left of 5?",
        "is 3 left of 5 and right of 7?",
        "is 3 not left of 5?",
        "is 2.5 left of 3?",
        "which chair is nearest?",
        "where is the third mark?",
        "you are sitting on mark 2: is mark 7 to your left?",
        "how far is 3 m from 4?",
        "what is mark 2?",
        "go to the sofa",
        "go to mark 3 and then to mark 4",
        "do not go to mark 3",
        "go 3",
        "go to 3 metres",
        "turn left to mark 3",
        "drive 3 m to 4",
        "",
    ],
)
def test_what_is_not_wholly_understood_is_left_to_a_model(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    read(text)
    named_marks(text)
    assert kind_of(Question(text)) is not Kind.NAVIGATE


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_ids_are_read_as_written(a: int, b: int) -> None:
    asked = read(f"Is mark {a} to the left of mark {b}?")
    assert asked == Is(a, Beside("left", b))
    assert set(marks_in(asked)) == {a, b}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many chairs are there?", Kind.COUNT),
        ("Is the chair to the left or to the right of the sofa?", Kind.LEFT_RIGHT),
        ("You are sitting on mark 2, facing mark 5: where is the door?", Kind.VIEWPOINT),
        ("Which mark is the chair by the window?", Kind.WHICH_MARK),
        ("What colour is the sofa?", Kind.FREE),
        ("Go to the kitchen and stop.", Kind.FREE),
    ],
)
def test_the_kind_is_worked_out_from_the_words(text: str, kind: Kind) -> None:
    assert kind_of(Question(text)) is kind


def test_choices_make_a_question_a_choice_and_a_given_kind_stays() -> None:
    assert kind_of(Question("How many?", choices=("2", "3"))) is Kind.CHOICE
    assert kind_of(Question("How many?", kind="free")) is Kind.FREE


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("mark 3 and Marks 4, 5 and 6", (3, 4, 5, 6)),
        ("the chair (mark #7) and mark 7", (7,)),
        ("3 chairs, a bookmark 9, 12", ()),
        ("marks 1 or 2", (1, 2)),
    ],
)
def test_marks_named_in_a_text_are_found(text: str, ids: tuple[int, ...]) -> None:
    assert named_marks(text) == ids

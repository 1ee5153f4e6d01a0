"""Reading and checking replies: tolerant of form, strict in content, and never an answer that was not given."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.reasoning import Kind, Move, Status, Style
from cc_ros.reasoning.kinds import KINDS
from cc_ros.reasoning.replies.check import check
from cc_ros.reasoning.replies.reply import (
    Invented,
    NotAReply,
    Reply,
    Unusable,
    fields,
    in_words,
    read_reply,
    response_format,
    text_so_far,
)

CHOICES = ("a chair", "two sofas", "B12")


def checked(text: str, kind: Kind, ids: tuple[int, ...] = (1, 2, 3), style: Style = Style.MARKS) -> Any:
    return check(read_reply(text), kind, style, CHOICES if kind is Kind.CHOICE else (), ids, max_forward=5.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "left", "marks": [1, 2]}',
        '```json\n{"answer": "left", "marks": ["mark 1", "#2"]}\n```',
        'Here it is: {"answer": "left", "marks": [1.0, 2.0]} I hope that helps.',
        '<think>{"answer": "right"}</think>{"answer": "left", "mark_ids": [1, 2]}',
        '{"text": "Left.", "marks": [2, 1, 2], "extra": {"deep": []}}',
        '{broken {"answer": "left", "marks": [1, 2]}',
    ],
)
def test_json_is_found_in_many_forms(text: str) -> None:
    answer = checked(text, Kind.LEFT_RIGHT)
    assert (answer.text, set(answer.mark_ids)) == ("left", {1, 2})


def test_plain_words_are_an_answer() -> None:
    answer = checked("The chair (mark 2) is red.", Kind.FREE)
    assert (answer.text, answer.mark_ids) == ("The chair (mark 2) is red.", (2,))


@pytest.mark.parametrize(
    "text", ["", "  \n", '{"answer": "ab', "[1, 2]", '{"marks": "many"}', '{"answer": {}}', "[" * 9999]
)
def test_what_cannot_be_read_is_no_reply(text: str) -> None:
    with pytest.raises(NotAReply):
        read_reply(text)


@pytest.mark.parametrize(
    ("said", "confidence"),
    [(0.7, 0.7), ("85%", 0.85), (85, 0.85), ("high", 0), (None, 0), (-1, 0), (math.nan, 0), (1e9, 0)],
)
def test_confidence_is_between_0_and_1(said: object, confidence: float) -> None:
    reply = read_reply(json.dumps({"answer": "x", "confidence": said})).replies[0]
    assert reply.confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("said", "index"),
    [
        *[
            ("B", 1),
            ("b.", 1),
            ("(C)", 2),
            ("A. a chair", 0),
            ("The answer is B.", 1),
            ("a chair", 0),
            ("Two sofas.", 1),
        ],
        *[("I think two sofas are there", 1), ("B12", 2), ("Answer: C", 2)],
    ],
)
def test_a_choice_is_read_by_letter_or_text(said: str, index: int) -> None:
    answer = checked(json.dumps({"choice": said}), Kind.CHOICE)
    assert (answer.choice, answer.text) == (index, f"{'ABC'[index]}. {CHOICES[index]}")
    assert checked(said, Kind.CHOICE).choice == index


@pytest.mark.parametrize("said", ["D", "both", "Because", "a chair or two sofas", "A table", "not two sofas"])
def test_what_is_none_of_the_choices_is_refused(said: str) -> None:
    with pytest.raises(Unusable, match="none of A, B, C"):
        checked(said, Kind.CHOICE)


@pytest.mark.parametrize(
    ("said", "number"),
    [("4", "4"), ("There are four chairs", "4"), ("marks 1, 2 and 3 are chairs: 3 chairs", "3"), ("None", "0")],
)
def test_a_count_is_one_number(said: str, number: str) -> None:
    assert checked(said, Kind.COUNT).text == number


@pytest.mark.parametrize("said", ["two or three", "4.5", "many", "3 or 4", "-3"])
def test_a_count_of_no_one_number_is_refused(said: str) -> None:
    with pytest.raises(Unusable):
        checked(said, Kind.COUNT)


@pytest.mark.parametrize("said", ["left or right", "both", "in front", "it is not left", "it isn't on the right"])
def test_a_side_is_left_or_right(said: str) -> None:
    with pytest.raises(Unusable):
        checked(said, Kind.LEFT_RIGHT)


@pytest.mark.parametrize("kind", [Kind.LEFT_RIGHT, Kind.COUNT, Kind.WHICH_MARK])
def test_a_model_may_say_that_it_cannot_tell(kind: Kind) -> None:
    answer = checked('{"answer": "unknown", "reason": "too dark"}', kind)
    assert answer.status is Status.CANNOT_TELL
    assert "too dark" in answer.message and not answer.text


@pytest.mark.parametrize(
    "text", ['{"answer": "mark 2"}', '{"answer": "2"}', '{"answer": "the chair", "marks": [2]}', "mark 2"]
)
def test_which_mark_is_one_mark(text: str) -> None:
    assert checked(text, Kind.WHICH_MARK).mark_ids == (2,)


@pytest.mark.parametrize(
    "text", ["not mark 2", '{"answer": "the chair"}', '{"answer": "marks 1 and 2"}', '{"answer": "x", "marks": [1, 2]}']
)
def test_which_mark_is_refused_with_none_or_several(text: str) -> None:
    with pytest.raises(Unusable):
        checked(text, Kind.WHICH_MARK)


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "left", "marks": [9]}',
        '{"answer": "left", "reason": "since mark 9 is there"}',
        '{"answer": "left of marks 1 and 9"}',
    ],
)
def test_an_invented_mark_is_refused(text: str) -> None:
    with pytest.raises(Invented) as refused:
        checked(text, Kind.LEFT_RIGHT)
    assert refused.value.ids == (9,)
    with pytest.raises(Invented):
        checked('{"answer": "9"}', Kind.WHICH_MARK)


def test_raw_pictures_have_no_marks_to_name() -> None:
    assert checked('{"answer": "left", "marks": [9]}', Kind.FREE, style=Style.RAW).mark_ids == ()


@pytest.mark.parametrize(
    ("text", "move", "value"),
    [
        ('{"action": "FORWARD", "value": 0.5}', Move.FORWARD, 0.5),
        ('{"action": {"kind": "TURN_LEFT", "value": 30}}', Move.TURN_LEFT, 30),
        ("TURN-RIGHT(45)", Move.TURN_RIGHT, 45),
        ("turn left 90 degrees.", Move.TURN_LEFT, 90),
        ("I see the door on my left, so: TURN_LEFT(90)", Move.TURN_LEFT, 90),
        ("Stop.", Move.STOP, 0),
        ("FORWARD(1.5 m)", Move.FORWARD, 1.5),
        ('{"action": "STOP", "value": 0}', Move.STOP, 0),
    ],
)
def test_a_move_is_read(text: str, move: Move, value: float) -> None:
    answer = checked(text, Kind.NAVIGATE)
    assert answer.action is not None
    assert (answer.action.move, answer.action.value) == (move, value)


@pytest.mark.parametrize(
    "text",
    [
        '{"action": "FORWARD", "value": 50}',
        '{"action": "FORWARD", "value": -1}',
        '{"action": "TURN_LEFT", "value": 181}',
        '{"action": "FORWARD"}',
        '{"action": "FLY", "value": 1}',
        '{"action": "FORWARD", "value": 1e400}',
        "FORWARD(1) then TURN_LEFT(30)",
        "I would go forward 1 metre",
        "I cannot go FORWARD(1)",
        "do not stop",
        "Stop at the door",
        "nothing",
    ],
)
def test_a_move_out_of_range_or_more_than_one_is_refused(text: str) -> None:
    with pytest.raises((Unusable, NotAReply)):
        checked(text, Kind.NAVIGATE)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.NAVIGATE])
def test_only_navigation_brings_a_move(kind: Kind) -> None:
    text = '{"answer": "left 1", "choice": "A", "marks": [1], "action": "FORWARD", "value": 1}'
    assert checked(text, kind).action is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(Reply.model_fields)), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.text(max_size=300) | JSON.map(json.dumps), st.sampled_from(list(Kind)), st.sampled_from(list(Style)))
def test_whatever_a_model_says_is_an_answer_with_real_marks_or_refused(text: str, kind: Kind, style: Style) -> None:
    text_so_far(text)
    try:
        answer = checked(text, kind, style=style)
    except (NotAReply, Unusable, Invented):
        return
    assert set(answer.mark_ids) <= {1, 2, 3}
    assert 0 <= answer.confidence <= 1
    assert (answer.choice >= 0) == (kind is Kind.CHOICE)
    assert (answer.action is not None) == (kind is Kind.NAVIGATE)
    assert answer.status is Status.CANNOT_TELL or answer.text


@given(st.integers(0, 80))
def test_an_unfinished_reply_is_shown_without_its_json(cut: int) -> None:
    whole = '{"reason": "it \\"stands\\" there", "answer": "left", "marks": [1], "confidence": 0.5}'
    shown = text_so_far(whole[:cut])
    assert 'it "stands" there\nleft'.startswith(shown)
    assert text_so_far(whole) == 'it "stands" there\nleft'


def test_plain_words_are_shown_as_they_come() -> None:
    assert text_so_far("The chair is") == "The chair is"
    assert text_so_far("<think>hm") == ""


def test_the_schema_allows_only_marks_that_exist_and_is_strict() -> None:
    parts = fields(KINDS[Kind.CHOICE].fields(CHOICES), Style.MARKS, (1, 4))
    shape = response_format("json_schema", parts)
    assert shape is not None
    schema = shape["json_schema"]["schema"]
    assert schema["properties"]["marks"]["items"]["enum"] == [1, 4]
    assert schema["properties"]["choice"]["enum"] == ["A", "B", "C"]
    assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False
    assert response_format("told", parts) is None
    assert all(f'"{name}"' in in_words(parts) for name in parts)


def test_thinking_comes_before_the_answer() -> None:
    assert next(iter(fields(KINDS[Kind.FREE].fields(()), Style.MARKS_COT, (1,)))) == "reason"
    assert "marks" not in fields(KINDS[Kind.FREE].fields(()), Style.RAW, ())

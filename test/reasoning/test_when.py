"""Times in plain words mean what people mean by them, and words that are no times mean nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.reasoning.when import instant, span_in, told

NOW = "2026-11-26 14:50"  # a Thursday


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


@pytest.mark.parametrize(
    ("text", "since", "until", "rest"),
    [
        ("What was on the table yesterday?", "2026-11-25", "2026-11-26", "What was on the table?"),
        ("In the last ten minutes, what did you see?", "2026-11-26 14:40", "", "what did you see?"),
        ("Was 3 left of 5 yesterday evening?", "2026-11-25 18:00", "2026-11-25 23:00", "Was 3 left of 5?"),
        ("Who was here before lunch?", "2026-11-26", "2026-11-26 12:00", "Who was here?"),
        ("What has changed since this morning?", "2026-11-26 05:00", "", "What has changed?"),
        ("what is new since 8:30?", "2026-11-26 08:30", "", "what is new?"),
        ("after 9 pm what was there", "2026-11-25 21:00", "", "what was there"),
        ("Was the door open an hour ago?", "2026-11-26 13:20", "2026-11-26 14:20", "Was the door open?"),
        ("what came between 9am and 11 am", "2026-11-26 09:00", "2026-11-26 11:00", "what came"),
        ("what happened last night?", "2026-11-25 21:00", "2026-11-26 06:00", "what happened?"),
        ("what did you see on Monday", "2026-11-23", "2026-11-24", "what did you see"),
        ("what did you see on 2026-10-25?", "2026-10-25", "2026-10-26", "what did you see?"),  # of 25 hours
        ("what was here at 12:30", "2026-11-26 12:15", "2026-11-26 12:45", "what was here"),
        ("How many chairs in the past hour?", "2026-11-26 13:50", "", "How many chairs?"),
    ],
)
def test_a_question_names_a_time(text: str, since: str, until: str, rest: str) -> None:
    span = span_in(text, seconds(NOW))
    assert span is not None
    assert (span.since, span.until, span.rest) == (seconds(since), seconds(until), rest)


@pytest.mark.parametrize("text", ["Where did I leave the red box?", "Did you ever see a cat?"])
def test_some_questions_ask_about_all_that_was_seen(text: str) -> None:
    span = span_in(text, seconds(NOW))
    assert span is not None and (span.since, span.until) == (1.0, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        *("is the chair on my right", "what is on the night stand", "is my bag at work", "Where is the lunch box?"),
        *("before 5", "what is at 3", "go to 12", "turn left before the sofa", "is 3 left of 5 at the moment"),
        *("the door left of the sofa I just passed", "in the last picture", "is there a seat for five minutes"),
        "what was here since today and until yesterday",
    ],
)
def test_other_words_name_none(text: str) -> None:
    assert span_in(text, seconds(NOW)) is None


@given(st.text(max_size=80), st.floats(1e9, 2e9))
def test_no_text_is_too_odd(text: str, now: float) -> None:
    span = span_in(text, now)
    assert span is None or not span.until or span.since <= span.until


def test_an_option_takes_an_instant_and_says_what_it_takes_otherwise() -> None:
    now = seconds(NOW)
    assert instant("yesterday", now) == (seconds("2026-11-25"), seconds("2026-11-26"))
    assert instant("2026-11-25 14:30", now) == (seconds("2026-11-25 14:30"),) * 2
    assert instant("1764165000", now) == (1764165000.0,) * 2
    for text in ("sometime", "2026-13-45", "25:99", ""):
        with pytest.raises(ValueError, match="is no time; write"):
            instant(text, now)


def test_instants_are_told_as_people_tell_them() -> None:
    now = seconds(NOW)
    assert told(seconds("2026-11-26 09:05"), now) == "at 09:05"
    assert told(seconds("2026-11-25 23:59"), now) == "yesterday at 23:59"
    assert told(seconds("2026-11-23 08:00"), now) == "on Monday 23 November 2026 at 08:00"

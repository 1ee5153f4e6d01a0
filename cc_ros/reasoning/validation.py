"""Whether a request makes sense, before anything is spent on it."""

from __future__ import annotations

import math

from cc_ros.reasoning.types import Kind, Question, Style

MAX_QUESTION = 4000
MAX_CHOICES = 26
MAX_FRAMES = 64
MAX_TIMEOUT = 3600.0


def problem(question: Question, style: str) -> str:
    """Return what is wrong with a request, "" where nothing is.

    :param style: the style that applies.
    """
    checks = (
        (not question.text.strip(), "the question is empty"),
        (len(question.text) > MAX_QUESTION, f"the question is longer than {MAX_QUESTION} characters"),
        (
            question.kind not in ("", *(kind.value for kind in Kind)),
            f"there is no kind {question.kind[:40]!r}; it is empty or one of {', '.join(kind.value for kind in Kind)}",
        ),
        (
            style not in {known.value for known in Style},
            f"there is no style {style[:40]!r}; it is one of {', '.join(known.value for known in Style)}",
        ),
        (question.frames < 0 or question.marks < 0, "frames and marks cannot be negative"),
        (question.frames > MAX_FRAMES, f"frames can be at most {MAX_FRAMES}, got {question.frames}"),
        (not 0 <= question.last_seconds < math.inf, f"last_seconds must be 0 or more, got {question.last_seconds}"),
        (not 0 <= question.timeout <= MAX_TIMEOUT, f"timeout must be 0 to {MAX_TIMEOUT:g} s, got {question.timeout}"),
        (
            question.kind == Kind.WHICH_MARK and style == Style.RAW,
            "raw pictures carry no marks, so none can be the answer; take another style",
        ),
    )
    return next((text for wrong, text in checks if wrong), "") or _problem_with_choices(question)


def _problem_with_choices(question: Question) -> str:
    choices = [choice.strip() for choice in question.choices]
    if question.kind == Kind.CHOICE and len(choices) < 2:
        return f"a choice needs at least two choices, got {len(choices)}"
    if choices and question.kind not in ("", Kind.CHOICE):
        return f"choices go with kind 'choice', not {question.kind!r}"
    if len(choices) == 1 or len(choices) > MAX_CHOICES:
        return f"there can be 2 to {MAX_CHOICES} choices, got {len(choices)}"
    if not all(choices) or len({choice.lower() for choice in choices}) < len(choices):
        return "the choices must be different, and none of them empty"
    return ""

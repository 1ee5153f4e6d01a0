"""Whether a request makes sense, before anything is spent on it."""

from __future__ import annotations

import dataclasses

from cc_ros.errors import SettingsError
from cc_ros.reasoning.kinds import KINDS, Form
from cc_ros.reasoning.types import Kind, Question, Style

MAX_QUESTION = 4000
MAX_CHOICES = 26
MAX_TIMEOUT = 3600.0


def problem(question: Question, style: str) -> str:
    """Return what is wrong with a request, "" where nothing is.

    :param style: the style that applies.
    """
    checks = (
        (not question.text.strip(), "the question is empty"),
        (len(question.text) > MAX_QUESTION, f"the question is longer than {MAX_QUESTION} characters"),
        (len(question.note) > MAX_QUESTION, f"the note is longer than {MAX_QUESTION} characters"),
        (
            question.kind not in ("", *Kind),
            f"there is no kind {question.kind[:40]!r}; it is empty or one of {_listed(Kind)}",
        ),
        (style not in list(Style), f"there is no style {style[:40]!r}; it is one of {_listed(Style)}"),
        (not 0 <= question.timeout <= MAX_TIMEOUT, f"timeout must be 0 to {MAX_TIMEOUT:g} s, got {question.timeout}"),
    )
    wrong = next((text for wrong, text in checks if wrong), "")
    if wrong:
        return wrong
    form = KINDS[Kind(question.kind)].form if question.kind else None
    return _problem_with_keyframes(question, Style(style), form) or _problem_with_choices(question, form)


def _problem_with_keyframes(question: Question, style: Style, form: Form | None) -> str:
    if form is Form.MARK and style is Style.RAW:
        return "raw pictures carry no marks, so none can be the answer; take another style"
    try:
        dataclasses.replace(question, style=style.of_pictures).check()
    except SettingsError as error:
        return str(error)
    return ""


def _listed(names: type[Kind] | type[Style]) -> str:
    return ", ".join(name.value for name in names)


def _problem_with_choices(question: Question, form: Form | None) -> str:
    choices = [choice.strip() for choice in question.choices]
    if form is Form.CHOICE and len(choices) < 2:
        return f"a choice needs at least two choices, got {len(choices)}"
    if choices and form not in (None, Form.CHOICE):
        return f"choices go with kind 'choice', not {question.kind!r}"
    if len(choices) == 1 or len(choices) > MAX_CHOICES:
        return f"there can be 2 to {MAX_CHOICES} choices, got {len(choices)}"
    if not all(choices) or len({choice.lower() for choice in choices}) < len(choices):
        return "the choices must be different, and none of them empty"
    return ""

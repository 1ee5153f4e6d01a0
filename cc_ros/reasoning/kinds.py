"""The kinds of questions: one entry each, with all that differs from kind to kind.

A new kind is a member of :class:`~cc_ros.reasoning.types.Kind`, an entry here, and its prompt file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args

from cc_ros.geometry.queries import (
    Bearing,
    Count,
    Distance,
    Extreme,
    GoTo,
    Is,
    Order,
    Query,
    Side,
    TurnTo,
    Where,
    Which,
)
from cc_ros.reasoning.measured import questions
from cc_ros.reasoning.replies import rules
from cc_ros.reasoning.types import Answer, Kind, Move, Question

_SEEN: frozenset[type] = frozenset({Is, Side, Which, Count, Extreme, Order, Distance, Bearing, Where})
"""Queries that an observer may have."""
_MOTIONS: frozenset[type] = frozenset({GoTo, TurnTo})

Fields = dict[str, dict[str, Any]]
"""The fields of a reply in the order wanted: name -> JSON schema."""


class Form(Enum):
    """What an answer is, beside its text."""

    TEXT = "nothing more"
    CHOICE = "one of the question's choices"
    MARK = "exactly one mark"
    MOVE = "a robot's next move: asked turn by turn about the newest picture, and refused at the least doubt"


@dataclass(frozen=True, slots=True)
class KindSpec:
    """What there is to know about one kind of question. Nothing has a default, so that no kind forgets anything.

    :param pattern: recognises it in a question in lower case; None = it has to be asked for.
    :param prompt: name of its prompt file.
    :param fields: the question's choices -> the fields of a reply that are this kind's own.
    :param check: returns the answer that a claim gives.
    :raises Unusable: (``check``) it gives none; Invented: it names marks that no picture shows.
    :param form: what an answer is.
    :param may_end_early: whether a reply that was cut off may still tell something. Half of one that should have been
        a word is rambling.
    :param measured: the questions about marks that may be answered from measurements.
    """

    pattern: re.Pattern[str] | None
    prompt: str
    fields: Callable[[Sequence[str]], Fields]
    check: Callable[[rules.Claim], Answer]
    form: Form
    may_end_early: bool
    measured: frozenset[type]


def _text(description: str, *allowed: str) -> Callable[[Sequence[str]], Fields]:
    """Return the fields of kinds whose answer is a text."""
    schema: dict[str, Any] = {"type": "string", "description": description}
    return lambda choices: {"answer": {**schema, "enum": list(allowed)} if allowed else schema}


def _letter(choices: Sequence[str]) -> Fields:
    letters = [chr(ord("A") + i) for i in range(len(choices))]
    return {"choice": {"type": "string", "enum": letters, "description": "the letter of the answer"}}


def _move(choices: Sequence[str]) -> Fields:
    return {
        "action": {"type": "string", "enum": [move.value for move in Move], "description": "the next move"},
        "value": {"type": "number", "description": "metres or degrees; 0 for STOP"},
    }


KINDS: Mapping[Kind, KindSpec] = {  # recognised in this order
    Kind.NAVIGATE: KindSpec(
        pattern=None,
        prompt="navigate_start",
        fields=_move,
        check=rules.move,
        form=Form.MOVE,
        may_end_early=False,
        measured=frozenset(),
    ),
    Kind.CHOICE: KindSpec(
        pattern=None,  # told by its choices
        prompt="kind_choice",
        fields=_letter,
        check=rules.choice,
        form=Form.CHOICE,
        may_end_early=False,
        measured=frozenset(get_args(Query)) - _MOTIONS,
    ),
    Kind.COUNT: KindSpec(
        pattern=re.compile(r"\bhow many\b|\bnumber of\b|^count\b"),
        prompt="kind_count",
        fields=_text("the number in digits"),
        check=rules.count,
        form=Form.TEXT,
        may_end_early=False,
        measured=frozenset({Count}),
    ),
    Kind.VIEWPOINT: KindSpec(
        pattern=re.compile(
            r"\b(?:you are|you're|i am|i'm|if i|if you|when|imagine)\b.*\b(?:sit|sitting|stand|standing|face|facing)\b"
            r"|\bwith (?:my|your) back to\b"
        ),
        prompt="kind_viewpoint",
        fields=_text("the answer"),
        check=rules.text,
        form=Form.TEXT,
        may_end_early=True,
        measured=_SEEN,
    ),
    Kind.WHICH_MARK: KindSpec(
        pattern=re.compile(r"\b(?:which|what) (?:mark|marked object|number)\b"),
        prompt="kind_which_mark",
        fields=_text("the answer"),
        check=rules.which_mark,
        form=Form.MARK,
        may_end_early=False,
        measured=frozenset({Which, Extreme, Where}) | _MOTIONS,
    ),
    Kind.LEFT_RIGHT: KindSpec(
        pattern=re.compile(r"\bleft or\b.*\bright\b|\bright or\b.*\bleft\b|\b(?:which|what) side\b"),
        prompt="kind_left_right",
        fields=_text("the side", "left", "right", "unknown"),
        check=rules.side,
        form=Form.TEXT,
        may_end_early=False,
        measured=frozenset({Side, Is, Extreme}),
    ),
    Kind.FREE: KindSpec(
        pattern=re.compile(""),  # whatever is none of the others
        prompt="kind_free",
        fields=_text("the answer"),
        check=rules.text,
        form=Form.TEXT,
        may_end_early=True,
        measured=frozenset(get_args(Query)),
    ),
}


def kind_of(question: Question) -> Kind:
    """Return the question's kind, worked out from choices and words where it is not given.

    One about marks that is understood is of a kind that measurements may answer: "how many metres is it to 3" counts
    nothing.

    :raises ValueError: the given kind is none.
    """
    if question.kind:
        return Kind(question.kind)
    if question.choices:
        return Kind.CHOICE
    text = question.text.lower()
    kind = next(kind for kind, spec in KINDS.items() if spec.pattern is not None and spec.pattern.search(text))
    asked = questions.read(question.text)
    return kind if asked is None or type(asked) in KINDS[kind].measured else Kind.FREE

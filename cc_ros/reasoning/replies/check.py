"""From what a model says to an answer that keeps the rules of its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from cc_ros.reasoning.kinds import KINDS, Form
from cc_ros.reasoning.measured.questions import named_marks
from cc_ros.reasoning.replies.reply import Invented, Reply, Said, Unusable
from cc_ros.reasoning.replies.rules import Claim, refuse_invented
from cc_ros.reasoning.types import Answer, Kind, Style


def check(
    said: Said, kind: Kind, style: Style, choices: Sequence[str], ids: Collection[int], max_forward: float
) -> Answer:
    """Return the answer that a model's text gives: OK, or CANNOT_TELL where the model says so.

    Where it holds several, the last one that can be used is meant, and the others have to agree; for a move all of it
    has to.

    :param ids: the marks in the pictures.
    :param max_forward: longest move in metres.
    :raises Invented: it names marks that are not among ``ids``.
    :raises Unusable: it does not answer this kind of question, or answers it twice and differently.
    """
    spec = KINDS[kind]
    answers: list[Answer] = []
    problem: Unusable | Invented | None = None
    for reply in said.replies:
        try:
            marks = () if style is Style.RAW else _marks(reply, ids)
            answer = spec.check(Claim(said, reply, marks, ids, choices, max_forward))
            if answer.ok:
                answer = dataclasses.replace(
                    answer, confidence=reply.confidence, source="model", reason=reply.reason, kind=kind.value
                )
            answers.append(answer)
            problem = None
        except (Unusable, Invented) as error:
            if spec.form is Form.MOVE:
                raise
            problem = error
    if problem is not None and (not answers or isinstance(problem, Invented)):
        raise problem
    if len({(a.status, a.text.casefold().strip(" ."), a.choice, a.action) for a in answers}) > 1:
        raise Unusable("it gives different answers and does not say which is final; give one")
    return answers[-1]


def _marks(reply: Reply, ids: Collection[int]) -> tuple[int, ...]:
    answered = (*reply.marks, *named_marks(reply.answer))
    refuse_invented(dict.fromkeys((*answered, *named_marks(reply.reason))), ids)
    return tuple(dict.fromkeys(answered))

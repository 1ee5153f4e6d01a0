"""The rules of each kind of question: a reply that breaks them is no answer.

Each rule raises Unusable where a claim breaks it, and Invented where it names a mark that no picture shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cc_ros.reasoning.measured.questions import lettered, named_marks
from cc_ros.reasoning.measured.reading import UP_TO_TWENTY
from cc_ros.reasoning.replies.moves import read_move
from cc_ros.reasoning.replies.reply import Invented, Reply, Said, Unusable
from cc_ros.reasoning.types import Answer, Status

_NUMBERS = UP_TO_TWENTY | {"none": 0}
_UNKNOWN = re.compile(
    r"\b(?:unknown|unclear|cannot (?:tell|determine)|can't (?:tell|determine)|not (?:visible|sure))\b"
)
_NEITHER = ("none", "neither")
_NOT = re.compile(r"\b(?:not|never|neither|nor|cannot|without)\b|n't\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Claim:
    """One of the answers that a model's text may hold, and what it is held against.

    :param said: all of the text.
    :param reply: this answer.
    :param marks: that it names, all of them in the pictures.
    :param ids: the marks in the pictures.
    :param choices: of the question.
    :param max_forward: longest move in metres.
    """

    said: Said
    reply: Reply
    marks: tuple[int, ...]
    ids: Collection[int]
    choices: Sequence[str]
    max_forward: float


def text(claim: Claim) -> Answer:
    """Return any text as it is."""
    return Answer(Status.OK, text=_words(claim), mark_ids=claim.marks)


def side(claim: Claim) -> Answer:
    """Return left or right."""
    words = _words(claim)
    if _says_unknown(words, *_NEITHER):
        return _unknown(claim)
    sides = set(re.findall(r"\b(left|right)\b", words.lower()))
    if len(sides) != 1 or _NOT.search(words):
        raise Unusable("the answer must be left or right")
    return Answer(Status.OK, text=sides.pop(), mark_ids=claim.marks)


def count(claim: Claim) -> Answer:
    """Return a number in digits."""
    said = _words(claim)
    if _says_unknown(said):
        return _unknown(claim)
    words = re.sub(r"\bmarks?\s*#?\d+(?:\s*(?:,|and)\s*#?\d+)*", " ", said.lower())
    numbers = {int(digits) for digits in re.findall(r"(?<![\d.-])\d{1,6}(?![\d.]*\d)", words)}
    numbers |= {_NUMBERS[word] for word in re.findall(r"[a-z]+", words) if word in _NUMBERS and not numbers}
    if len(numbers) != 1:
        raise Unusable("the answer must be one number")
    return Answer(Status.OK, text=str(numbers.pop()), mark_ids=claim.marks)


def which_mark(claim: Claim) -> Answer:
    """Return the one mark that is meant."""
    words = _words(claim)
    if _says_unknown(words, *_NEITHER):
        return _unknown(claim)
    bare = re.fullmatch(r"\s*#?(\d{1,5})\s*\.?\s*", words)
    named = named_marks(words) or ((int(bare[1]),) if bare else ())
    refuse_invented(named, claim.ids)
    meant = named or claim.marks
    if len(meant) != 1 or _NOT.search(words):
        raise Unusable("the answer must be exactly one mark")
    return Answer(Status.OK, text=f"mark {meant[0]}", mark_ids=meant)


def choice(claim: Claim) -> Answer:
    """Return the one choice that is meant: by its letter, with or without its text, or by its text alone."""
    said = (claim.reply.choice or claim.reply.answer).strip()
    index = _index(said, claim.choices)
    return Answer(Status.OK, text=lettered(claim.choices)[index], choice=index, mark_ids=claim.marks)


def move(claim: Claim) -> Answer:
    """Return the move of a robot."""
    action = read_move(claim.said, claim.reply, claim.max_forward)
    return Answer(Status.OK, text=str(action), action=action, mark_ids=claim.marks)


def refuse_invented(named: Iterable[int], ids: Collection[int]) -> None:
    """Refuse marks that are not among ``ids``.

    :raises Invented: there are such.
    """
    invented = [id for id in named if id not in ids]
    if invented:
        raise Invented(invented)


def _words(claim: Claim) -> str:
    if not claim.reply.answer:
        raise Unusable("it holds no answer")
    return claim.reply.answer


def _says_unknown(words: str, *others: str) -> bool:
    return bool(_UNKNOWN.search(words.lower())) or words.lower().strip(" .") in others


def _unknown(claim: Claim) -> Answer:
    return Answer(Status.CANNOT_TELL, f"the model cannot tell: {claim.reply.reason or claim.reply.answer}")


def _index(said: str, choices: Sequence[str]) -> int:
    letters = "".join(chr(ord("A") + i) for i in range(len(choices)))
    by_text = [i for i, choice in enumerate(choices) if said.lower().strip(" .") == choice.lower().strip(" .")]
    if len(by_text) == 1:
        return by_text[0]
    letter = re.match(
        rf"(?:(?:the )?(?:answer|choice|option)(?: is)?[:\s]*)?\(?([{letters}])(?:[.):,]|$)", said, re.IGNORECASE
    )
    if letter:
        return letters.index(letter[1].upper())
    within = [i for i, choice in enumerate(choices) if re.search(rf"\b{re.escape(choice)}(?!\w)", said, re.IGNORECASE)]
    if len(within) == 1 and not _NOT.search(said):
        return within[0]
    raise Unusable(f"it chooses none of {', '.join(letters)}")

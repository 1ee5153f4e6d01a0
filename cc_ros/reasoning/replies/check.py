"""From a reply to an answer: each kind of question has its rules, and a reply that breaks them is no answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from cc_ros.reasoning.measured.questions import lettered, named_marks
from cc_ros.reasoning.replies.moves import read_move
from cc_ros.reasoning.replies.problems import Invented, Unusable
from cc_ros.reasoning.replies.reply import Reply, Said
from cc_ros.reasoning.types import Answer, Kind, Status, Style

_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBERS = {word: value for value, word in enumerate(_NUMBER_WORDS)} | {"none": 0}
_UNKNOWN = re.compile(
    r"\b(?:unknown|unclear|cannot (?:tell|determine)|can't (?:tell|determine)|not (?:visible|sure))\b"
)
_NOT = re.compile(r"\b(?:not|never|neither|nor|cannot|without)\b|n't\b", re.IGNORECASE)


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
    answers: list[Answer] = []
    problem: Unusable | Invented | None = None
    for reply in said.replies:
        try:
            answers.append(_check_one(said, reply, kind, style, choices, ids, max_forward))
            problem = None
        except (Unusable, Invented) as error:
            if kind is Kind.NAVIGATE:
                raise
            problem = error
    if problem is not None and (not answers or isinstance(problem, Invented)):
        raise problem
    if len({(a.status, a.text.casefold().strip(" ."), a.choice, a.action) for a in answers}) > 1:
        raise Unusable("it gives different answers and does not say which is final; give one")
    return answers[-1]


def _check_one(
    said: Said,
    reply: Reply,
    kind: Kind,
    style: Style,
    choices: Sequence[str],
    ids: Collection[int],
    max_forward: float,
) -> Answer:
    marks = _marks(reply, style, ids)
    action, choice, text = None, -1, reply.answer
    if kind is Kind.NAVIGATE:
        action = read_move(said, reply, max_forward)
        text = str(action)
    elif kind is Kind.CHOICE:
        choice = _choice(reply, choices)
        text = lettered(choices)[choice]
    elif not text:
        raise Unusable("it holds no answer")
    elif _says_unknown(text, kind):
        return Answer(Status.CANNOT_TELL, f"the model cannot tell: {reply.reason or text}", kind=kind.value)
    elif kind is Kind.LEFT_RIGHT:
        text = _side(text)
    elif kind is Kind.COUNT:
        text = str(_count(text))
    elif kind is Kind.WHICH_MARK:
        marks = _which(text, marks, ids)
        text = f"mark {marks[0]}"
    return Answer(
        Status.OK,
        text=text,
        choice=choice,
        mark_ids=marks,
        confidence=reply.confidence,
        source="model",
        reason=reply.reason,
        action=action,
        kind=kind.value,
    )


def _says_unknown(text: str, kind: Kind) -> bool:
    if kind is Kind.COUNT:
        return bool(_UNKNOWN.search(text.lower()))
    closed = kind in (Kind.LEFT_RIGHT, Kind.WHICH_MARK)
    return closed and bool(_UNKNOWN.search(text.lower()) or text.lower().strip(" .") in ("none", "neither"))


def _marks(reply: Reply, style: Style, ids: Collection[int]) -> tuple[int, ...]:
    if style is Style.RAW:
        return ()
    named = tuple(dict.fromkeys([*reply.marks, *named_marks(reply.answer), *named_marks(reply.reason)]))
    invented = [id for id in named if id not in ids]
    if invented:
        raise Invented(invented)
    return tuple(dict.fromkeys([*reply.marks, *named_marks(reply.answer)]))


def _choice(reply: Reply, choices: Sequence[str]) -> int:
    """Find the one choice meant: by its letter, with or without its text, or by its text alone."""
    said = (reply.choice or reply.answer).strip()
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


def _side(text: str) -> str:
    sides = set(re.findall(r"\b(left|right)\b", text.lower()))
    if len(sides) != 1 or _NOT.search(text):
        raise Unusable("the answer must be left or right")
    return str(sides.pop())


def _count(text: str) -> int:
    words = re.sub(r"\bmarks?\s*#?\d+(?:\s*(?:,|and)\s*#?\d+)*", " ", text.lower())
    numbers = {int(digits) for digits in re.findall(r"(?<![\d.-])\d{1,6}(?![\d.]*\d)", words)}
    numbers |= {_NUMBERS[word] for word in re.findall(r"[a-z]+", words) if word in _NUMBERS and not numbers}
    if len(numbers) != 1:
        raise Unusable("the answer must be one number")
    return numbers.pop()


def _which(text: str, marks: tuple[int, ...], ids: Collection[int]) -> tuple[int, ...]:
    bare = re.fullmatch(r"\s*#?(\d{1,5})\s*\.?\s*", text)
    named = named_marks(text) or ((int(bare[1]),) if bare else ())
    invented = [id for id in named if id not in ids]
    if invented:
        raise Invented(invented)
    meant = named or marks
    if len(meant) != 1 or _NOT.search(text):
        raise Unusable("the answer must be exactly one mark")
    return meant

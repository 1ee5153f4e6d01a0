"""Reading questions: which marks one names, and whether it is one that geometry can answer.

Only whole sentences that are understood to the last word count as understood; half of a question answered is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_NAMED = re.compile(r"\bmark(?:er)?s?\s*(?:number\s*|no\.\s*)?#?(\d+(?:\s*(?:,|and|or|&)\s*#?\d+\b)*)", re.IGNORECASE)
_MARK = re.compile(
    r"(?:\b(?:the\s+)?(?:mark(?:er)?|object|item|thing|id)s?\s*)?(?:\b(?:number|no\.)\s*)?[#(]?\b(\d+)\b\)?"
)

YOU_ARE = r"(?:you are|you're|i am|i'm)"
_VIEW = re.compile(
    r"(?:\b(?:if|when|imagine|suppose|assume|assuming)(?: that)?\s+)?"
    rf"(?:\b(?:{YOU_ARE}|you|i|someone|somebody)\s+)?(?:\bwere\s+|\bis\s+)?"
    r"\b(?:sit|sits|sitting|stand|stands|standing|am|are)\s+(?:on|at|in|by|near)\s+<(?P<at>\d+)>\s*,?\s*(?:and\s+)?"
    rf"(?:{YOU_ARE}\s+)?(?:fac(?:e|es|ing)|look(?:s|ing)? at|looking towards?)\s+<(?P<facing>\d+)>\s*[,.:;]?\s*"
)
_OWN_PLACE = r"(?:my|your|the robot's|the camera's) (?:position|place|perspective|view|viewpoint|point of view)"
_FROM_HERE = re.compile(
    rf"\s*,?\s*\b(?:(?:as )?seen )?from (?:here|{_OWN_PLACE}|where (?:i|you) (?:am|are|stand)|the robot|the camera)\b"
    r"\s*,?\s*"
)
_POLITE = re.compile(
    r"^(?:(?:please|now|ok|okay|hey|robot|(?:(?:can|could|would|will) you|i want you to)(?: please)?(?: tell me)?"
    r"|tell me)\b[,:]?\s*)+|\s*,?\s*\b(?:please|now)$"
)

_A, _B = r"<(?P<a>\d+)>", r"<(?P<b>\d+)>"
_ROBOT = r"(?:me|you|here|us|the robot|the camera)"
_TO = r"(?:(?:located |placed |standing )?(?:to|on|at) the )?"
_EITHER = r"(?P<either>left or (?:to the |on the |the )?right|right or (?:to the |on the |the )?left)"
_ONE = r"(?:(?:further |farther |more )?(?:to the )?)?(?P<side>left|right)"

_SIDES = tuple(
    map(
        re.compile,
        (
            rf"(?:is|are|does) {_A} (?:lie |stand )?(?:{_TO}{_EITHER}|{_TO}{_ONE}) (?:of|from|side of) {_B}",
            rf"on (?:which|what) side of {_B} is {_A}",
            rf"is {_A} (?:(?:to|on|at) (?:my|your|the) )?{_EITHER}(?: (?:side|hand side))?",
            rf"is {_A} (?:to|on|at) (?:my|your|the) (?P<side>left|right)(?: (?:side|hand side))?",
            rf"on (?:which|what) side (?:of {_ROBOT} )?is {_A}",
        ),
    )
)
_FURTHER = re.compile(
    r"(?:which(?: one| mark| object)?|what) is (?:further|farther|more) (?:to the )?(?P<side>left|right)"
    rf"\s*[,:]?\s*{_A} or {_B}"
)
_COUNT = re.compile(
    r"how many (?:distinct |different )?(?:marks|marked objects|marked things|numbered objects)"
    r"(?: are there| are visible| (?:can|do) you see)?|how many objects are (?:marked|numbered)"
)
_NEAREST = re.compile(
    r"(?:which|what) (?:mark|marked object|object|one)?\s*is (?:the )?(?P<how>nearest|closest|furthest|farthest)"
    rf"(?: (?:to|from) (?:{_A}|{_ROBOT})| away)?"
)
_NEARER = re.compile(
    r"which (?:mark |object |one )?is (?P<how>nearer|closer|further|farther)(?: away)?"
    rf"(?: (?:to|from) {_ROBOT})?\s*[,:]?\s*{_A} or {_B}"
)
_WHERE = re.compile(rf"where is {_A}")
_TOWARDS = (
    r"(?:back |over |straight |on |up )?(?:to|towards?|near|next to|up to|close to|in front of)(?: the place of)?"
)
_GO = re.compile(
    r"(?:(?:go|drive|move|navigate|walk|head|come|travel|proceed|return|get|(?:take|bring|lead|drive) (?:me|us)) "
    rf"{_TOWARDS}|goto|approach) {_A}"
)
_TURN = re.compile(rf"(?:(?:turn|rotate|look|point)(?: around)? (?:to(?: face)?|towards?|at)|face) {_A}")
_DISTANCE = r"(?:what is |what's )?(?:the )?distance"
_DISTANCES = tuple(
    map(
        re.compile,
        (
            rf"how far (?:is|are) {_A} (?:from|and|to) {_B}(?: apart| from each other)?",
            rf"{_DISTANCE} between {_A} and {_B}",
            rf"{_DISTANCE} from {_A} to {_B}",
            rf"how far(?: away)? (?:is|are) (?:(?:i|we|you) from )?{_A}(?: away)?(?: from {_ROBOT})?",
            rf"{_DISTANCE} to {_A}",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class View:
    """Somebody at mark ``at``, facing mark ``facing``."""

    at: int
    facing: int


@dataclass(frozen=True, slots=True)
class AsksSide:
    """Is ``a`` left or right of ``b`` (None: of straight ahead)? ``claim``: the side that yes or no is asked about."""

    a: int
    b: int | None
    claim: str = ""
    view: View | None = None


@dataclass(frozen=True, slots=True)
class AsksFurther:
    """Which of two marks is further to the ``side``?"""

    a: int
    b: int
    side: str
    view: View | None = None


@dataclass(frozen=True, slots=True)
class AsksCount:
    """How many marked objects are there?"""


@dataclass(frozen=True, slots=True)
class AsksNearest:
    """Which mark is nearest to (or furthest from) mark ``to`` or the robot (None), of all or of ``among``?"""

    to: int | None
    furthest: bool
    among: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AsksWhere:
    """Where is the mark?"""

    id: int


@dataclass(frozen=True, slots=True)
class AsksDistance:
    """How far is ``a`` from ``b`` (None: the robot)?"""

    a: int
    b: int | None


@dataclass(frozen=True, slots=True)
class AsksGo:
    """Go to the mark, or only turn to it."""

    id: int
    turn: bool = False


Asked = AsksSide | AsksFurther | AsksCount | AsksNearest | AsksWhere | AsksDistance | AsksGo


def named_marks(text: str) -> tuple[int, ...]:
    """Return the ids that a text calls marks ("mark 3", "marks 1, 4 and 7"), each once, in order."""
    found = (int(digits) for group in _NAMED.findall(text) for digits in re.findall(r"\d+", group))
    return tuple(dict.fromkeys(found))


def lettered(choices: Sequence[str]) -> list[str]:
    """Return the choices with their letters: ["A. red", "B. blue"]."""
    return [f"{chr(ord('A') + i)}. {choice}" for i, choice in enumerate(choices)]


def read(text: str) -> Asked | None:
    """Return what a question asks about marks, or None where it is no question for geometry."""
    sentence = _POLITE.sub("", re.sub(r"\s+", " ", text.lower()).strip(" .?!"))
    sentence = re.sub(r"\s+", " ", _MARK.sub(r" <\1> ", sentence)).strip()
    sentence = re.sub(r"\s+([,.?!:;])", r"\1", sentence)
    view = _VIEW.search(sentence)
    rest = f"{sentence[: view.start()]} {sentence[view.end() :]}" if view else _FROM_HERE.sub(" ", sentence)
    rest = re.sub(r"\s+", " ", rest).strip(" ,.:;?!")
    standing = View(int(view["at"]), int(view["facing"])) if view else None
    asked = _read_side(rest, standing)
    return asked if asked or standing else _read_place(rest)


def _read_side(sentence: str, view: View | None) -> Asked | None:
    for pattern in _SIDES:
        if match := pattern.fullmatch(sentence):
            found = match.groupdict()
            return AsksSide(int(found["a"]), _id(found.get("b")), found.get("side") or "", view)
    match = _FURTHER.fullmatch(sentence)
    return AsksFurther(int(match["a"]), int(match["b"]), match["side"], view) if match else None


def _read_place(sentence: str) -> Asked | None:
    for pattern, asked in _PLACES:
        if match := pattern.fullmatch(sentence):
            return asked(match.groupdict())
    return None


def _id(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


_FAR = ("further", "farther", "furthest", "farthest")
_PLACES: tuple[tuple[re.Pattern[str], Callable[[dict[str, Any]], Asked]], ...] = (
    (_COUNT, lambda said: AsksCount()),
    (_NEAREST, lambda said: AsksNearest(_id(said["a"]), said["how"] in _FAR)),
    (_NEARER, lambda said: AsksNearest(None, said["how"] in _FAR, (int(said["a"]), int(said["b"])))),
    (_WHERE, lambda said: AsksWhere(int(said["a"]))),
    (_GO, lambda said: AsksGo(int(said["a"]))),
    (_TURN, lambda said: AsksGo(int(said["a"]), turn=True)),
    *((pattern, lambda said: AsksDistance(int(said["a"]), _id(said.get("b")))) for pattern in _DISTANCES),
)


def ids_in(asked: Asked) -> tuple[int, ...]:
    """Return every mark that a question needs, each once."""
    view = getattr(asked, "view", None)
    ids: list[int | None]
    match asked:
        case AsksSide(a, b) | AsksFurther(a, b) | AsksDistance(a, b):
            ids = [a, b]
        case AsksWhere(id) | AsksGo(id):
            ids = [id]
        case AsksNearest(to, _, among):
            ids = [to, *among]
        case _:
            ids = []
    if view is not None:
        ids += [view.at, view.facing]
    return tuple(dict.fromkeys(id for id in ids if id is not None))

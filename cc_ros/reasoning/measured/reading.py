"""What the rules of questions.lark mean, and the words that they are made of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from lark import Lark, Token
from lark.exceptions import LarkError
from lark.lexer import Lexer

from cc_ros.geometry.camera import GeometryError
from cc_ros.geometry.queries import (
    HERE,
    Bearing,
    Beside,
    Between,
    Coordinates,
    Count,
    Distance,
    Extreme,
    GoTo,
    Is,
    ListMarks,
    Nearer,
    Order,
    Query,
    Same,
    Side,
    TurnTo,
    View,
    Where,
    Which,
    Within,
)

MAX_WORDS = 40

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
UP_TO_TWENTY = {word: number for number, word in enumerate((*_UNITS, *_TEENS, _TENS[0]))}
_NUMBERS = {word: str(value) for value, word in enumerate(_UNITS + _TEENS) if word != "one"} | {
    word: str(value) for value, word in zip(range(20, 100, 10), _TENS, strict=True)
}
ALIKE = {
    "mark": ("marker",),
    "marks": ("markers",),
    "object": ("item", "thing"),
    "objects": ("items", "things"),
    "marked": ("numbered", "labelled", "labeled"),
    "nearer": ("closer",),
    "nearest": ("closest",),
    "further": ("farther",),
    "furthest": ("farthest",),
    "highest": ("topmost",),
    "towards": ("toward",),
    "which": ("what",),
    "my": ("your", "our"),
    "if": ("whether",),
    "sort": ("rank",),
    "suppose": ("assume", "assuming"),
    "different": ("distinct",),
    "someone": ("somebody",),
    "hey": ("hi", "hello", "ok", "okay"),
    "face": ("faces", "faced"),
    "look": ("looks", "looked"),
    "lie": ("lies",),
    "stand": ("stands", "stood", "standing", "sit", "sits", "sitting"),
    "located": ("lying", "placed", "situated"),
    "turned": ("turning",),
    "m": ("metre", "metres", "meter", "meters"),
    "cm": ("centimetre", "centimetres", "centimeter", "centimeters"),
    "ft": ("foot", "feet"),
    ",": (".", ":", ";", "!"),
}
SYNONYMS = _NUMBERS | {word: meant for meant, words in ALIKE.items() for word in words}
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})[ -]({'|'.join(_UNITS[1:])})\b")
_SPELT = (
    (re.compile(r"[’`]"), "'"),
    (re.compile(r"\b(where|what|how|which|it|there|one)'?s\b"), r"\1 is"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\b(you|we)'re\b"), r"\1 are"),
    (re.compile(r"\bi'd\b"), "i would"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\bthe (?:robot|camera)'s\b"), "my"),
    (re.compile(r"\b(?:no|nr)\.\s*(?=\d)"), "number "),
    (re.compile(r"#\s*(?=\d)"), "number "),
    (re.compile(r"\((\d+)\)"), r" \1 "),
    (re.compile(r"&"), " and "),
    (re.compile(r"(?<=[a-z])-(?=[a-z\d])"), " "),
)
_WORD = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?(?![.]?\d)|[a-z]+|[,.:;!](?=\s|$))")


def words(text: str) -> list[str] | None:
    """Return the words of a sentence as the grammar has them, or None where it has something that is no word."""
    text = _COMPOUND.sub(lambda m: str(int(_NUMBERS[m[1]]) + _UNITS.index(m[2])), text.lower())
    for pattern, meant in _SPELT:
        text = pattern.sub(meant, text)
    text = text.strip(" \t\r\n.?!")
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or len(found) == MAX_WORDS:
            return None
        word = match[1]
        found.append(SYNONYMS.get(word, word))
        at = match.end()
    return found


def meanings(text: str) -> set[Query]:
    """Return all that a sentence may mean; empty = it is not understood."""
    said = words(text)
    if not said:
        return set()
    if not all(word in vocabulary() or word[0].isdigit() for word in said):
        return set()
    try:
        return _read(grammar().parse(" ".join(said)))
    except LarkError:
        return set()


class _Words(Lexer):
    """Every word is the terminal of that name; digits are INT or DECIMAL."""

    def __init__(self, conf: Any) -> None:
        self._names = {terminal.pattern.value: terminal.name for terminal in conf.terminals if terminal.pattern}

    def lex(self, text: str) -> Iterator[Token]:
        for word in text.split(" "):
            number = "DECIMAL" if "." in word else "INT"
            yield Token(number if word[0].isdigit() else self._names[word], word)


@cache
def grammar() -> Lark:
    """Return the parser, whose trees hold every way to read a sentence."""
    rules = (resources.files(__package__) / "questions.lark").read_text(encoding="utf-8")
    return Lark(rules, parser="earley", lexer=_Words, ambiguity="explicit", maybe_placeholders=False)


@cache
def vocabulary() -> frozenset[str]:
    """Return the words that the grammar knows."""
    return frozenset(terminal.pattern.value for terminal in grammar().terminals if terminal.pattern)


def _read(tree: Any) -> set[Any]:
    """Return the meanings of a part of a sentence: those of its parts in every combination."""
    if isinstance(tree, Token):
        return {str(tree)}
    if tree.data == "_ambig":
        return set().union(*map(_read, tree.children))
    found = set()
    for parts in product(*map(_read, tree.children)):
        try:
            found.add(MEANINGS[tree.data](*parts))
        except GeometryError:  # such as an observer who looks two ways
            continue
    return found


def _seen_by(query: Query, view: View) -> Query:
    if (isinstance(query, Count) and query.condition is None) or getattr(query, "view", view) != HERE:
        raise GeometryError("it does not depend on the observer, or has one already")
    return dataclasses.replace(query, view=view)  # type: ignore[arg-type]


MEANINGS: dict[str, Callable[..., Any]] = {
    "start": lambda query: query,
    "plain": lambda query: query,
    "view_first": lambda view, query: _seen_by(query, view),
    "view_last": _seen_by,
    # marks and observers
    "mark": lambda number: number,
    "int": int,
    "one": lambda: 1,
    "me": lambda: None,
    "either": lambda a, b: (a, b),
    "several": lambda *marks: marks,
    "stand": lambda at, look: View(at, look.facing, look.back),
    "facing": lambda mark: View(facing=mark),
    "away": lambda mark: View(back=mark),
    # conditions
    "left": lambda: "left",
    "right": lambda: "right",
    "beside": Beside,
    "beside_me": Beside,
    "front": lambda of: Beside("front", of),
    "front_me": lambda: Beside("front"),
    "behind": lambda of: Beside("behind", of),
    "behind_me": lambda: Beside("behind"),
    "above": lambda of: Beside("above", of),
    "below": lambda of: Beside("below", of),
    "nearer": Nearer,
    "nearer_to": lambda of, than: Nearer(than, of),
    "farther": lambda than: Nearer(than, farther=True),
    "farther_from": lambda of, than: Nearer(than, of, farther=True),
    "within": Within,
    "beyond": lambda length, of=None: Within(length, of, beyond=True),
    "metres": lambda amount: amount,
    "centimetres": lambda amount: amount / 100,
    "feet": lambda amount: amount * 0.3048,
    "amount": float,
    "single": lambda: 1.0,
    "half": lambda: 0.5,
    "between": Between,
    # questions
    "is_so": Is,
    "are_within": lambda a, b, length: Is(a, Within(length, b)),
    "are_beyond": lambda a, b, length: Is(a, Within(length, b, beyond=True)),
    "is_nearer_to": lambda mark, a, b: Is(a, Nearer(b, mark)),
    "is_farther_from": lambda mark, a, b: Is(a, Nearer(b, mark, farther=True)),
    "side": Side,
    "side_of": lambda of, mark: Side(mark, of),
    "side_along": lambda mark, of=None: Side(mark, of, "along"),
    "side_upright": lambda mark, of: Side(mark, of, "upright"),
    "leftmost": lambda: Order("leftmost"),
    "rightmost": lambda: Order("rightmost"),
    "handmost": lambda hand: Order("leftmost" if hand == "left" else "rightmost"),
    "nearest": lambda of=None: Order("nearest", of),
    "farthest": lambda of=None: Order("farthest", of),
    "highest": lambda: Order("highest"),
    "lowest": lambda: Order("lowest"),
    "extreme": lambda first: Extreme(first.sorting, first.of),
    "extreme_among": lambda first, among: Extreme(first.sorting, first.of, among),
    "among_extreme": lambda among, first: Extreme(first.sorting, first.of, among),
    "nearer_to_which": lambda of, a, b: Extreme("nearest", of, (a, b)),
    "nearer_which": lambda a, b: Extreme("nearest", None, (a, b)),
    "is_extreme": lambda mark, first: Extreme(first.sorting, first.of, claim=mark),
    "which": Which,
    "list_marks": ListMarks,
    "count": Count,
    "count_if": Count,
    "order": lambda order: order,
    "order_among": lambda among, order: dataclasses.replace(order, among=among),
    "distance": Distance,
    "distance_from": lambda of, mark: Distance(mark, of),
    "distance_to": lambda *ends: Distance(ends[-1], *ends[:-1]),
    "bearing": Bearing,
    "bearing_between": Bearing,
    "where": Where,
    "coordinates": Coordinates,
    "same": Same,
    "go": GoTo,
    "turn": TurnTo,
}

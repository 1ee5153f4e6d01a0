"""Questions about what the memory knows of objects, answered without a model: last seen, still there, changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cc_ros.geometry.evaluate import listed
from cc_ros.keyframes import RememberedObject
from cc_ros.reasoning.measured.reading import words
from cc_ros.reasoning.types import Answer, Status
from cc_ros.reasoning.when import told

_MARK = r"(?:the )?(?:(?:mark|object|number|id)(?: number)? |no\. ?|#)?(?P<mark>\d+|[a-z]+)"
_END = r"(?: (?:please|again|now))?"
_ASKED = (
    (rf"(?:when|where) did (?:you|we|i) (?:last|most recently) see {_MARK}", "last"),
    (rf"(?:when|where) was {_MARK} (?:last seen|seen last)", "last"),
    (rf"(?:when|where) did (?:you|we|i) see {_MARK} (?:last|for the last time)", "last"),
    (rf"when did (?:you|we|i) first see {_MARK}", "first"),
    (rf"when was {_MARK} first seen", "first"),
    (rf"when did (?:you|we|i) see {_MARK} (?:first|for the first time)", "first"),
    (rf"is {_MARK} still (?:there|here|in its place|where it was|around)", "there"),
    (rf"(?:has|was|did) {_MARK} (?:been )?(?:moved|move|gone|changed|change|disappeared|disappear)", "there"),
    (r"(?:what|which (?:objects|things)) (?:(?:has|have|had|is|are) (?:been )?)?(?:changed|different)", "changed"),
    (r"what (?:changed|did change)|(?:has|did) (?:anything|something) changed?", "changed"),
    (r"(?:what|which (?:objects|marks|things)) (?:is|are|was|were|has|have)(?: been)? (?:new|added|appeared)", "new"),
    (r"(?:what|which (?:objects|marks|things)) (?:is|are|was|were|has|have)(?: been)? "
     r"(?:gone|missing|absent|removed|disappeared|taken away)", "gone"),
    (r"(?:what|which (?:objects|marks|things)) (?:is|are|was|were|has|have)(?: been)? moved", "moved"),
)  # fmt: skip
_READ = [(re.compile(pattern + _END), about) for pattern, about in _ASKED]

About = Literal["last", "first", "there", "changed", "new", "gone", "moved"]


@dataclass(frozen=True, slots=True)
class Recall:
    """A question about what the memory knows.

    :param about: when an object was seen last or first, whether it is still there, or what of all changed.
    :param mark: the object; 0 = all.
    """

    about: About
    mark: int = 0


def read(text: str) -> Recall | None:
    """Return what a question asks of the memory, None where it asks nothing of it.

    >>> read("When did you last see mark 3?")
    Recall(about='last', mark=3)

    :param text: without its time, as :func:`~cc_ros.reasoning.when.span_in` leaves it.
    """
    said = re.sub(r"\s+", " ", text.lower()).strip(" ?!.,")
    for pattern, about in _READ:
        found = pattern.fullmatch(said)
        if found is None:
            continue
        if "mark" not in pattern.groupindex:
            return Recall(about)  # type: ignore[arg-type]
        number = _number(found["mark"])
        if number is not None:
            return Recall(about, number)  # type: ignore[arg-type]
    return None


def _number(text: str) -> int | None:
    """Return the number that a word is, "7" or "seven"."""
    said = ["1"] if text == "one" else words(text) or []
    return int(said[0]) if len(said) == 1 and said[0].isdigit() else None


def answer(asked: Recall, objects: Sequence[RememberedObject], since: float, now: float) -> Answer:
    """Answer from what is remembered.

    :param objects: those that were seen in the window asked about, or changed in it; of a mark, that one alone.
    :param since: begin of the window, seconds since 1970; 0 = that of the running episode is meant.
    :param now: seconds since 1970.
    """
    if asked.mark:
        known = {one.id: one for one in objects}.get(asked.mark)
        if known is None:
            return Answer(Status.UNKNOWN_MARK, f"the memory knows no object {asked.mark}")
        return _found(_of_one(asked, known, now), [known])
    if not objects:
        return Answer(Status.CANNOT_TELL, "the memory knows of no objects in that time")
    new = [one for one in objects if since and one.first_seen >= since]
    gone = [one for one in objects if one.state == "absent" and one.changed >= since]
    moved = [one for one in objects if one.state == "moved" and one.changed >= since and one not in new]
    wanted = {"new": asked.about in ("new", "changed"), "gone": asked.about in ("gone", "changed")}
    wanted["moved"] = asked.about in ("moved", "changed")
    groups = [(word, group) for word, group in (("new", new), ("gone", gone), ("moved", moved)) if wanted[word]]
    parts = [f"{word}: {listed([one.id for one in group])}" for word, group in groups if group]
    text = "; ".join(parts) or {"changed": "nothing has changed, as far as it was seen"}.get(
        asked.about, f"nothing is {asked.about}, as far as it was seen"
    )
    return _found(text, [one for _, group in groups for one in group])


def _of_one(asked: Recall, known: RememberedObject, now: float) -> str:
    seen = told(known.last_seen, now)
    place = "" if known.place is None else " at ({:.2f}, {:.2f}, {:.2f}) m".format(*known.place)
    frame = f" in {known.world_frame}" if place and known.world_frame else ""
    if asked.about == "first":
        return told(known.first_seen, now)
    if asked.about == "last":
        since = f"; its place was seen without it {told(known.changed, now)}" if known.state == "absent" else ""
        return f"{seen}{place}{frame}{since}"
    if known.state == "absent":
        return f"no, its place was seen without it {told(known.changed, now)}; it was last seen {seen}"
    if known.state == "moved":
        return f"it was moved, seen elsewhere {told(known.changed, now)}{place}{frame}"
    if known.state == "unseen":
        return f"its place has not been seen since; it was last seen {seen}"
    return f"yes, it was seen {seen}{place}{frame}"


def _found(text: str, objects: Sequence[RememberedObject]) -> Answer:
    return Answer(Status.OK, text=text, mark_ids=tuple(one.id for one in objects), source="memory")

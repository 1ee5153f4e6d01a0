"""Times in plain words: "yesterday", "in the last ten minutes", "before lunch", "since 8:30", "2026-11-25".

A phrase is understood as a whole or not at all; a question with two that contradict each other has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cc_ros.reasoning.measured.reading import UP_TO_TWENTY

_UNITS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000}
_NUMBERS = {
    **{word: float(number) for word, number in UP_TO_TWENTY.items()},
    **{"a": 1.0, "an": 1.0, "the": 1.0, "half an": 0.5, "half a": 0.5, "a couple of": 2.0, "a few": 3.0},
    **{"thirty": 30.0, "forty": 40.0, "forty five": 45.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0},
}
# of a day, in hours: what begins, and what ends
_PARTS = {
    **{"morning": (5.0, 12.0), "afternoon": (12.0, 18.0), "evening": (18.0, 23.0), "night": (21.0, 30.0)},
    **{"breakfast": (7.5, 8.5), "lunch": (12.0, 13.0), "dinner": (18.5, 19.5), "noon": (12.0, 12.0)},
    **{"midday": (12.0, 12.0), "lunchtime": (12.0, 13.0)},
}
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_NEAR = 900.0  # seconds about an instant that "at 8:30" means

_N = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")"
_UNIT = r"(?:" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")s?"
_CLOCK = r"(?:\d{1,2}:\d{2}(?:\s?[ap]m)?|\d{1,2}\s?[ap]m|\d{1,2} o'?clock)"
_DATE = r"\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2})?)?"
_PART = "|".join(sorted(_PARTS, key=len, reverse=True))
_DAY = rf"yesterday|today|this|(?:last |on )?(?:{'|'.join(_DAYS)})"
_MOMENT = rf"(?:{_DATE}|{_N} {_UNIT} ago|{_CLOCK}|last night|tonight|(?:{_DAY})(?: (?:{_PART}))?|{_PART}|midnight)"
_RELATION = "since|after|before|until|till|up to|at|around|about|on|in the|during|by"
_THINGS = "stand|table|box|room|club|lamp|light|set|plate|menu|bag|tray|paper|person"  # "the night stand" is no time
_SPANS = re.compile(
    rf"\b(?:between (?P<from>{_MOMENT}) and (?P<to>{_MOMENT})"
    rf"|(?:in|within|during|over|for) the (?:last|past) (?:(?P<count>{_N}) )?(?P<unit>{_UNIT})"
    rf"|(?P<relation>{_RELATION})? ?(?:the )?(?P<moment>{_MOMENT})"
    rf"|(?P<ever>ever|so far))(?![\w:-]| (?:{_THINGS}))"
)
# what asks about all that was ever seen, without naming a time
_REACHES_BACK = re.compile(
    r"\bwhere (?:did|have|had) (?:i|we|you|he|she|they|\w+) (?:leave|left|put|last see|last seen)\b"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time that a text names.

    :param since: seconds since 1970; 0 = open.
    :param until: likewise.
    :param rest: the text without the phrase.
    """

    since: float
    until: float
    rest: str


def span_in(text: str, now: float) -> Span | None:
    """Return the time that a question names, in the machine's time zone; None where it names none.

    :param now: seconds since 1970.
    """
    lowered = text.lower()
    since, until, rest = 0.0, 0.0, text
    found = [match for match in _SPANS.finditer(lowered) if _means_time(match)]
    for match in reversed(found):
        meant = _meant(match, now)
        if meant is None:
            continue
        begin, end = meant
        since, until = max(since, begin), min(until or end, end or until)
        rest = f"{rest[: match.start()]} {rest[match.end() :]}"
    if since or until:
        tidy = re.sub(r"\s+([?.!,])", r"\1", re.sub(r"\s+", " ", rest)).strip(" ,")
        return None if until and until < since else Span(since, until, tidy)
    if _REACHES_BACK.search(lowered) or any(match["ever"] for match in found):
        return Span(1.0, 0.0, text)
    return None


def instant(text: str, now: float) -> tuple[float, float]:
    """Return the begin and the end of what a text names, seconds since 1970, as ``--since`` and ``--until`` take it.

    :raises ValueError: it names no time.
    """
    wanted = text.strip().lower()
    if re.fullmatch(r"\d{9,10}(?:\.\d+)?", wanted):
        return float(wanted), float(wanted)
    if re.fullmatch(_MOMENT, wanted):
        found = _moment(wanted, now)
        if found is not None:
            return found
    raise ValueError(
        f"{text!r} is no time; write 2026-11-25, '2026-11-25 14:30', 14:30, yesterday, 'this morning' or '2 hours ago'"
    )


def told(stamp: float, now: float) -> str:
    """Return an instant for people: "at 14:05", "yesterday at 14:05", "on Monday 23 November 2026 at 14:05"."""
    when, today = datetime.fromtimestamp(stamp), datetime.fromtimestamp(now)
    clock = f"at {when:%H:%M:%S}" if now - stamp < 600 else f"at {when:%H:%M}"
    days = (today.date() - when.date()).days
    if days == 0:
        return clock
    return f"yesterday {clock}" if days == 1 else f"on {when:%A} {when.day} {when:%B %Y} {clock}"


def _means_time(match: re.Match[str]) -> bool:
    """Whether a match is more than a word that also has another meaning: "on my right", "the night stand"."""
    moment, relation = match["moment"], match["relation"]
    return moment is None or moment not in _PARTS or relation is not None


def _meant(match: re.Match[str], now: float) -> tuple[float, float] | None:
    """Return since and until that a phrase means."""
    if match["ever"]:
        return None
    if match["unit"]:
        return now - _number(match["count"] or "the") * _seconds(match["unit"]), 0.0
    if match["from"]:
        first, last = _moment(match["from"], now), _moment(match["to"], now)
        return None if first is None or last is None else (first[0], last[1])
    found = _moment(match["moment"], now)
    return None if found is None else _related(match["relation"] or "", match["moment"], *found)


def _related(relation: str, moment: str, begin: float, end: float) -> tuple[float, float]:
    if relation == "since":
        return begin, 0.0
    if relation == "after":
        return end, 0.0
    if relation in ("before", "until", "till", "up to", "by"):
        of_day = moment in _PARTS or re.fullmatch(_CLOCK, moment)
        return (_midnight(begin) if of_day else 0.0), begin
    if end - begin < _NEAR and not moment.endswith("ago"):
        return begin - _NEAR, end + _NEAR
    return begin, end


def _moment(text: str, now: float) -> tuple[float, float] | None:
    """Return begin and end of what a moment names; what is still to come today was yesterday, but for "today"."""
    text = text.removeprefix("on ").removeprefix("last ").strip()
    if ago := re.fullmatch(rf"({_N}) ({_UNIT}) ago", text):
        unit, span = _seconds(ago[2]), _number(ago[1]) * _seconds(ago[2])
        about = min(max(unit / 2, 0.1 * span), span / 2, 43200.0)
        return now - span - about, now - span + about
    if dated := re.fullmatch(r"(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}:\d{2}(?::\d{2})?))?", text):
        return _dated(dated[1], dated[2])
    if re.fullmatch(_CLOCK, text):
        hour = _hour(text)
        return None if hour is None else _past((_midnight(now) + hour * 3600,) * 2, now)
    if text in _PARTS:
        return _past(_of_day(_midnight(now), text), now)
    return _of_a_day(text, now)


def _of_a_day(text: str, now: float) -> tuple[float, float] | None:
    day, _, part = text.partition(" ")
    if text == "midnight":
        return (_midnight(now),) * 2
    if text == "tonight":
        day, part = "today", "evening"
    if day in _DAYS:
        back = (datetime.fromtimestamp(now).weekday() - _DAYS.index(day)) % 7 or 7
        start = _midnight(_midnight(now) + 43200 - back * 86400)  # noon, for days of 23 or 25 hours
    else:
        start = _midnight(_midnight(now) + 43200 - 86400 * (day == "yesterday"))
    if part:
        return _of_day(start, part)
    return None if day == "this" else (start, _midnight(start + 129600))


def _past(span: tuple[float, float], now: float) -> tuple[float, float]:
    return span if span[0] <= now else (span[0] - 86400, span[1] - 86400)


def _of_day(midnight: float, part: str) -> tuple[float, float]:
    begin, end = _PARTS[part]
    return midnight + 3600 * begin, midnight + 3600 * end


def _dated(day: str, clock: str | None) -> tuple[float, float] | None:
    try:
        begin = datetime.fromisoformat(f"{day} {clock}" if clock else day)
    except ValueError:
        return None
    return begin.timestamp(), (begin if clock else begin + timedelta(days=1)).timestamp()


def _midnight(stamp: float) -> float:
    return datetime.fromtimestamp(stamp).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _hour(text: str) -> float | None:
    digits = re.match(r"(\d{1,2})(?::(\d{2}))?", text)
    assert digits is not None
    hour, minute = int(digits[1]), int(digits[2] or 0)
    if text.endswith("pm") and hour < 12:
        hour += 12
    elif text.endswith("am") and hour == 12:
        hour = 0
    return hour + minute / 60 if hour < 24 and minute < 60 else None


def _number(text: str) -> float:
    return _NUMBERS[text] if text in _NUMBERS else float(text)


def _seconds(unit: str) -> float:
    return float(_UNITS[unit.removesuffix("s")])

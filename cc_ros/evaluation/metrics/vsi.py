"""Scores of VSI-Bench (Yang et al., CVPR 2025): accuracy of choices, mean relative accuracy of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from cc_ros.errors import SettingsError
from cc_ros.evaluation.metrics.exact_match import NUMBERS

CHOICE_TYPES = (
    "object_rel_direction_easy",
    "object_rel_direction_medium",
    "object_rel_direction_hard",
    "object_rel_distance",
    "route_planning",
    "obj_appearance_order",
)
NUMBER_TYPES = ("object_abs_distance", "object_counting", "object_size_estimation", "room_size_estimation")
DIRECTION = "object_rel_direction"  # its three degrees of difficulty count as one type
THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Written numbers are read as well: models say "three" as often as 3.
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: n for n, word in enumerate(NUMBERS[:20])} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_VALUES |= {"hundred": 100, "thousand": 1000}
_WORD = rf"\b(?:{'|'.join(_VALUES)})\b"
_NUMBER = re.compile(rf"-?\d[\d,]*(?:\.\d+)?|{_WORD}(?:(?:-|\s+(?:and\s+)?){_WORD})*")


def mean_relative_accuracy(said: float, true: float) -> float:
    """Return MRA: the share of thresholds 0.5, 0.55, ..., 0.95 that the relative error meets (paper, eq. 1).

    :param said: in the unit of ``true``.
    :raises SettingsError: the true value is 0: it has no relative error.
    """
    if true == 0:
        raise SettingsError("a relative error needs a true value other than 0")
    return float((abs(said - true) / true <= 1 - THRESHOLDS).mean())


def first_number(text: str) -> float | None:
    """Return the first number of a reply, in digits or words; None where there is none.

    >>> first_number("about 2.5 m"), first_number("There are twenty-one.")
    (2.5, 21.0)
    """
    found = _NUMBER.search(text.lower())
    if not found:
        return None
    if found[0].lstrip("-")[0].isdigit():
        return float(found[0].replace(",", ""))
    whole = part = 0
    for word in re.findall(_WORD, found[0]):
        value = _VALUES[word]
        if value == 1000:
            whole, part = whole + 1000 * max(part, 1), 0
        else:
            part = 100 * max(part, 1) if value == 100 else part + value
    return float(whole + part)


def chosen_letter(text: str) -> str:
    """Return what counts as the chosen letter: the first word, without its full stop."""
    return text.split(" ", maxsplit=1)[0].rstrip(".").strip().upper()


def vsi_score(question_type: str, reply: str, truth: str) -> float:
    """Return the score of one reply, 0 to 1: accuracy or MRA by the type of question.

    :raises SettingsError: an unknown type, or a truth that is no number where one is asked for.
    """
    if question_type in CHOICE_TYPES:
        return float(chosen_letter(reply) == truth.strip().upper())
    if question_type not in NUMBER_TYPES:
        raise SettingsError(f"{question_type!r} is no question type of VSI-Bench")
    try:
        true = float(truth)
    except ValueError as error:
        raise SettingsError(f"the true value of a {question_type} question is {truth!r}, no number") from error
    said = first_number(reply)
    return 0.0 if said is None else mean_relative_accuracy(said, true)


def vsi_table(types: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
    """Return the mean score of each type and ``overall``, the mean of the types, each 0 to 1.

    The three difficulties of relative direction are averaged first and count as one type, as published.
    """
    by_type: dict[str, list[float]] = {}
    for name, score in zip(types, scores, strict=True):
        by_type.setdefault(name, []).append(score)
    table = {name: float(np.mean(values)) for name, values in by_type.items()}
    directions = [table.pop(name) for name in CHOICE_TYPES[:3] if name in table]
    if directions:
        table[DIRECTION] = float(np.mean(directions))
    return table | {"overall": float(np.mean(list(table.values())))} if table else {}

"""Reading questions: which marks one names, and whether it is one that geometry can answer.

Only whole sentences that are understood to the last word count as understood; half of a question answered is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cc_ros.geometry.queries import Query
from cc_ros.reasoning.measured.reading import meanings

_NAMED = re.compile(r"\bmark(?:er)?s?\s*(?:number\s*|no\.\s*)?#?(\d+(?:\s*(?:,|and|or|&)\s*#?\d+\b)*)", re.IGNORECASE)


@lru_cache(maxsize=64)
def read(text: str) -> Query | None:
    """Return what a question asks about marks, or None where it is no question for geometry.

    >>> read("How far apart are 3 and five?")
    Distance(mark=3, of=5, view=View(at=None, facing=None, back=None))

    One that may be read in two ways is not understood.
    """
    found = meanings(text)
    return found.pop() if len(found) == 1 else None


def named_marks(text: str) -> tuple[int, ...]:
    """Return the ids that a text calls marks ("mark 3", "marks 1, 4 and 7"), each once, in order."""
    found = (int(digits) for group in _NAMED.findall(text) for digits in re.findall(r"\d+", group))
    return tuple(dict.fromkeys(found))


def lettered(choices: Sequence[str]) -> list[str]:
    """Return the choices with their letters: ["A. red", "B. blue"]."""
    return [f"{chr(ord('A') + i)}. {choice}" for i, choice in enumerate(choices)]

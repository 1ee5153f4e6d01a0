"""Exact match of short answers, as ScanQA and SQA3D are scored since LEO (Huang et al., ICML 2024).

LEO itself stops at the first reference that matches in either way; here, as in later work, all of them are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
# The published rules in their order, without those that never act; some only concern typing errors of the data sets.
RULES = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r"[ ]+$", ""),
        (r"^[ ]+", ""),
        (r" {2,}", " "),
        (r"[^a-zA-Z0-9,'\s\-:]+", ""),
        (r"\bletf\b", "left"),
        (r"\blet\b", "left"),
        (r"\btehre\b", "there"),
        (r"\brigth\b", "right"),
        (r"\brght\b", "right"),
        (r"\bbehine\b", "behind"),
        (r"\btv\b", "TV"),
        (r"\bchai\b", "chair"),
        (r"\bwasing\b", "washing"),
        (r"\bwaslked\b", "walked"),
        (r"\boclock\b", "o'clock"),
        (r"\bo'[ ]+clock\b", "o'clock"),
        (r"\b0\b", "zero"),
        (r"\bnone\b", "zero"),
        *((rf"\b{n}\b", word) for n, word in enumerate(NUMBERS) if n),
        (r"\b23\b", "twenty-three"),
        (r"\b([a-zA-Z]+)([0-9])\b", r"\g<1>"),
        (r"\ba\b ([a-zA-Z]+)", r"\g<1>"),
        (r"\ban\b ([a-zA-Z]+)", r"\g<1>"),
        (r"\bthe\b ([a-zA-Z]+)", r"\g<1>"),
        (r"\bbackwards\b", "backward"),
    )
]


def clean_answer(text: str) -> str:
    """Return an answer in the form in which answers are compared.

    >>> clean_answer("The 2 Chairs.")
    'two chairs'
    """
    text = text.lower()
    for pattern, by in RULES:
        text = pattern.sub(by, text)
    return text


def exact_match(answer: str, references: Sequence[str]) -> tuple[int, int]:
    """Return EM@1 and refined EM of one answer, each 0 or 1.

    EM: the cleaned answer is one of the cleaned references. Refined: one contains the other, blanks aside. An empty
    answer matches nothing.
    """
    said = clean_answer(answer)
    if not said:
        return 0, 0
    expected = [clean_answer(reference) for reference in references]
    if said in expected:
        return 1, 1
    dense = "".join(said.split())
    others = ["".join(one.split()) for one in expected]
    return 0, int(any(dense in one or one in dense for one in others))

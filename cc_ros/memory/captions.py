"""Search in what a model said of keyframes: by words, and by vectors where an embedding model is set up."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_WORDS = 32  # of a question that are searched for
LOOKED_AT = 200  # best keyframes of each search
RANK_OFFSET = 60.0  # reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009
FITS = 0.5  # share of the best BM25 that a caption needs to count: one word of three is not enough
ALIKE = 0.9  # share of the best cosine that a vector needs to count: every text is somewhat like any other
APART = 5.0  # seconds between two keyframes that are found: closer ones show the same
_SAY_NOTHING = frozenset(
    re.findall(
        r"\w+",
        """a about all an and any are at be been before between by can could did do does ever for from had has have he
        her how i in into is it its last leave left me most my now of on or our put robot saw see seen she show since
        some that the their them then there these they this those to up was we were what when where which who why will
        with you your""",
    )
)


@dataclass(frozen=True, slots=True)
class Vector:
    """A text as a vector.

    :param values: n float32, of length 1.
    :param model: that made it: only vectors of one model can be compared.
    """

    values: np.ndarray
    model: str

    def packed(self) -> bytes:
        """Return it as float16."""
        return self.values.astype(np.float16).tobytes()


def words_of(text: str) -> list[str]:
    """Return the words of a question that captions are searched for.

    >>> words_of("Where did I leave the red box?")
    ['red', 'box']
    """
    words = re.findall(r"\w+", text.lower())
    return list(dict.fromkeys(word for word in words if word not in _SAY_NOTHING))[:MOST_WORDS]


def fitting(
    db: sqlite3.Connection, text: str, vector: Vector | None, where: str, values: Sequence[float], count: int
) -> dict[int, float]:
    """Return row -> stamp of up to ``count`` keyframes whose captions fit a text, the best first, no two of one moment.

    The second, fourth, ... are the newest of all that fit: where something was left is told by when it was seen last.

    :param vector: of the text; None = only its words count.
    :param where: a condition on keyframes, with ``values`` for its question marks.
    """
    rankings = [_by_words(db, text, where, values)]
    if vector is not None:
        rankings.append(_by_vector(db, vector, where, values))
    score: defaultdict[int, float] = defaultdict(float)
    stamps: dict[int, float] = {}
    for ranking in rankings:
        for rank, (row, stamp) in enumerate(ranking):
            score[row] += 1 / (RANK_OFFSET + rank)
            stamps[row] = stamp
    orders = sorted(score, key=lambda row: (-score[row], -stamps[row])), sorted(score, key=lambda row: -stamps[row])
    chosen: dict[int, float] = {}
    for row in itertools.chain.from_iterable(zip(*orders, strict=True)):
        if len(chosen) < count and all(abs(stamps[row] - stamp) >= APART for stamp in chosen.values()):
            chosen[row] = stamps[row]
    return chosen


def _by_words(db: sqlite3.Connection, text: str, where: str, values: Sequence[float]) -> list[tuple[int, float]]:
    words = " OR ".join(f'"{word}"' for word in words_of(text))
    if not words:
        return []
    rows = db.execute(
        "SELECT keyframes.id, stamp, bm25(captioned) FROM captioned JOIN keyframes ON keyframes.id = captioned.rowid "
        f"WHERE captioned MATCH ? AND {where} ORDER BY 3 LIMIT {LOOKED_AT}",
        (words, *values),
    ).fetchall()
    return [row[:2] for row in rows if row[2] <= FITS * rows[0][2]]  # less than 0, the best least


def _by_vector(db: sqlite3.Connection, vector: Vector, where: str, values: Sequence[float]) -> list[tuple[int, float]]:
    rows = db.execute(
        "SELECT keyframes.id, stamp, embedding FROM captions JOIN keyframes ON keyframes.id = captions.keyframe "
        f"WHERE embedder = ? AND length(embedding) = ? AND {where}",
        (vector.model, 2 * len(vector.values), *values),
    ).fetchall()
    if not rows:
        return []
    kept = np.frombuffer(b"".join(row[2] for row in rows), np.float16).reshape(len(rows), -1)
    cosines = kept.astype(np.float32) @ vector.values
    best = np.argsort(-cosines, kind="stable")[:LOOKED_AT]
    return [rows[i][:2] for i in best if cosines[i] >= ALIKE * cosines[best[0]] > 0]

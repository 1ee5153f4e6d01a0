"""Scores that several benchmarks share: exact match of short answers, and right choices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cc_ros.evaluation.metrics.exact_match import exact_match
from cc_ros.evaluation.types import Pair, Score


def texts(pairs: Sequence[Pair]) -> list[str]:
    """Return the answers as texts, "" where there is none."""
    return [answer.text if answer.ok else "" for _, answer in pairs]


def em_scores(pairs: Sequence[Pair]) -> list[Score]:
    """Return EM@1 and refined EM in per cent."""
    matched = [exact_match(text, question.answers) for text, (question, _) in zip(texts(pairs), pairs, strict=True)]
    return [Score(name, [100.0 * one[n] for one in matched]) for n, name in enumerate(("EM", "EM-refined"))]


def right_choices(pairs: Sequence[Pair]) -> list[float]:
    """Return 1 for each pair whose choice is the right one, else 0."""
    return [
        float(
            answer.ok
            and 0 <= answer.choice < len(question.choices)
            and question.choices[answer.choice] in question.answers
        )
        for question, answer in pairs
    ]


def by_kind(score: Score, pairs: Sequence[Pair]) -> list[Score]:
    """Return the score and, where there are several kinds of questions, the same of each kind."""
    kinds = sorted({question.kind for question, _ in pairs})
    if len(kinds) < 2:
        return [score]
    parts = [
        Score(
            "_".join(filter(None, (score.name, kind))),
            [v if q.kind == kind else math.nan for v, (q, _) in zip(score.values, pairs, strict=True)],
        )
        for kind in kinds
    ]
    return [score, *parts]

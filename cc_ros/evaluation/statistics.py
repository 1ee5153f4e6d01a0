"""How sure a figure is, and whether two conditions differ: bootstrap over questions.

Trials and directions of one question belong together, so whole questions are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from cc_ros.evaluation.types import Score

DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval; NaN where nothing counts."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two figures, its interval, and the two-sided p value of there being none."""

    value: float
    low: float
    high: float
    p: float


def figure(score: Score, groups: Sequence[Hashable], seed: int = 0, draws: int = DRAWS) -> Figure:
    """Return a figure with its percentile bootstrap interval of 95 %.

    :param groups: what each pair belongs to: the id of its question.
    """
    members = _members(groups)
    drawn = _draws(score, members, seed, draws)
    return Figure(score.over(range(len(groups))), *_interval(drawn))


def difference(
    a: Score,
    a_groups: Sequence[Hashable],
    b: Score,
    b_groups: Sequence[Hashable],
    seed: int = 0,
    draws: int = DRAWS,
) -> Difference | None:
    """Return how far ``a`` is above ``b`` on the questions that both were asked, drawn in pairs; None without any."""
    first, second = _members(a_groups), _members(b_groups)
    shared = [group for group in first if group in second]
    if not shared:
        return None
    drawn = _draws(a, {g: first[g] for g in shared}, seed, draws) - _draws(
        b, {g: second[g] for g in shared}, seed, draws
    )
    value = a.over([n for g in shared for n in first[g]]) - b.over([n for g in shared for n in second[g]])
    known = drawn[np.isfinite(drawn)]
    if not len(known) or math.isnan(value):
        return None
    one_side = min((known <= 0).mean(), (known >= 0).mean())
    p = min(1.0, 2 * max(float(one_side), 1 / (len(known) + 1)))
    return Difference(value, *_interval(drawn), 1.0 if not known.any() else p)


def _members(groups: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    members: dict[Hashable, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    return members


def _draws(score: Score, members: dict[Hashable, list[int]], seed: int, draws: int) -> np.ndarray:
    """Return the figure over each draw of whole questions, the same questions for the same seed."""
    lists = list(members.values())
    random = np.random.default_rng(seed)
    if score.combine is not None or not lists:
        picks = (random.integers(0, len(lists), len(lists)) for _ in range(draws if lists else 0))
        return np.array([score.over([number for one in pick for number in lists[one]]) for pick in picks])
    # A mean needs no loop over the pairs: how often each question is drawn is enough.
    values = np.asarray(score.values, np.float64)
    sums = np.array([np.nansum(values[one]) for one in lists])
    counts = np.array([np.isfinite(values[one]).sum() for one in lists])
    drawn = np.empty(draws)
    for number in range(draws):
        times = np.bincount(random.integers(0, len(lists), len(lists)), minlength=len(lists))
        counted = times @ counts
        drawn[number] = times @ sums / counted if counted else math.nan
    return drawn


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

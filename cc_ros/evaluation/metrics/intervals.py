"""Confidence intervals by bootstrap, and paired tests between conditions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from cc_ros.errors import SettingsError
from cc_ros.evaluation.types import Score

RESAMPLES = 2000
CHUNK = 200  # resamples at a time: 200 draws of 10,000 questions are 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its percentile interval.

    :param value: over all pairs of question and answer.
    :param low: lower end.
    :param high: upper end.
    :param level: of confidence.
    """

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Paired:
    """How one condition differs from another on the same questions.

    :param difference: second minus first, with its interval.
    :param p_value: two-sided: how often conditions swapped at random differ as much.
    """

    difference: Interval
    p_value: float


def bootstrap(
    score: Score,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the figure of a score and its interval.

    Answers to one question, and questions about one scene, are not independent: with ``groups``, whole groups are
    drawn (cluster bootstrap). Values that are NaN do not count.

    >>> bootstrap(Score("EM", (1, 1, 0, 1))).value
    0.75

    :param groups: what belongs together, such as the scene of each pair; None = each pair alone.
    :param seed: of the draws: the same values give the same interval.
    :raises SettingsError: no values, a group missing, or a level out of (0, 1).
    """
    if not 0 < level < 1:
        raise SettingsError(f"the level of confidence must be between 0 and 1, got {level}")
    members = _members(len(score.values), groups)
    draw = np.random.default_rng(seed)
    if score.combine is None:
        sums = _sums(np.asarray(score.values, float), members)
        figures = _draw_means(sums, resamples, draw)
    else:
        figures = np.array(
            [
                score.combine(np.concatenate([members[n] for n in draw.integers(len(members), size=len(members))]))  # type: ignore[arg-type]
                for _ in range(resamples)
            ]
        )
    return _interval(score.over(range(len(score.values))), figures, level)


def paired(
    first: Score,
    second: Score,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Paired:
    """Compare the means of two conditions that answered the same questions, by swapping conditions at random.

    Scores that are no means, such as BLEU, are compared by the means of their single values. Pairs of which one value
    is NaN do not count.

    :param first: of one condition.
    :param second: of the other, in the same order of questions.
    :param groups: as in :func:`bootstrap`; whole groups are then swapped.
    :raises SettingsError: not as many values, or none that count.
    """
    from scipy import stats

    if len(first.values) != len(second.values):
        raise SettingsError(
            f"paired conditions answer the same questions, not {len(first.values)} and {len(second.values)}"
        )
    gain = np.asarray(second.values, float) - np.asarray(first.values, float)
    sums = _sums(gain, _members(len(gain), groups))
    figures = _draw_means(sums, resamples, np.random.default_rng(seed))
    difference = _interval(float(sums[:, 0].sum() / sums[:, 1].sum()), figures, level)
    if len(sums) < 2 or not sums[:, 0].any():
        return Paired(difference, 1.0)  # nothing to swap, or no difference
    test = stats.permutation_test(
        (sums[:, 0],),
        np.sum,
        permutation_type="samples",
        n_resamples=resamples,
        vectorized=True,
        batch=CHUNK,
        random_state=np.random.default_rng(seed),
    )
    return Paired(difference, float(test.pvalue))


def _interval(value: float, figures: np.ndarray, level: float) -> Interval:
    low, high = np.nanquantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), level)


def _members(count: int, groups: Sequence[Hashable] | None) -> list[np.ndarray]:
    """Return the numbers of the pairs of each group."""
    if not count:
        raise SettingsError("there are no answers to compute a figure of")
    if groups is None:
        return list(np.arange(count)[:, None])
    if len(groups) != count:
        raise SettingsError(f"{count} values need as many groups, not {len(groups)}")
    found: dict[Hashable, list[int]] = {}
    for number, group in enumerate(groups):
        found.setdefault(group, []).append(number)
    return [np.array(numbers) for numbers in found.values()]


def _sums(values: np.ndarray, members: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of the values that count and their number, (g, 2), for each group that has any."""
    counts = ~np.isnan(values)
    sums = np.array([(np.nansum(values[numbers]), counts[numbers].sum()) for numbers in members])
    if not sums[:, 1].any():
        raise SettingsError("there are no answers that count towards this figure")
    return sums[sums[:, 1] > 0]


def _draw_means(sums: np.ndarray, resamples: int, draw: np.random.Generator) -> np.ndarray:
    """Return the means of draws of groups, (resamples,)."""
    drawn = []
    for start in range(0, resamples, CHUNK):
        chosen = draw.integers(len(sums), size=(min(CHUNK, resamples - start), len(sums)))
        total = sums[chosen].sum(axis=1)
        drawn.append(total[:, 0] / total[:, 1])
    return np.concatenate(drawn)

"""Metrics of navigation episodes, as R2R reports them: Anderson et al. 2018, arXiv 1807.06757, and VLN-CE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from cc_ros.evaluation.metrics.intervals import bootstrap
from cc_ros.evaluation.types import Score

LEVEL = 0.95  # of the intervals


@dataclass(frozen=True)
class Outcome:
    """How one episode ended; metres over ground.

    :param shortest: from the start to the goal, the shortest way.
    :param travelled: the way of the robot.
    :param left: from where it stopped to the goal, the shortest way (navigation error); inf = cut off from it.
    :param nearest: the smallest such distance on the way.
    :param radius: within which the goal counts as reached.
    :param collisions: times that the robot touched something.
    :param stopped: it said itself that it was there; one that gave up or timed out has not succeeded.
    :param actions: that it took, STOP included; 0 where it was driven by speeds.
    """

    shortest: float
    travelled: float
    left: float
    nearest: float
    radius: float
    collisions: int = 0
    stopped: bool = True
    actions: int = 0

    @property
    def success(self) -> bool:
        """Whether it stopped within the radius."""
        return self.stopped and self.left <= self.radius

    @property
    def oracle_success(self) -> bool:
        """Whether it was ever within the radius."""
        return self.nearest <= self.radius

    @property
    def spl(self) -> float:
        """Success weighted by the path length, 0..1."""
        longer = max(self.shortest, self.travelled)
        return float(self.success) * (self.shortest / longer if longer > 0 else 1.0)


def metrics(outcomes: Sequence[Outcome], seed: int = 0) -> dict[str, Any]:
    """Return the figures of some episodes, as metrics.json holds them.

    :param seed: of the bootstrap.
    :return: episodes, sr, osr, spl, tl and ne (metres), collisions (in all), and ``intervals``: sr and osr by Wilson,
        spl, tl and ne by bootstrap, each [low, high] at 95 %. Without episodes the figures are None.
    """
    means: dict[str, Callable[[Outcome], float]] = {
        "sr": lambda o: o.success,
        "osr": lambda o: o.oracle_success,
        "spl": lambda o: o.spl,
        "tl": lambda o: o.travelled,
        "ne": lambda o: o.left,
    }
    values = {name: np.array([of(outcome) for outcome in outcomes], float) for name, of in means.items()}
    figures: dict[str, Any] = {"episodes": len(outcomes)}
    figures |= {name: round(float(found.mean()), 4) if len(found) else None for name, found in values.items()}
    figures["collisions"] = sum(outcome.collisions for outcome in outcomes)
    figures["intervals"] = {
        name: _rate(int(found.sum()), len(found)) if name in ("sr", "osr") else _mean(found, seed)
        for name, found in values.items()
        if len(found)
    }
    return figures


def _rate(successes: int, trials: int) -> list[float]:
    """Return the 95 % interval [low, high] of a rate, by Wilson."""
    found = binomtest(successes, trials).proportion_ci(LEVEL, "wilson")
    return [round(float(found.low), 4), round(float(found.high), 4)]


def _mean(values: np.ndarray, seed: int) -> list[float]:
    """Return the 95 % interval [low, high] of a mean, by bootstrap."""
    found = bootstrap(Score("mean", tuple(values.tolist())), level=LEVEL, seed=seed)
    return [round(found.low, 4), round(found.high, 4)]

"""Navigation episodes, which are driven and not asked: ours, and those of R2R-CE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cc_ros.evaluation.benchmarks.r2r import NEEDS as R2R_NEEDS
from cc_ros.evaluation.benchmarks.r2r import SPLITS as R2R_SPLITS
from cc_ros.evaluation.navigation import Outcome
from cc_ros.evaluation.types import FORWARD, Pair, Score

FIGURES: Mapping[str, Callable[[Outcome], float]] = {
    "SR": lambda outcome: 100.0 * outcome.success,
    "oracle SR": lambda outcome: 100.0 * outcome.oracle_success,
    "SPL": lambda outcome: 100.0 * outcome.spl,
    "TL": lambda outcome: outcome.travelled,
    "NE": lambda outcome: outcome.left,
}


@dataclass(frozen=True)
class Episodes:
    """A set of episodes, scored as R2R is: SR, oracle SR and SPL in per cent, TL and NE in metres.

    :param figures: metric -> what it is of one episode.
    """

    name: str
    needs: str
    splits: tuple[str, ...]
    figures: Mapping[str, Callable[[Outcome], float]]
    directions: tuple[str, ...] = (FORWARD,)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return the figures of the episodes that were driven."""
        return [Score(name, [answer.figures[name] for _, answer in pairs]) for name in self.figures]


NAV_NEEDS = """instructions in simulated rooms, driven by `cc-ros sim`, scored by SR, oracle SR, SPL, TL and NE
No data are needed; MuJoCo is (pip install 'cc_ros[sim]'). --limit N episodes (default 10), drawn by --seed."""
EPISODES = {
    "r2r": Episodes("r2r", R2R_NEEDS, R2R_SPLITS, {**FIGURES, "actions": lambda outcome: outcome.actions}),
    "nav": Episodes("nav", NAV_NEEDS, ("all",), FIGURES),
}

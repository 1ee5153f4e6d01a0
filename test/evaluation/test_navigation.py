"""Metrics of navigation episodes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cc_ros.evaluation.navigation import Outcome, metrics

REACHED = Outcome(shortest=4.0, travelled=5.0, left=0.3, nearest=0.2, radius=0.5)
PASSED = Outcome(shortest=4.0, travelled=9.0, left=2.0, nearest=0.4, radius=0.5, collisions=2)
GAVE_UP = Outcome(shortest=4.0, travelled=3.0, left=0.4, nearest=0.4, radius=0.5, stopped=False)


def test_the_figures_are_those_of_the_definitions() -> None:
    figures = metrics([REACHED, PASSED, GAVE_UP, REACHED])
    assert list(figures) == ["episodes", "sr", "osr", "spl", "tl", "ne", "collisions", "intervals"]
    assert (figures["episodes"], figures["sr"], figures["osr"], figures["collisions"]) == (4, 0.5, 1.0, 2)
    assert figures["spl"] == pytest.approx((0.8 + 0 + 0 + 0.8) / 4)
    assert figures["tl"] == pytest.approx((5 + 9 + 3 + 5) / 4)
    assert figures["ne"] == pytest.approx((0.3 + 2.0 + 0.4 + 0.3) / 4)
    for name, (low, high) in figures["intervals"].items():
        assert low <= figures[name] <= high, name
    json.dumps(figures, allow_nan=False)


def test_a_way_shorter_than_the_shortest_counts_no_more_than_1() -> None:
    assert Outcome(shortest=4.0, travelled=3.9, left=0.1, nearest=0.1, radius=0.5).spl == 1.0


def test_no_episodes_have_no_figures() -> None:
    assert metrics([]) == {
        "episodes": 0,
        **dict.fromkeys(("sr", "osr", "spl", "tl", "ne")),
        "collisions": 0,
        "intervals": {},
    }


def test_intervals_are_those_of_the_literature() -> None:
    ways = np.random.default_rng(1).normal(3.0, 1.0, 400)
    outcomes = [Outcome(4.0, way, 0.1 if n < 320 else 2.0, 0.1, 0.5) for n, way in enumerate(ways.tolist())]
    intervals = metrics(outcomes)["intervals"]
    assert metrics(outcomes[312:322])["intervals"]["sr"] == pytest.approx([0.4902, 0.9433], abs=1e-4)  # 8 of 10
    assert metrics(outcomes[:50])["intervals"]["sr"] == pytest.approx([0.9287, 1.0], abs=1e-4)
    low, high = intervals["tl"]
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert metrics(outcomes)["intervals"] == intervals  # seeded

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cc_ros.errors import SettingsError
from cc_ros.evaluation.metrics.intervals import bootstrap, paired
from cc_ros.evaluation.types import Score


def test_an_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).random(200)
    found = bootstrap(Score("x", values.tolist()))
    other = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile").confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.005)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    intervals = [bootstrap(Score("x", draw.binomial(1, 0.7, 80).tolist()), resamples=300) for _ in range(200)]
    assert 0.88 < np.mean([one.low <= 0.7 <= one.high for one in intervals]) <= 0.99


def test_questions_of_one_scene_make_the_interval_wider() -> None:
    values = np.repeat(np.random.default_rng(2).binomial(1, 0.5, 20), 10).tolist()  # ten equal answers a scene
    alone = bootstrap(Score("x", values))
    together = bootstrap(Score("x", values), groups=[n // 10 for n in range(200)])
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_figure_that_is_no_mean_is_computed_anew() -> None:
    values = np.random.default_rng(3).random(50)
    score = Score("root", values.tolist(), lambda numbers: math.sqrt(float(values[np.asarray(numbers)].mean())))
    mean, root = bootstrap(Score("mean", values.tolist())), bootstrap(score)
    assert [root.value, root.low, root.high] == pytest.approx(
        [math.sqrt(one) for one in (mean.value, mean.low, mean.high)], abs=0.01
    )


def test_values_that_do_not_apply_are_not_counted() -> None:
    assert bootstrap(Score("x", [1, math.nan, 0, math.nan])).value == 0.5
    with pytest.raises(SettingsError, match="no answers that count"):
        bootstrap(Score("x", [math.nan]))


def test_the_same_seed_gives_the_same_interval() -> None:
    score = Score("x", np.random.default_rng(6).random(30).tolist())
    assert bootstrap(score, seed=4) == bootstrap(score, seed=4) != bootstrap(score, seed=5)


def test_a_paired_test_agrees_with_the_sign_test() -> None:
    first = [0] * 12 + [1] * 88
    second = [1] * 10 + [0] * 2 + [1] * 86 + [0] * 2  # 10 better, 2 worse
    found = paired(Score("a", first), Score("b", second), resamples=9999)
    assert found.difference.value == pytest.approx(0.08)
    assert found.p_value == pytest.approx(stats.binomtest(2, 12).pvalue, abs=0.01)  # McNemar's exact test
    assert found.difference.low > 0


def test_conditions_that_do_not_differ_have_p_1() -> None:
    assert paired(Score("a", [1, 0, 1]), Score("b", [1, 0, 1])).p_value == 1


def test_only_the_same_questions_can_be_compared() -> None:
    with pytest.raises(SettingsError, match="not 2 and 3"):
        paired(Score("a", [1, 0]), Score("b", [1, 0, 1]))
    with pytest.raises(SettingsError, match="3 values need as many groups"):
        bootstrap(Score("a", [1, 0, 1]), groups=["x"])

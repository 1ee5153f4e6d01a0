"""The base stops without commands and keeps its limits; odometry drifts as told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cc_ros.sim.robot import MAX_ANGULAR, MAX_LINEAR, Base, Odometry
from cc_ros.sim.world import Pose

STEP = 0.02


def drive(base: Base, now: float, seconds: float) -> float:
    for _ in range(round(seconds / STEP)):
        base.advance(now, STEP)
        now += STEP
    return now


@pytest.mark.parametrize(("linear", "angular"), [(9.0, 0.0), (-9.0, 0.0), (0.0, 9.0), (0.3, -9.0)])
def test_without_commands_it_stands_within_half_a_second_from_any_speed(linear: float, angular: float) -> None:
    base, now = Base(), 0.0
    while now < 3.0:
        base.command(linear, angular, now)
        now = drive(base, now, STEP)
    assert abs(base.linear) == pytest.approx(min(abs(linear), MAX_LINEAR))
    assert abs(base.angular) == pytest.approx(min(abs(angular), MAX_ANGULAR))
    drive(base, now, 0.5)
    assert (base.linear, base.angular) == (0.0, 0.0)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_a_command_that_is_no_number_stops_it(nonsense: float) -> None:
    base = Base()
    base.command(0.4, 0.0, 0.0)
    now = drive(base, 0.0, 0.2)
    assert base.linear > 0.1
    base.command(nonsense, 0.0, now)
    drive(base, now, 0.2)
    assert base.linear == 0.0


def test_odometry_drifts_by_the_share_that_is_asked_for() -> None:
    ends = []
    for seed in range(200):
        odometry = Odometry(0.02, seed, Pose(3.0, 4.0, math.pi / 2))
        for k in range(1, 101):
            odometry.advance(Pose(3.0, 4.0 + 0.1 * k, math.pi / 2))
        ends.append(odometry.pose.x)
    assert np.mean(ends) == pytest.approx(10.0, abs=0.1)
    assert np.std(ends) == pytest.approx(0.2, rel=0.25)
    exact = Odometry(0.0, 0, Pose(1.0, 0.0, 0.0))
    for k in range(1, 64):
        exact.advance(Pose(math.cos(0.1 * k), math.sin(0.1 * k), 0.1 * k))
    assert exact.pose == pytest.approx((math.cos(6.3) - 1, math.sin(6.3), 6.3), abs=1e-6)

"""Steering by the discrete actions of VLN-CE, in a world without ROS or physics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kinematic_world import KinematicWorld

from cc_ros.evaluation.benchmarks.r2r import Rules
from cc_ros.sim.grid import Grid
from cc_ros.sim.simulation import Simulation
from cc_ros.sim.steering import Action, DriveError, NoWayError, Steps
from cc_ros.sim.world import Pose

RULES = Rules()
TICK = 1 / 30
GOAL = (2.4, 0.0)


class Floor(KinematicWorld):
    """A floor of 8 x 8 m with boxes on it, which block the robot."""

    def __init__(self, boxes: list[tuple[float, float, float, float]]) -> None:
        super().__init__()
        self.grid = Grid.of_size((-4.0, -4.0), (4.0, 4.0), 0.08)
        for x, y, width, depth in boxes:
            self.grid.block(x, y, x + width, y + depth)
        self.clearance = self.grid.clearance()

    def move(self, ahead: float, turn: float) -> bool:
        before = self.pose()
        super().move(ahead, turn)
        (cell,) = self.grid.cells(np.array([self.pose()[:2]]))
        blocked = ahead != 0 and bool(self.clearance[tuple(cell)] <= self.radius)
        if blocked:
            self.place(before)
        return blocked


class Rider:
    """Follows ways over a floor by actions, and notes where each of them leads."""

    def __init__(self, floor: Floor, yaw: float = 0.0, drift: float = 0.0, rules: Rules = RULES) -> None:
        start = Pose(0.0, 0.0, yaw)
        floor.place(start)
        self.simulation = Simulation(lambda: floor, drift)
        self.simulation.odometry.pose = start
        self.steps = Steps(rules, self._act)
        self.places = [floor.pose()]

    def _act(self, ahead: float, turn: float) -> float:
        done = self.simulation.act(ahead, turn)
        while self.simulation.now < done - 1e-9:
            self.simulation.advance(TICK)
        self.places.append(self.simulation.world.pose())
        return done

    def follow(self, plan: Callable[[Pose], np.ndarray]) -> None:
        along = self.steps.along()
        while (action := along(self.simulation.odometry.pose, plan(self.simulation.odometry.pose))) is not None:
            self.steps.take(action)


def straight(pose: Pose) -> np.ndarray:
    """Return the way to the goal of somebody who knows of nothing in between."""
    return np.linspace(pose[:2], GOAL, 30)


boxes = st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.1, 1.5), st.floats(0.1, 1.5))


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, max_size=6), st.floats(-3, 3), st.floats(-3, 3), st.floats(-4, 4), st.booleans())
def test_it_arrives_within_half_a_step_by_whole_steps_and_turns(
    blocks: list[tuple[float, float, float, float]], x: float, y: float, yaw: float, drifts: bool
) -> None:
    floor = Floor([box for box in blocks if math.hypot(*np.clip(0, box[:2], np.add(box[:2], box[2:]))) > 0.5])
    fits = np.where(floor.clearance > floor.radius + 0.12, 1 + 4 * np.maximum(0, 0.6 - floor.clearance), np.inf)
    way = floor.grid.ways([(0.0, 0.0)], fits).path((x, y))[::-1]
    rider = Rider(floor, yaw, 0.01 if drifts else 0.0)
    rider.follow(lambda _: way)
    assert rider.steps.taken < 30 + 0.6 * len(way)  # turned around once, then two actions for each 0.25 m
    if len(way):
        assert math.dist(rider.simulation.odometry.pose[:2], way[-1]) < 0.525 * RULES.forward
    for before, after in itertools.pairwise(rider.places):
        moved, turned = math.dist(before[:2], after[:2]), abs(after.yaw - before.yaw)
        assert (moved, turned) in (pytest.approx((0.25, 0)), pytest.approx((0, RULES.turn)))
        assert math.remainder(after.yaw - yaw, RULES.turn) == pytest.approx(0)


def test_the_episode_ends_with_the_last_action_that_it_has() -> None:
    rider = Rider(Floor([]), rules=Rules(max_steps=4))
    with pytest.raises(DriveError, match="all 4 actions"):
        rider.follow(straight)
    assert rider.steps.taken == 4 and rider.places[-1].x == pytest.approx(1.0)
    rider.steps.begin()
    rider.steps.take(Action.STOP)
    assert rider.steps.taken == 1 and rider.places[-1] == rider.places[-2]


def test_what_it_did_not_know_of_is_walked_around_and_a_trap_is_told() -> None:
    rider = Rider(Floor([(0.8, -0.1, 0.2, 0.2)]))
    rider.follow(straight)
    assert math.dist(rider.places[-1][:2], GOAL) < 0.14 and rider.simulation.collisions > 0
    assert rider.steps.taken < 60
    trap = Floor([(1.0, 1.0, 0.1, 0.1)])
    trap.radius = 9.0
    trapped = Rider(trap)
    with pytest.raises(NoWayError, match="all around"):
        trapped.follow(straight)


@pytest.mark.parametrize("yaw", [0.0, 3.0, -1.6])
def test_it_turns_once_around_and_to_the_nearest_heading(yaw: float) -> None:
    rider = Rider(Floor([]))
    turn = rider.steps.around()
    while (action := turn(rider.places[-1])) is not None:
        rider.steps.take(action)
    assert rider.steps.taken == 24 and rider.places[-1].yaw == pytest.approx(math.tau)
    while (action := rider.steps.to_heading(rider.simulation.odometry.pose, yaw)) is not None:
        rider.steps.take(action)
    assert abs(math.remainder(rider.places[-1].yaw - yaw, math.tau)) < 0.6 * RULES.turn
    assert rider.steps.taken <= 24 + 12

"""One navigation episode through the running nodes: look around, ask, go where the answer says, stop."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cc_ros.client import SpatialMemory
from cc_ros.errors import NodeError
from cc_ros.evaluation.navigation import Outcome
from cc_ros.reasoning.types import Status
from cc_ros.sim.driver import Driver
from cc_ros.sim.episodes import Episode
from cc_ros.sim.node import SimNode
from cc_ros.sim.simulation import Simulation
from cc_ros.sim.steering import Action, DriveError, NoWayError
from cc_ros.sim.world import Pose

LOOKS = 8  # places from which it looks around before it gives up
SETTLE = 1.0  # seconds of simulated time until what was seen last has been tracked
ANSWER_TIME = 60.0  # seconds
REACHED = 0.3  # metres from a goal at which it counts as reached
TRIES = 3  # of one question


@dataclass
class Trial:
    """What happened in an episode.

    :ivar trail: where the robot truly was.
    :ivar said: questions, answers and moves, in sentences.
    :ivar pictures: caption -> JPEG: what the robot saw with the marks of its keyframes.
    :ivar why: for people, why it ended without a stop at a goal; "" where it did not.
    :ivar moved_after_stop: metres within two seconds after the stop.
    """

    episode: Episode
    trail: list[Pose] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    why: str = ""
    outcome: Outcome | None = None
    seconds: float = 0.0
    moved_after_stop: float = 0.0


class Trials:
    """Runs episodes one by one.

    :param picture: returns what the robot sees now, as JPEG.
    :param stop: set to end the episode under way.
    """

    def __init__(
        self,
        sim: SimNode,
        memory: SpatialMemory,
        driver: Driver,
        picture: Callable[[], bytes],
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._sim = sim
        self._memory = memory
        self._driver = driver
        self._picture = picture

    def run(self, episode: Episode) -> Trial:
        """Run an episode; whatever goes wrong in it is its outcome.

        :raises NotRunningError: the nodes are gone.
        """
        self._sim.call(lambda simulation: simulation.restart(episode.start))
        self._memory.reset(timeout=30.0)
        self._driver.begin()
        self._pause(SETTLE)
        start = self._sim.call(lambda simulation: (simulation.world.pose(), simulation.now))
        trial = Trial(episode, pictures={"at the start": self._picture()})
        steps, stopped = self._driver.steps, False
        if steps is not None:
            trial.said.append(f"rules: {steps.rules}")
        try:
            stopped = self._search(trial)
        except (DriveError, NodeError) as error:
            trial.why = str(error)
        end = "stopped: it is there" if stopped else f"gave up: {trial.why}"
        trial.said.append(end if steps is None else f"{end}; {steps.taken} actions")
        self._end(trial, start[0], start[1], stopped)
        return trial

    def _search(self, trial: Trial) -> bool:
        """Look around and ask from place to place until the goal is reached; return whether it was."""
        anew = again = False
        for _ in range(LOOKS):
            self._driver.look_around()
            self._pause(SETTLE)
            goal = self._ask(trial)
            if goal is not None:
                try:
                    if self._go_before(goal) < REACHED or again:
                        self._go_nearer(trial)
                        return True
                except NoWayError as error:  # as where drift has smeared a door shut
                    trial.said.append(f"{error}: looks at the floor anew")
                    self._driver.forget_floor()
                    continue
                again = True
                trial.said.append("no way is known to the goal itself: looks again from here")
                continue
            place = self._driver.frontier()
            if place is None:
                if anew:
                    trial.why = "all of the floor was seen, and no mark was the one"
                    return False
                anew = True
                self._driver.forget_floor()
                trial.said.append("all of the floor was seen: looks at it anew")
                continue
            trial.said.append(f"went on to ({place[0]:.1f}, {place[1]:.1f}), where floor is still unknown")
            try:
                self._driver.go_to(place)
            except NoWayError as error:  # seen on the way there; elsewhere there may be more to see
                trial.said.append(str(error))
        trial.why = f"not reached from {LOOKS} places"
        return False

    def _go_before(self, goal: Pose) -> float:
        """Go to a goal, or as near as there is a way, and turn to what it lies before; return the metres left.

        :raises NoWayError: there is no way near it.
        """
        self._driver.go_to((goal.x, goal.y))
        here = self._driver.pose()
        target = goal.x + 0.8 * math.cos(goal.yaw), goal.y + 0.8 * math.sin(goal.yaw)
        self._driver.turn_to(math.atan2(target[1] - here.y, target[0] - here.x))
        return math.dist(here[:2], goal[:2])

    def _go_nearer(self, trial: Trial) -> None:
        """Ask again, now that the floor before the object was seen from near, go where that leads to, and stop."""
        self._pause(SETTLE)
        goal = self._ask(trial)
        if goal is not None and math.dist(self._driver.pose()[:2], goal[:2]) > REACHED:
            try:
                self._go_before(goal)
            except NoWayError as error:  # it is before the object already
                trial.said.append(str(error))
        if self._driver.steps is not None:
            self._driver.steps.take(Action.STOP)

    def _ask(self, trial: Trial) -> Pose | None:
        """Ask which mark the instruction leads to; return the goal that the answer comes with."""
        begun = time.monotonic()
        result = self._answer(trial)
        said = result.answer or result.message
        trial.said.append(f"{said} ({result.source or 'no answer'}, {time.monotonic() - begun:.1f} s)")
        if result.status != Status.OK:
            return None
        keyframes = [k for k in self._memory.keyframes() if {mark.id for mark in k.marks} & set(result.mark_ids)]
        if keyframes:
            trial.pictures[f"{result.answer}, as the model was shown it"] = keyframes[-1].jpeg
        if not result.has_goal:
            trial.said.append(result.message)
            return None
        place, turn = result.goal.pose.position, result.goal.pose.orientation
        return Pose(place.x, place.y, 2 * math.atan2(turn.z, turn.w))

    def _answer(self, trial: Trial) -> Any:
        """Ask; where cc_reasoner seems to be gone, as on a machine that is too busy, ask again.

        :raises NodeError: it is gone.
        """
        for left in reversed(range(TRIES)):
            try:
                question: dict[str, Any] = {"kind": "which_mark", "send_goal": True, "timeout": ANSWER_TIME}
                return self._memory.query(trial.episode.instruction, cancel=self._stop, **question)
            except NodeError as error:
                if not left:
                    raise
                trial.said.append(f"asked again: {error}")
        raise AssertionError("unreachable")

    def _end(self, trial: Trial, start: Pose, begun: float, stopped: bool) -> None:
        """Measure how it went, and whether the robot stands."""
        before = self._sim.call(lambda simulation: simulation.world.pose())
        self._pause(2.0)
        trial.pictures["at the end"] = self._picture()

        def measure(simulation: Simulation) -> None:
            trial.trail = list(simulation.trail)
            end = trial.trail[-1]
            points = [start[:2], end[:2], *(pose[:2] for pose in trial.trail[::20])]
            shortest, left, *on_the_way = simulation.world.distances(points, trial.episode.goals)
            trial.seconds = simulation.now - begun
            trial.moved_after_stop = math.dist(before[:2], end[:2])
            trial.outcome = Outcome(
                shortest=shortest,
                travelled=length(trial.trail),
                left=left,
                nearest=min(left, *on_the_way),
                radius=trial.episode.radius,
                collisions=simulation.collisions,
                stopped=stopped,
                actions=self._driver.steps.taken if self._driver.steps else 0,
            )

        self._sim.call(measure)

    def _pause(self, seconds: float) -> None:
        """Let simulated time pass."""
        end = self._sim.call(lambda simulation: simulation.now) + seconds
        while self._sim.call(lambda simulation: simulation.now) < end:
            pass


def length(trail: list[Pose]) -> float:
    """Return the length of a way over ground, metres."""
    points = np.array([pose[:2] for pose in trail])
    return float(np.hypot(*np.diff(points, axis=0).T).sum())

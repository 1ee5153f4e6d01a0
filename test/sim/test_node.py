"""The simulated robot over ROS, and the driver's faults: whatever stops, the robot stands within half a second."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from cc_ros.msg import Tracks
from cc_ros.srv import SpatialQuery
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from support.kinematic_world import KinematicWorld
from support.rig import Onlooker, isolated, until

from cc_ros.client import SpatialMemory
from cc_ros.dds import prepare
from cc_ros.errors import NodeError
from cc_ros.evaluation.benchmarks.r2r import Rules
from cc_ros.nodes.convert.images import to_bgr, to_depth
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.reasoning.types import Status
from cc_ros.sim.driver import Driver
from cc_ros.sim.episodes import Episode
from cc_ros.sim.node import SimNode
from cc_ros.sim.settings import SimSettings
from cc_ros.sim.simulation import Simulation
from cc_ros.sim.steering import DriveError, Steps
from cc_ros.sim.trial import Trials
from cc_ros.sim.world import Pose

STANDS = 0.5  # seconds


@dataclass
class Rig:
    """A simulated robot, somebody who looks on, and a driver."""

    sim: SimNode
    look: Onlooker
    driver: Driver
    stepping: Driver
    stop: threading.Event
    tracker: Tracker

    def speed(self) -> float:
        return self.sim.call(lambda simulation: abs(simulation.base.linear) + abs(simulation.base.angular))

    def pose(self) -> Pose:
        return self.sim.call(lambda simulation: simulation.world.pose())

    def now(self) -> float:
        return self.sim.call(lambda simulation: simulation.now)

    def seconds_until_it_stands(self, fault: Callable[[Simulation], None]) -> float:
        """Let something fail between two steps; return the simulated seconds until the robot stands."""

        def fail(simulation: Simulation) -> float:
            fault(simulation)
            return simulation.now

        begun = self.sim.call(fail)
        while True:
            speed, now = self.sim.call(lambda s: (abs(s.base.linear) + abs(s.base.angular), s.now))
            if speed == 0.0 or now - begun > 5.0:
                return now - begun


@pytest.fixture(scope="module")
def started() -> Iterator[Rig]:
    with ExitStack() as stack:
        stack.enter_context(isolated())
        prepare()
        context = rclpy.Context()
        rclpy.init(context=context)
        stack.callback(context.try_shutdown)
        sim = SimNode(KinematicWorld, SimSettings(hz=20.0, drift=0.0), context=context)
        spare = rclpy.create_node(
            "driver", context=context, parameter_overrides=[Parameter("use_sim_time", value=True)]
        )
        over, stop = threading.Event(), threading.Event()
        world = KinematicWorld()
        driver = Driver(spare, world.camera, world.radius, stop, tracks=True)
        steps = Steps(Rules(), lambda ahead, turn: sim.call(lambda simulation: simulation.act(ahead, turn)))
        stepping = Driver(spare, world.camera, world.radius, stop, tracks=True, steps=steps)
        threads = [threading.Thread(target=sim.run, args=(over,), daemon=True)]
        for node in (sim, spare):
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            threads.append(threading.Thread(target=spin, args=(executor, over), daemon=True))
        look = Onlooker(context)
        stack.callback(look.close)
        tracker = Tracker(look)
        for thread in threads:
            thread.start()

        def end() -> None:
            over.set()
            for thread in threads:
                thread.join(10)

        stack.callback(end)
        assert sim.ready.wait(20)
        until(lambda: driver.ready and stepping.ready, 20)
        yield Rig(sim, look, driver, stepping, stop, tracker)


@pytest.fixture
def rig(started: Rig) -> Iterator[Rig]:
    """Return the same rig for each test, with all of it on and the robot back at its start."""
    started.stop.clear()
    started.sim.odometry_on = started.sim.images_on = started.tracker.alive = True
    started.sim.call(lambda simulation: simulation.restart(Pose(0.0, 0.0, 0.0)))
    for driver in (started.driver, started.stepping):
        driver.begin()
    until(lambda: started.driver.ready, 20)
    yield started
    started.stop.set()


class Tracker:
    """Sends tracks for each image, as cc_tracker does, until it is killed."""

    def __init__(self, look: Onlooker) -> None:
        self.alive = True
        self._tracks = look.publisher(Tracks, "cc/tracks", reliable=True)
        look.node.create_subscription(Image, "image", self._on_image, 5)

    def _on_image(self, image: Image) -> None:
        if self.alive:
            self._tracks.publish(Tracks(header=image.header))


def spin(executor: SingleThreadedExecutor, over: threading.Event) -> None:
    while not over.is_set():
        executor.spin_once(timeout_sec=0.1)


class Going(threading.Thread):
    """Somebody who drives five metres ahead."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(daemon=True)
        self.driver = driver
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.driver.go_to((5.0, 0.0))
        except DriveError as error:
            self.error = error


def going(rig: Rig) -> Going:
    thread = Going(rig.driver)
    thread.start()
    until(lambda: rig.speed() > 0.2, 20, "it does not go")
    return thread


def test_the_topics_tell_what_the_camera_shows_and_where_the_robot_is(rig: Rig) -> None:
    images, depths, infos = (
        rig.look.listen(*topic) for topic in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"))
    )
    clock, odom = rig.look.listen(Clock, "/clock"), rig.look.listen(Odometry, "odom")
    until(lambda: len(depths) > 3 and len(images) > 3 and infos and odom and clock)
    view, camera = KinematicWorld().view(), KinematicWorld().camera
    assert np.array_equal(to_bgr(images[-1]), view.picture)
    known = (view.depth > 0) & (view.depth < 10)
    assert np.allclose(to_depth(depths[-1]), np.where(known, view.depth, np.nan), atol=1e-3, equal_nan=True)
    assert {nanoseconds(depth.header.stamp) for depth in depths[:3]} & {
        nanoseconds(image.header.stamp) for image in images
    }
    assert np.allclose(np.reshape(infos[-1].k, (3, 3)), camera.matrix())
    assert (odom[-1].header.frame_id, odom[-1].child_frame_id) == ("odom", "base_link")
    speeds = rig.look.publisher(Twist, "cmd_vel", reliable=True)
    message = Twist()
    message.linear.x = 0.4

    def moved() -> bool:
        speeds.publish(message)
        return rig.sim.call(lambda simulation: simulation.world.pose().x) > 0.3

    until(moved, 40)
    until(lambda: odom[-1].pose.pose.position.x > 0.3, 20)
    # the camera looks ahead and down from its place, as the nodes are told
    assert rig.seconds_until_it_stands(lambda simulation: None) < STANDS


def test_it_drives_to_a_goal_and_stands_there(rig: Rig) -> None:
    rig.driver.go_to((1.0, 0.5))
    until(lambda: rig.speed() == 0.0)
    pose = rig.sim.call(lambda simulation: simulation.world.pose())
    assert np.hypot(pose.x - 1.0, pose.y - 0.5) < 0.25
    rig.driver.turn_to(1.0)
    until(lambda: rig.speed() == 0.0)
    assert rig.sim.call(lambda simulation: simulation.world.pose()).yaw == pytest.approx(1.0, abs=0.15)


def test_by_actions_it_drives_in_whole_steps_and_turns_and_says_the_rules(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.stepping, "look_around", lambda: rig.stepping.go_to((0.5, 0.5)))
    monkeypatch.setattr(rig.stepping, "frontier", lambda: None)
    monkeypatch.setattr("cc_ros.sim.trial.SETTLE", 0.2)
    trials = Trials(rig.sim, cast(SpatialMemory, Blank()), rig.stepping, bytes, rig.stop)
    trial = trials.run(Episode("1", "nowhere", Pose(0.0, 0.0, 0.0), ((0.5, 0.5),), 3.0, "Go to the red sofa.", ()))
    pose = rig.pose()
    assert np.hypot(pose.x - 0.5, pose.y - 0.5) < 0.2  # half a step, and half a cell of the map
    assert math.remainder(pose.yaw, math.radians(15)) == pytest.approx(0, abs=1e-9) and abs(pose.yaw) > 0.5
    assert trial.outcome is not None and trial.outcome.travelled == pytest.approx(0.75)
    assert trial.outcome.actions == 3 + round(abs(pose.yaw) / math.radians(15)) and not trial.outcome.success
    assert "at most 500 discrete actions, 0.25 m forward or 15 degrees" in trial.said[0]
    assert trial.said[-1].endswith(f"{trial.outcome.actions} actions")


def test_by_actions_as_well_it_stands_within_half_a_second(rig: Rig) -> None:
    thread = Going(rig.stepping)
    thread.start()
    until(lambda: rig.speed() > 0.2, 20, "it does not go")
    rig.tracker.alive = False
    since = rig.now()
    until(lambda: rig.now() > since + STANDS)
    taken, place = rig.stepping.steps.taken, rig.pose()
    until(lambda: rig.now() > since + 1.5)
    assert (rig.stepping.steps.taken, rig.pose()) == (taken, place)
    rig.stepping.steps.taken = Rules().max_steps
    rig.tracker.alive = True
    thread.join(10)
    assert str(thread.error) == "all 500 actions were taken"


def odometry(rig: Rig, on: bool) -> None:
    rig.sim.odometry_on = on


def images(rig: Rig, on: bool) -> None:
    rig.sim.images_on = on


def tracker(rig: Rig, on: bool) -> None:
    rig.tracker.alive = on


@pytest.mark.parametrize("switch", [odometry, images, tracker])
def test_without_odometry_images_or_tracker_it_stands_and_goes_on_when_they_are_back(
    rig: Rig, switch: Callable[[Rig, bool], None]
) -> None:
    thread = going(rig)
    assert rig.seconds_until_it_stands(lambda _: switch(rig, False)) < STANDS
    since = rig.now()
    until(lambda: rig.now() > since + 0.5)
    assert rig.speed() == 0.0
    switch(rig, True)
    until(lambda: rig.speed() > 0.2, 20, "it does not go on")
    rig.stop.set()
    thread.join(10)
    assert isinstance(thread.error, DriveError)
    until(lambda: rig.speed() == 0.0)


class Hanging:
    """The nodes with a model that never answers, until the question is taken back."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def reset(self, timeout: float) -> None:
        pass

    def query(self, text: str, cancel: threading.Event, **question: Any) -> Any:
        self.asked.set()
        cancel.wait(60)
        raise NodeError("cc_reasoner hangs")


def test_while_a_model_hangs_it_stands(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.driver, "look_around", lambda: rig.driver.turn_to(0.7))  # all around takes long
    monkeypatch.setattr("cc_ros.sim.trial.SETTLE", 0.2)
    memory = Hanging()
    trials = Trials(rig.sim, cast(SpatialMemory, memory), rig.driver, bytes, rig.stop)
    episode = Episode("1", "nowhere", Pose(0.0, 0.0, 0.0), ((3.0, 0.0),), 0.5, "Go to the red sofa.", ())
    trial = []
    thread = threading.Thread(target=lambda: trial.append(trials.run(episode)), daemon=True)
    thread.start()
    until(lambda: rig.speed() > 0.2, 20, "it does not look around")
    assert memory.asked.wait(60)
    assert rig.seconds_until_it_stands(lambda _: None) < STANDS
    since, place = rig.now(), rig.pose()
    until(lambda: rig.now() > since + 1.0)
    assert rig.pose() == place
    rig.stop.set()
    thread.join(20)
    assert trial[0].why == "cc_reasoner hangs" and not trial[0].outcome.success
    assert trial[0].moved_after_stop == 0.0


class Blank(Hanging):
    """The nodes with a model that finds nothing."""

    def query(self, text: str, cancel: threading.Event, **question: Any) -> Any:
        return SpatialQuery.Response(status=int(Status.CANNOT_TELL), message="no mark lies on it")


def test_where_there_turns_out_to_be_no_way_to_it_looks_elsewhere(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Pose] = []
    monkeypatch.setattr(rig.driver, "look_around", lambda: looks.append(rig.pose()))
    monkeypatch.setattr(rig.driver, "frontier", lambda: (50.0, 0.0) if len(looks) == 1 else None)
    monkeypatch.setattr("cc_ros.sim.trial.SETTLE", 0.2)
    trials = Trials(rig.sim, cast(SpatialMemory, Blank()), rig.driver, bytes, rig.stop)
    episode = Episode("1", "nowhere", Pose(0.0, 0.0, 0.0), ((3.0, 0.0),), 0.5, "Go to the red sofa.", ())
    trial = trials.run(episode)
    assert len(looks) == 3 and trial.why.startswith("all of the floor was seen"), trial.said
    assert "all of the floor was seen: looks at it anew" in trial.said and not rig.driver.map._seen.any()


def test_a_driver_that_dies_or_is_stopped_leaves_it_standing(rig: Rig) -> None:
    thread = going(rig)
    # a killed driver sends nothing more, not even that it stops
    assert rig.seconds_until_it_stands(lambda _: setattr(rig.driver, "_send", lambda *speeds: None)) < STANDS
    del rig.driver._send
    until(lambda: rig.speed() > 0.2)
    assert rig.seconds_until_it_stands(lambda _: rig.stop.set()) < STANDS
    thread.join(10)
    assert str(thread.error) == "stopped"

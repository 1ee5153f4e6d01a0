"""One move: it comes to its end, keeps every limit whatever odometry says, and ends with zero for ever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.motion.control import LONGEST_TICK, STAND, MoveControl, Planar
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings

LIMITS = MotionSettings()
START = Planar(1.0, 2.0, 3.0)
TICK = 0.05
FREE = math.inf


class Robot:
    """Does what it is told, some ticks later."""

    def __init__(self, lag: int = 2, scale: float = 1.0, drift: float = 0.0) -> None:
        self.pose, self.now, self.scale, self.drift = START, 0.0, scale, drift
        self.under_way = [STAND] * lag

    def go(self, control: MoveControl, room: float = FREE, halt: Halt | None = None) -> None:
        self.now += TICK
        self.under_way.append(control.tick(self.now, self.pose, room, halt))
        forward, turn = self.under_way.pop(0)
        x, y, yaw = self.pose
        yaw += (turn * self.scale + (self.drift if forward else 0.0)) * TICK
        way = forward * self.scale * TICK
        self.pose = Planar(x + way * math.cos(yaw), y + way * math.sin(yaw), math.remainder(yaw, math.tau))


def control_of(amount: float, turning: bool = False) -> MoveControl:
    return MoveControl(LIMITS, amount, turning, START, 0.0)


def drive(control: MoveControl, robot: Robot, seconds: float = 60.0) -> None:
    while not control.stands:
        robot.go(control)
        assert robot.now < seconds
    for _ in range(5):
        robot.go(control)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.2])
@pytest.mark.parametrize(("amount", "turning"), [(0.05, False), (2.0, False), (0.1, True), (math.pi, True), (-2, True)])
def test_a_move_ends_where_it_should(amount: float, turning: bool, scale: float) -> None:
    control, robot = control_of(amount, turning), Robot(scale=scale)
    drive(control, robot)
    assert control.halt == Halt(Cause.DONE)
    if turning:
        assert math.remainder(robot.pose.yaw - START.yaw - amount, math.tau) == pytest.approx(0.0, abs=0.08)
        assert control.progress == pytest.approx(abs(amount), abs=0.08)
        assert robot.pose[:2] == START[:2]
    else:
        way = math.hypot(robot.pose.x - START.x, robot.pose.y - START.y)
        assert way == pytest.approx(amount, abs=0.035)
        assert control.progress == pytest.approx(way, abs=1e-3)


def test_a_robot_that_pulls_to_one_side_keeps_its_line() -> None:
    control, robot = control_of(3.0), Robot(drift=0.1)
    drive(control, robot)
    assert control.halt == Halt(Cause.DONE)
    beside = (robot.pose.y - START.y) * math.cos(START.yaw) - (robot.pose.x - START.x) * math.sin(START.yaw)
    assert abs(beside) < 0.08


def test_it_stands_before_what_comes_into_its_way() -> None:
    control, robot = control_of(3.0), Robot(lag=1)
    for _ in range(40):
        robot.go(control)
    at = robot.pose
    wall = 0.3  # metres ahead, all of a sudden
    while not control.stands:
        robot.go(control, room=wall - math.hypot(robot.pose.x - at.x, robot.pose.y - at.y))
    robot.go(control)
    assert control.halt is not None and control.halt.cause is Cause.OBSTACLE
    assert math.hypot(robot.pose.x - at.x, robot.pose.y - at.y) < wall


def test_it_does_not_begin_before_a_wall() -> None:
    control, robot = control_of(1.0), Robot()
    robot.go(control, room=-0.1)
    assert control.stands and control.halt is not None and control.halt.cause is Cause.OBSTACLE


def test_wheels_that_do_not_turn_and_a_robot_that_goes_elsewhere_end_the_move() -> None:
    stuck = control_of(1.0)
    drive(stuck, Robot(scale=0.0), 5.0)
    assert stuck.halt is not None and stuck.halt.cause is Cause.STUCK
    for robot, turning in ((Robot(scale=-1.0), False), (Robot(scale=-1.0), True), (Robot(drift=2.5), False)):
        astray = control_of(2.0, turning)
        drive(astray, robot, 10.0)
        assert astray.halt is not None and astray.halt.cause is Cause.ASTRAY
    leaping, robot = control_of(2.0), Robot()
    for _ in range(10):
        robot.go(leaping)
    robot.pose = Planar(robot.pose.x + 1.0, robot.pose.y, robot.pose.yaw)
    robot.go(leaping)
    assert leaping.halt is not None and "leapt" in leaping.halt.text


def test_the_first_reason_stays_unless_a_final_one_comes() -> None:
    control, robot = control_of(3.0), Robot()
    for _ in range(30):
        robot.go(control)
    robot.go(control, halt=Halt(Cause.STALE, "a"))
    robot.go(control, halt=Halt(Cause.OBSTACLE, "b"))
    assert control.halt == Halt(Cause.STALE, "a")
    robot.go(control, halt=Halt(Cause.CANCELLED, "c"))
    robot.go(control, halt=Halt(Cause.TIMEOUT, "d"))
    assert control.halt == Halt(Cause.CANCELLED, "c")


FINITE = st.floats(-3.0, 3.0)
POSES = st.builds(Planar, FINITE, FINITE, FINITE)
NEAR = st.builds(lambda x, y, yaw: Planar(START.x + x, START.y + y, START.yaw + yaw), *[st.floats(-0.1, 0.1)] * 3)
HALTS = st.sampled_from([None] * 30 + [Halt(cause) for cause in Cause])
TICKS = st.lists(
    st.tuples(st.floats(-0.05, 0.5), NEAR | POSES, st.floats(-1.0, 9.0) | st.just(FREE), HALTS), max_size=60
)
SETTINGS = st.builds(
    MotionSettings,
    max_speed=st.floats(0.02, 2.0),
    max_turn_rate=st.floats(0.05, 3.0),
    acceleration=st.floats(0.05, 5.0),
    turn_acceleration=st.floats(0.1, 20.0),
    braking=st.floats(0.1, 20.0),
    turn_braking=st.floats(0.2, 50.0),
)


@given(SETTINGS, st.floats(0.05, 5.0), st.booleans(), st.booleans(), TICKS)
def test_limits_are_never_exceeded_and_zero_is_the_last_word(
    settings: MotionSettings,
    amount: float,
    turning: bool,
    back: bool,
    ticks: list[tuple[float, Planar, float, Halt | None]],
) -> None:
    control = MoveControl(settings, -amount if turning and back else amount, turning, START, 0.0)
    now, before, over = 0.0, STAND, False
    for lapse, pose, room, halt in ticks:
        now += lapse
        command = control.tick(now, pose, room, halt)
        passed = max(lapse, 0.0) + 1e-9
        counted = min(passed, LONGEST_TICK + 1e-9)
        at_once = control.halt is not None and control.halt.cause is not Cause.DONE
        assert 0 <= command.forward <= settings.max_speed and abs(command.turn) <= settings.max_turn_rate
        assert not (turning and command.forward)
        for new, old, gain, loss in zip(
            command,
            before,
            (settings.acceleration, settings.turn_acceleration),
            (settings.braking, settings.turn_braking),
            strict=True,
        ):
            most = counted * (gain if abs(new) > abs(old) else max(gain, loss))
            if at_once and abs(new) <= abs(old):  # braking counts all of the time that has passed
                most = passed * loss
            assert abs(new - old) <= most + 1e-12
            assert not over or abs(new) <= abs(old)  # once it brakes, it brakes
        before, over = command, control.halt is not None
    since = now
    while not control.stands:
        now += TICK
        command = control.tick(now, START, FREE, Halt(Cause.CANCELLED))
        assert now - since <= 60.0
    longest = max(settings.max_speed / settings.braking, settings.max_turn_rate / settings.turn_braking)
    if not over:
        assert now - since <= longest + 2 * TICK
    for _ in range(3):
        now += TICK
        assert control.tick(now, START, FREE, None) == STAND


def test_a_halt_stands_within_the_time_of_braking() -> None:
    control, robot = control_of(5.0), Robot()
    for _ in range(40):
        robot.go(control)
    assert robot.under_way[-1].forward == LIMITS.max_speed
    begun = robot.now
    while not control.stands:
        robot.go(control, halt=Halt(Cause.STOPPED))
    assert robot.now - begun <= LIMITS.max_speed / LIMITS.braking + TICK + 1e-9


def test_a_tick_that_comes_late_does_not_lengthen_the_braking() -> None:
    control, robot = control_of(5.0), Robot()
    for _ in range(40):
        robot.go(control)
    control.tick(robot.now + TICK, robot.pose, FREE, Halt(Cause.STALE))
    assert not control.stands
    late = robot.now + TICK + LIMITS.max_speed / LIMITS.braking
    assert control.tick(late, robot.pose, FREE, Halt(Cause.STALE)) == STAND

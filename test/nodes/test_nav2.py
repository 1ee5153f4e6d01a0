"""Moves by Nav2's behaviours: runs where nav2_msgs is installed, against servers of its actions that move the base."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("nav2_msgs", reason="Nav2 is not installed")

import rclpy
from geometry_msgs.msg import Twist
from nav2_msgs.action import DriveOnHeading, Spin
from rclpy.action.server import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from support.base import MOUNTED, TICK, Base
from support.rig import isolated, until
from support.single_node import spinning

from cc_ros.dds import prepare
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.settings import MotionSettings, ObstacleSettings
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.driving import Step
from cc_ros.nodes.nav2 import Nav2Driver
from cc_ros.nodes.senses import Senses, SenseSettings

SPIN = 0.5  # rad/s


class Behaviours(BaseNode):
    """Nav2's behavior_server, as far as it is used: it moves the base without looking."""

    name = "behavior_server"
    groups = ()
    threads = 4
    base: Base  # whose clock it goes by

    def start(self) -> None:
        self.cancelled = 0
        self.error = 0
        self.sender = self.create_publisher(Twist, "cmd_vel", 1)
        group = ReentrantCallbackGroup()
        self.servers = [
            ActionServer(self, kind, name, work, cancel_callback=lambda _: CancelResponse.ACCEPT, callback_group=group)
            for kind, name, work in ((DriveOnHeading, "drive_on_heading", self.ahead), (Spin, "spin", self.spin))
        ]

    def doing(self) -> str:
        return "moves"

    def ahead(self, handle: Any) -> Any:
        twist = Twist()
        twist.linear.x = handle.request.speed
        return self.move(handle, twist, handle.request.target.x / handle.request.speed, DriveOnHeading.Result())

    def spin(self, handle: Any) -> Any:
        twist = Twist()
        twist.angular.z = math.copysign(SPIN, handle.request.target_yaw)
        return self.move(handle, twist, abs(handle.request.target_yaw) / SPIN, Spin.Result())

    def move(self, handle: Any, twist: Twist, seconds: float, result: Any) -> Any:
        end = self.base.tick + seconds / TICK
        while not self.error and self.base.tick < end and not handle.is_cancel_requested:
            self.sender.publish(twist)
            time.sleep(0.02)
        self.sender.publish(Twist())
        until(lambda: self.base.speed == (0.0, 0.0))  # it ends when the robot stands, as Nav2's do
        if handle.is_cancel_requested:
            self.cancelled += 1
            handle.canceled()
        elif self.error:
            result.error_code = self.error
            handle.abort()
        else:
            handle.succeed()
        return result


class Host(BaseNode):
    """A node to hold the driver."""

    name = "host"
    groups = ()
    threads = 4

    def start(self) -> None:
        senses = SenseSettings(odom_timeout=5.0, image_timeout=5.0)
        self.senses = Senses(self, senses, ObstacleSettings(), MOUNTED)
        self.driver = Nav2Driver(self, MotionSettings(max_speed=0.3), self.senses)

    def stop(self) -> None:
        self.driver.close()
        self.senses.close()

    def doing(self) -> str:
        return "holds the driver"


@pytest.fixture(scope="module")
def rig() -> Iterator[tuple[Host, Behaviours, Base]]:
    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        host, behaviours, base = Host(context=context), Behaviours(context=context), Base(context)
        behaviours.base = base
        assert behaviours.autostart() and host.autostart()  # before they spin: no action client is shown half made
        with spinning(host), spinning(behaviours):
            host.senses.watch(True)
            until(lambda: not host.driver.missing() and not host.senses.silent())
            until(lambda: host.senses.ahead()[1] is None)
            yield host, behaviours, base
        base.close()
        host.destroy_node()
        behaviours.destroy_node()
        rclpy.shutdown(context=context)


def test_nav2_drives_and_turns(rig: tuple[Host, Behaviours, Base]) -> None:
    host, _, base = rig
    base.place()
    host.driver.ready()
    driven = host.driver.drive(Step(0.5, False), lambda: None, lambda _: None)
    assert driven.halt == Halt(Cause.DONE)
    assert base.x == pytest.approx(0.5, abs=0.15) and driven.travelled == pytest.approx(base.x, abs=0.1)
    driven = host.driver.drive(Step(-0.6, True), lambda: None, lambda _: None)
    assert driven.halt == Halt(Cause.DONE)
    assert base.yaw == pytest.approx(-0.6, abs=0.2) and driven.progress == pytest.approx(0.6, abs=0.2)


def test_nav2_is_told_to_stop(rig: tuple[Host, Behaviours, Base]) -> None:
    host, behaviours, base = rig
    base.place()
    host.driver.ready()
    stopped: list[Halt] = []
    before = behaviours.cancelled

    def told(progress: float) -> None:
        if progress > 0.1 and not stopped:
            stopped.append(Halt(Cause.STOPPED, "by hand"))

    driven = host.driver.drive(Step(3.0, False), lambda: next(iter(stopped), None), told)
    assert driven.halt == Halt(Cause.STOPPED, "by hand")
    assert behaviours.cancelled == before + 1 and base.x < 1.5
    host.driver.stop()
    assert host.driver.drive(Step(1.0, False), lambda: None, lambda _: None).halt.cause is Cause.CLOSED


def test_what_nav2_fails_at_is_told(rig: tuple[Host, Behaviours, Base]) -> None:
    host, behaviours, _ = rig
    host.driver.ready()
    behaviours.error = DriveOnHeading.Result.COLLISION_AHEAD
    assert host.driver.drive(Step(1.0, False), lambda: None, lambda _: None).halt.cause is Cause.OBSTACLE
    behaviours.error = 1
    halt = host.driver.drive(Step(1.0, True), lambda: None, lambda _: None).halt
    behaviours.error = 0
    assert halt.cause is Cause.STUCK and "Nav2 ended it: error code 1" in halt.text

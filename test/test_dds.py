"""What cc_ros sets for Fast DDS, and that it hears publishers of every kind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.rig import Program, domain, environment, isolated

from cc_ros import dds

FAST = "FASTDDS_DEFAULT_PROFILES_FILE"


@pytest.mark.parametrize(
    ("given", "file", "reach"),
    [
        ({}, "localhost.xml", "SYSTEM_DEFAULT"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, "network.xml", "SUBNET"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "localhost.xml", "SYSTEM_DEFAULT"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, "", "LOCALHOST"),
        ({FAST: "/my.xml"}, "/my.xml", "LOCALHOST"),
        ({"ROS_STATIC_PEERS": "10.0.0.1"}, "", "LOCALHOST"),
    ],
)
def test_the_profile_is_set_unless_something_was_chosen(given: dict[str, str], file: str, reach: str) -> None:
    with isolated(ROS_DISTRO="kilted", **given):
        dds.prepare()
        assert Path(os.environ.get(FAST, "")).name == Path(file).name
        assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == reach
        if file in ("localhost.xml", "network.xml"):
            assert "FASTDDS_BUILTIN_TRANSPORTS" not in os.environ
            assert Path(os.environ[FAST]).is_file()


def test_a_demo_takes_a_domain_that_nobody_uses_unless_one_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 240)
    with isolated():
        dds.apart()
        assert os.environ["ROS_DOMAIN_ID"] == str(domain())
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot:
        robot.bind(("127.0.0.1", 7400 + 250 * 41 + 10))
        dds.apart()
    assert 41 < int(os.environ["ROS_DOMAIN_ID"]) < 45  # others that run tests may have the next ones
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_small_socket_buffers_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dds, "RMEM_MAX", tmp_path / "rmem_max")
    assert dds.small_buffers() == 0
    for limit, told in ((212992, 212992), (16777216, 0)):
        dds.RMEM_MAX.write_text(f"{limit}\n")
        assert dds.small_buffers() == told


# In a process of its own: Fast DDS reads its profile once.
LISTENER = """
import sys, time, rclpy
from cc_ros.dds import prepare
prepare()
from cc_ros.nodes.camera import SENSOR_QOS
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("listener")
heard = {"plain": 0, "large": 0}
def count(topic):
    heard[topic] += 1
for topic in heard:
    node.create_subscription(Image, topic, lambda message, topic=topic: count(topic), SENSOR_QOS)
end = time.monotonic() + 40
while (heard["plain"] < 28 or heard["large"] < 10) and time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print("heard", heard)
sys.exit(heard["plain"] < 28 or heard["large"] < 10)
"""


@pytest.mark.parametrize("reach", ["LOCALHOST", "SUBNET"])
def test_cameras_are_heard_whatever_their_transports(reach: str) -> None:
    """Programs with LARGE_DATA and programs without it do not even see each other; ours must see both."""
    common = {"ROS_AUTOMATIC_DISCOVERY_RANGE": reach}
    large = {**common, "FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}
    with (
        Program(["-c", LISTENER], environment(**common)) as listener,
        # the first three may go out before the listener, too, has found the camera
        Program(["-m", "support.camera_process", "/plain", "raw", "33", "15", "1"], environment(**common)),
        # over a network it loses what is sent before its TCP connection stands: hence 10 of 30
        Program(["-m", "support.camera_process", "/large", "raw", "30", "15", "1"], environment(**large)),
    ):
        assert listener.end(60) == 0, listener.text

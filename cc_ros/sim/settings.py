"""The knobs of the simulator."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ros.settings import knob


@dataclass(frozen=True)
class SimSettings:
    """How to simulate."""

    hz: float = knob(15.0, "pictures a second of simulated time", ge=1.0, le=60.0)
    drift: float = knob(0.01, "error of the odometry as a share of the way and of the angle turned", ge=0.0, le=0.5)
    speed: float = knob(1.0, "simulated seconds in a second, where the machine is fast enough", ge=0.1, le=10.0)

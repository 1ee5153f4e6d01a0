"""How a robot may move, and what has to be known for it."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ros.settings import knob


@dataclass(frozen=True)
class MotionSettings:
    """Limits of speed and acceleration. A move ends early by ``braking``, all else is by ``acceleration``."""

    max_speed: float = knob(0.3, "fastest forward, in m/s", ge=0.02, le=2.0)
    max_turn_rate: float = knob(0.8, "fastest turn, in rad/s", ge=0.05, le=3.0)
    acceleration: float = knob(0.5, "forward, in m/s^2", ge=0.05, le=5.0)
    turn_acceleration: float = knob(1.5, "of turns, in rad/s^2", ge=0.1, le=20.0)
    braking: float = knob(2.5, "deceleration where a move has to end, in m/s^2", ge=0.1, le=20.0)
    turn_braking: float = knob(6.0, "the same of turns, in rad/s^2", ge=0.2, le=50.0)
    stuck_time: float = knob(2.0, "a move ends where odometry shows none for so long, in s", ge=0.2, le=60.0)


@dataclass(frozen=True)
class ObstacleSettings:
    """What is in the way of a round robot."""

    robot_radius: float = knob(0.25, "of the circle about base_link that the robot stays in, in m", ge=0.01, le=5.0)
    robot_height: float = knob(1.2, "what is higher above the floor is not in its way, in m", ge=0.05, le=5.0)
    clearance: float = knob(0.15, "kept from what is in the way, in m", ge=0.0, le=5.0)
    floor_tolerance: float = knob(0.05, "what is lower is floor, in m; more with distance", ge=0.0, le=1.0)
    depth_share: float = knob(0.5, "of the view of its way, what depth must know before it drives", ge=0.0, le=1.0)
    allow_blind: bool = knob(False, "drive forward also where depth, calibration or mounting is not known")

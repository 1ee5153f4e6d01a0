"""What is known of the ground as occupancy grids and back; grids that make no sense are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Quaternion
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nav_msgs.msg import OccupancyGrid

from cc_ros.geometry import GeometryError
from cc_ros.ground import Ground
from cc_ros.nodes.convert.grounds import ground_message, to_ground

COORDINATE = st.floats(-1e4, 1e4)
CELLS = arrays(np.int8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(-1, 100))


@given(CELLS, st.tuples(COORDINATE, COORDINATE), st.floats(-3.1, 3.1), st.just(math.nan) | COORDINATE)
def test_every_field_of_a_ground_comes_back(
    cells: np.ndarray, origin: tuple[float, float], yaw: float, floor: float
) -> None:
    message = ground_message(Ground(cells, 0.5, origin, yaw, floor), "odom")
    back = to_ground(message)
    assert message.header.frame_id == "odom"
    assert (back.cells.tolist(), back.resolution, back.origin) == (cells.tolist(), 0.5, origin)
    assert back.yaw == pytest.approx(yaw, abs=1e-6)
    assert back.floor == floor or (math.isnan(floor) and math.isnan(back.floor))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"data": [0] * 3}, "holds 3 of them"),
        ({"width": 0, "data": []}, "0 x 2 cells"),
        ({"width": 2**31, "height": 2**31}, "cells holds"),
        ({"resolution": 0.0}, "cannot be 0.0 m wide"),
        ({"resolution": math.nan}, "cannot be nan m wide"),
        ({"x": math.nan}, "finite"),
        ({"orientation": Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)}, "quaternion"),
        ({"orientation": Quaternion(x=0.5, y=0.0, z=0.0, w=0.8)}, "does not lie level"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(wrong: dict[str, Any], why: str) -> None:
    message: OccupancyGrid = ground_message(Ground(np.zeros((2, 2), np.int8), 0.5, (0.0, 0.0)), "map")
    for name, value in wrong.items():
        part: Any = {"data": message, "x": message.info.origin.position, "orientation": message.info.origin}.get(
            name, message.info
        )
        setattr(part, name, value)
    with pytest.raises(GeometryError, match=why):
        to_ground(message)

"""Places of objects as messages and back."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point

from cc_ros.msg import Place as PlaceMsg
from cc_ros.place import Place


def place_message(place: Place) -> PlaceMsg:
    """Return a place as a message."""
    return PlaceMsg(
        point=point_message(place.point),
        covariance=place.covariance.ravel(),
        low=point_message(place.low),
        high=point_message(place.high),
        is_static=place.is_static,
        views=place.views,
    )


def to_place(message: PlaceMsg) -> Place | None:
    """Return the place of a message; None where it is none: not finite, or its covariance is not positive definite."""
    point, low, high = (np.array([p.x, p.y, p.z]) for p in (message.point, message.low, message.high))
    covariance = np.array(message.covariance, dtype=np.float64).reshape(3, 3)
    covariance = (covariance + covariance.T) / 2
    if not np.isfinite([*point, *low, *high, *covariance.ravel()]).all() or np.linalg.eigvalsh(covariance)[0] <= 0:
        return None
    return Place(point, covariance, low, high, message.is_static, message.views)


def point_message(point: np.ndarray) -> Point:
    """Return a point, 3 metres, as a message."""
    x, y, z = map(float, point)
    return Point(x=x, y=y, z=z)

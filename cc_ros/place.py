"""Where one object is: what is fused from every frame in which it was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An object in the fixed frame (REP 105: ``odom`` or ``map``, z up), metres.

    :param point: 3 float64; the middle of the object, as far as it has been seen.
    :param covariance: 3x3 float64, m^2, of that middle; symmetric and positive definite. The middle lies within two
        standard deviations of the truth, along any axis, 95 times of 100.
    :param low: 3 float64; the lowest x, y and z of what has been seen of the object.
    :param high: 3 float64; the highest.
    :param is_static: whether it stood still while it was seen; False: the place is that of its newest sightings.
    :param views: how many frames the place rests on.
    """

    point: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_static: bool
    views: int

    @property
    def sigma(self) -> float:
        """Standard deviation in metres along the least certain direction."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance)[-1]))

    @property
    def size(self) -> np.ndarray:
        """Edges of the box along x, y and z in metres, 3 float64."""
        return self.high - self.low

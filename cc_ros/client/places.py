"""Where marked objects are, measured from keyframes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cc_ros.geometry import SceneMap
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.reasoning.measured.places import mark_places


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mark is, as far as that was measured.

    :param mark: its id.
    :param point: (x, y, z) in ``frame``, metres; None where unknown.
    :param frame: of ``point``: that of the odometry; "" without odometry.
    :param distance: metres from the camera's newest place; None where unknown.
    :param direction: radians to the left of where the camera looks now, negative to the right; None where unknown.
    :param missing: for people: why something is unknown; "" where nothing is.
    :param sigma: standard deviation of ``point`` along its least certain direction, metres; None where unknown.
    """

    mark: int
    point: tuple[float, float, float] | None
    frame: str
    distance: float | None
    direction: float | None
    missing: str
    sigma: float | None = None


def places_in(keyframes: Sequence[MarkedKeyframe]) -> list[Place]:
    """Return where the marks of keyframes are, by mark.

    :raises GeometryError: a keyframe's intrinsics are unusable.
    """
    scene = SceneMap.from_keyframes(keyframes)
    found = []
    for place in mark_places(scene, scene.ids):
        distance, direction = (None if math.isnan(one) else one for one in (place.distance, place.bearing))
        point = scene.places[place.id].point
        sigma = None if point is None else point.sigma
        found.append(Place(place.id, place.point, scene.world_frame, distance, direction, place.missing, sigma))
    return found

"""The room that marked objects take up, as goals keep clear of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cc_ros.geometry.scene import SceneMap

MOST_SLACK = 0.5  # metres


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """An object as a box in the world, metres, z up.

    :param id: its mark.
    :param point: 3 float64, its middle.
    :param sigma: standard deviation of the middle along the least certain direction.
    :param low: 3 float64, the lowest x, y and z of it.
    :param high: 3 float64, the highest.
    :param boxed: whether the box was measured, rather than made of the mark's area.
    :param slack: metres that its edges may be off; those that depth shows are not.
    :param seen_from: Nx2, where the camera was when it saw it.
    """

    id: int
    point: np.ndarray
    sigma: float
    low: np.ndarray
    high: np.ndarray
    boxed: bool
    slack: float
    seen_from: np.ndarray

    def away(self, points: np.ndarray) -> np.ndarray:
        """Return the distance over ground of each of Nx2 points from the box, 0 inside."""
        return np.linalg.norm(points - np.clip(points, self.low[:2], self.high[:2]), axis=-1)


def bodies(scene: SceneMap) -> dict[int, Body]:
    """Return every mark that has a place as a body: as fused over time, else as its keyframes show it."""
    found = {}
    for id, place in scene.places.items():
        seen_from = np.array([s.origin[:2] for s in place.sightings if s.origin is not None]).reshape(-1, 2)
        deep = any(s.mark.depth > 0 for s in place.sightings)
        fused = place.sightings[-1].mark.place
        if fused is not None:
            slack = 0.0 if deep else min(fused.sigma, MOST_SLACK)
            found[id] = Body(id, fused.point, fused.sigma, fused.low, fused.high, True, slack, seen_from)
        elif place.point is not None:
            half, xyz = _half(scene, id), place.point.xyz
            slack = min(place.point.sigma, MOST_SLACK)
            found[id] = Body(id, xyz, place.point.sigma, xyz - half, xyz + half, False, slack, seen_from)
    return found


def _half(scene: SceneMap, id: int) -> float:
    """Return half the width of a thing whose place is known, from the areas of its marks, metres."""
    place = scene.places[id]
    assert place.point is not None
    widths = [0.0]
    for sighting in place.sightings:
        frame = scene.keyframes[sighting.picture]
        if sighting.origin is not None and frame.intrinsics is not None:
            away = float(np.linalg.norm(place.point.xyz - sighting.origin))
            widths.append(math.sqrt(sighting.mark.area) * away / float(frame.intrinsics[0, 0]))
    return max(widths) / 2

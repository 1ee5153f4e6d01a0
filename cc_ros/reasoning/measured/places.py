"""Where the marks of an answer are: bearing, distance and point of each, or which input is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from cc_ros.geometry.evaluate import heading
from cc_ros.geometry.outcome import Measured
from cc_ros.geometry.relations import direction, distance_from_robot, placeless
from cc_ros.geometry.scene import SceneMap
from cc_ros.reasoning.types import MarkPlace


def mark_places(scene: SceneMap, ids: Iterable[int]) -> tuple[MarkPlace, ...]:
    """Return the places of marks, in the order given."""
    return tuple(
        _place(scene, id) if id in scene.places else MarkPlace(id, missing=f"no keyframe shows mark {id}") for id in ids
    )


def _place(scene: SceneMap, id: int) -> MarkPlace:
    bearing, away = direction(scene, id), distance_from_robot(scene, id)
    missing = [found.reason for found in (away, bearing) if not isinstance(found, Measured)]
    found: dict[str, object] = {}
    for name, one in (("bearing", bearing), ("distance", away)):
        if isinstance(one, Measured):
            found |= {name: one.value, f"{name}_sigma": one.sigma}
    place = scene.places[id]
    if place.point is not None:
        fused = place.sightings[-1].mark.place
        spread = np.eye(3) * place.point.sigma**2 if fused is None else fused.covariance
        found |= {
            "point": tuple(map(float, place.point.xyz)),
            "covariance": tuple(map(float, spread.ravel())),
            "frame": scene.world_frame,
        }
    elif isinstance(away, Measured):
        missing.append(placeless(scene, [id]).reason)
    return MarkPlace(id, missing="; ".join(missing), **found)  # type: ignore[arg-type]


def places_table(scene: SceneMap) -> str:
    """Return where all marks are in a line each, for a model; with what is missing where something is."""
    return "\n".join(map(in_words, mark_places(scene, scene.ids)))


def in_words(place: MarkPlace) -> str:
    """Return where a mark is for people: "mark 3: 2.1 m (± 0.1) away, 35° to the left (± 3°), at (...) ± 0.10 m"."""
    parts = []
    if math.isfinite(place.distance):
        parts.append(f"{place.distance:.1f} m (± {2 * place.distance_sigma:.1f}) away")
    if math.isfinite(place.bearing):
        parts.append(f"{heading(place.bearing)} (± {math.degrees(2 * place.bearing_sigma):.0f}°)")
    if place.point is not None:
        sigma = math.sqrt(max(place.covariance[0], place.covariance[4], place.covariance[8]))
        x, y, z = place.point
        frame = f" in {place.frame}" if place.frame else ""
        parts.append(f"at ({x:.2f}, {y:.2f}, {z:.2f}) ± {2 * sigma:.2f} m{frame}")
    known = ", ".join(parts) or "not known where"
    return f"mark {place.id}: {known}" + (f"; {place.missing}" if place.missing else "")

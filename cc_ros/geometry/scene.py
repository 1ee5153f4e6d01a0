"""The map of the marks: bearings, points and sightings, from a set of marked keyframes.

Nothing is guessed. A mark has a point only where depth with a pose, or enough parallax between poses, gives one; a
bearing in the world only where poses are known; else it has just its places in the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cc_ros.geometry.camera import back_project, bearings
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.geometry.triangulate import MARK_NOISE, Point, merge, triangulate
from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.place import Place

# Closer together than this, camera positions count as one place: a panning camera on a stand or in a hand.
SAME_PLACE = 0.25
# A sighting so much smaller than the largest shows a corner of the object, whose middle is elsewhere.
CUT_OFF = 1 / 8


@dataclass(frozen=True, slots=True)
class Sighting:
    """One mark in one keyframe.

    :param picture: position of the keyframe in the set, 0 = oldest.
    :param mark: the mark.
    :param ray: unit vector in the optical frame, None without intrinsics.
    :param origin: camera centre in the world, metres, None without a pose.
    :param direction: unit vector in the world, None without a pose or intrinsics.
    :param point: place in the world by its depth, metres, None without depth, pose or intrinsics.
    """

    picture: int
    mark: Mark
    ray: np.ndarray | None
    origin: np.ndarray | None
    direction: np.ndarray | None
    point: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """All that is known of where one mark is.

    :param id: the mark's id.
    :param sightings: oldest first.
    :param point: place in the world, or None where it is unknown.
    :param source: for people: what the point was measured from, "" where there is none.
    :param place: as fused from all frames that showed it, kept or not; None where the keyframes tell none.
    """

    id: int
    sightings: tuple[Sighting, ...]
    point: Point | None
    source: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Azimuth:
    """A horizontal direction: radians counter-clockwise from the world's x axis, and its standard deviation."""

    angle: float
    sigma: float


class SceneMap:
    """The marks of a set of keyframes in space.

    >>> scene = SceneMap.from_keyframes([])
    >>> scene.ids
    ()

    :param keyframes: oldest first.
    :param places: by mark id.
    """

    def __init__(self, keyframes: Sequence[MarkedKeyframe], places: Mapping[int, Whereabouts]) -> None:
        self.keyframes = tuple(keyframes)
        self.places = dict(places)

    @classmethod
    def from_keyframes(cls, keyframes: Iterable[MarkedKeyframe]) -> SceneMap:
        """Build the map from keyframes in any order.

        :raises GeometryError: a keyframe's intrinsics are unusable.
        """
        ordered = sorted(keyframes, key=lambda frame: frame.stamp)
        seen: dict[int, list[Sighting]] = {}
        for picture, frame in enumerate(ordered):
            for sighting in _sightings(picture, frame):
                seen.setdefault(sighting.mark.id, []).append(sighting)
        return cls(ordered, {id: _place(id, sightings) for id, sightings in sorted(seen.items())})

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all marks, ascending."""
        return tuple(self.places)

    @property
    def here(self) -> np.ndarray | None:
        """The newest keyframe's 4x4 camera-to-world pose: where the robot is now, None when unknown."""
        return self.keyframes[-1].pose if self.keyframes else None

    @property
    def world_frame(self) -> str:
        """The name of the world of the poses, "" where none is known."""
        return next((frame.world_frame for frame in self.keyframes if frame.pose is not None and frame.world_frame), "")

    @property
    def stands_still(self) -> bool:
        """Whether every keyframe has a pose and all were taken from one place (a pan)."""
        poses = [frame.pose for frame in self.keyframes if frame.pose is not None]
        if not poses or len(poses) < len(self.keyframes):
            return False
        centres = np.array([pose[:3, 3] for pose in poses])
        return float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()) <= SAME_PLACE

    def azimuth(self, id: int, origin: np.ndarray) -> Azimuth | None:
        """Return the direction to a mark from ``origin`` (3, metres, world), or None where it is unknown."""
        place = self.places[id]
        if place.point is not None:
            return azimuth_of_point(place.point, origin)
        near = [
            (s.direction, max(s.mark.area, 1))
            for s in place.sightings
            if s.direction is not None and s.origin is not None and np.linalg.norm(s.origin - origin) <= SAME_PLACE
        ]
        if not near:
            return None
        angles = np.array([math.atan2(direction[1], direction[0]) for direction, _ in near])
        # An object cut off by the picture's edge has its middle elsewhere; it is also smaller, and counts for less.
        weights = np.array([area for _, area in near], dtype=np.float64)
        mean = float(np.angle(np.sum(weights * np.exp(1j * angles))))
        spread = np.angle(np.exp(1j * (angles - mean)))
        return Azimuth(mean, max(MARK_NOISE, float(np.sqrt(np.average(spread**2, weights=weights)))))

    def no_place(self, id: int) -> Unknown:
        """Return what is missing for the place of a mark."""
        sightings = self.places[id].sightings
        if sum(s.point is not None for s in sightings) > 1:
            why = "its depths contradict each other: it moved, or its number jumped to another object"
            return Unknown(why, Cause.MOVED)
        depth = any(s.mark.depth > 0 for s in sightings)
        first, link = ("there is depth", "but") if depth else ("there is no depth", "and")
        if all(s.origin is None for s in sightings):
            return Unknown(f"{first}, {link} no odometry", Cause.NO_POSE)
        if all(s.direction is None for s in sightings):
            return Unknown(f"{first}, {link} no camera_info", Cause.NO_CALIBRATION)
        origins = np.array([s.origin for s in sightings if s.origin is not None])
        if float(np.ptp(origins, axis=0).max()) <= SAME_PLACE:
            return Unknown(
                f"{first}, and the camera only turned while it saw it: it takes a step aside", Cause.NO_DEPTH
            )
        why = f"{first}, and it was seen from places that do not fix one: it takes a longer step aside"
        return Unknown(why, Cause.NO_DEPTH)

    def pictures_with(self, *ids: int) -> list[int]:
        """Return the positions of the keyframes that show all of ``ids``, oldest first."""
        sets = [{s.picture for s in self.places[id].sightings} for id in ids]
        return sorted(set.intersection(*sets)) if sets else []


def azimuth_of_point(point: Point, origin: np.ndarray) -> Azimuth | None:
    """Return the horizontal direction from ``origin`` to a point, None where it is too close to have one."""
    dx, dy = point.xyz[:2] - origin[:2]
    distance = math.hypot(dx, dy)
    if distance <= max(0.1, point.sigma):
        return None
    across = point.along(np.array([-dy, dx, 0.0]) / distance)
    return Azimuth(math.atan2(dy, dx), max(MARK_NOISE, math.atan2(across, distance)))


def turn_between(start: float, end: float) -> float:
    """Return the turn from one azimuth to another, -pi..pi, positive to the left (counter-clockwise from above)."""
    return math.remainder(end - start, math.tau)


def _sightings(picture: int, frame: MarkedKeyframe) -> list[Sighting]:
    if not frame.marks:
        return []
    if frame.intrinsics is None:
        centre = None if frame.pose is None else frame.pose[:3, 3]
        return [Sighting(picture, mark, None, centre, None, None) for mark in frame.marks]
    pixels = np.array([(mark.x, mark.y) for mark in frame.marks])
    rays = bearings(pixels, frame.intrinsics, frame.distortion)
    points = back_project(pixels, np.array([mark.depth for mark in frame.marks]), frame.intrinsics, frame.distortion)
    if frame.pose is None:
        seen = [ray if np.isfinite(ray).all() else None for ray in rays]
        return [Sighting(picture, mark, ray, None, None, None) for mark, ray in zip(frame.marks, seen, strict=True)]
    rotation, centre = frame.pose[:3, :3], frame.pose[:3, 3]
    directions, places = rays @ rotation.T, points @ rotation.T + centre
    shown = np.isfinite(rays).all(axis=1)  # not what a very wide lens shows from the side
    return [
        Sighting(picture, mark, rays[i], centre, directions[i], places[i] if mark.depth > 0 else None)
        if shown[i]
        else Sighting(picture, mark, None, centre, None, None)
        for i, mark in enumerate(frame.marks)
    ]


def _place(id: int, sightings: list[Sighting]) -> Whereabouts:
    place = sightings[-1].mark.place
    if place is not None:
        point = Point(place.point, place.sigma, place.covariance)
        return Whereabouts(id, tuple(sightings), point, f"{place.views} frames that show it", place)
    whole = max(s.mark.area for s in sightings) * CUT_OFF
    full = [s for s in sightings if s.mark.area >= whole]
    measured = [s.point for s in full if s.point is not None]
    if measured:
        found, source = merge(np.array(measured)), "depth"
    else:
        rays = [(s.origin, s.direction) for s in full if s.origin is not None and s.direction is not None]
        found = triangulate(np.array([o for o, _ in rays]), np.array([d for _, d in rays])) if rays else None
        source = "parallax"
    return Whereabouts(id, tuple(sightings), found, source if found is not None else "")

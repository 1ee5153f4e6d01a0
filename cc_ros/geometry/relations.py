"""Directions, sides and distances of marks; each measured, or unknown for a reason.

Left and right are those of an observer: by default somebody who stands at the camera's newest place.
"""

from __future__ import annotations

import math

import numpy as np

from cc_ros.geometry.outcome import SURE, Cause, Measured, Unknown
from cc_ros.geometry.pan import pan_order, view_angles
from cc_ros.geometry.queries import HERE, View
from cc_ros.geometry.scene import SAME_PLACE, SceneMap, azimuth_of_point, turn_between
from cc_ros.geometry.triangulate import MARK_NOISE

BEHIND = math.radians(165)  # beyond this, an object is as much to the left as to the right
BODY = 0.2  # metres: where on an object somebody sits is not known better than this
LEVEL = 0.1  # of a camera's axis must be horizontal, or it looks straight up or down


def side(scene: SceneMap, a: int, b: int | None, view: View = HERE) -> Measured | Unknown:
    """Tell how far mark ``a`` is left of mark ``b`` (None: of straight ahead) for an observer, in radians."""
    if a == b:
        return Unknown(f"both are mark {a}", Cause.UNDEFINED)
    found = ahead(scene, a, view) if b is None else turn(scene, a, b, view)
    if isinstance(found, Unknown):
        return found
    which = f"mark {a} and straight ahead" if b is None else f"marks {a} and {b}"
    if b is None and not abs(found.value) <= _widest(found.sigma):
        return Unknown(f"mark {a} is right behind the observer, neither left nor right", Cause.TOO_CLOSE)
    if not found.decided:
        return Unknown(
            f"{which} are {math.degrees(abs(found.value)):.0f}° apart, "
            f"within what can be told ({math.degrees(SURE * found.sigma):.0f}°)",
            Cause.TOO_CLOSE,
        )
    return found


def turn(scene: SceneMap, a: int, b: int, view: View = HERE) -> Measured | Unknown:  # noqa: PLR0911
    """Tell how far an observer turns to the left from mark ``b`` to mark ``a``, the shorter way round, in radians."""
    if view == HERE:
        found = _turn_here(scene, a, b)
        if isinstance(found, Unknown):
            return found
        if not abs(found.value) <= _widest(found.sigma):
            return Unknown(
                f"marks {a} and {b} lie on opposite sides of the robot, neither left nor right", Cause.UNDEFINED
            )
        if _swept_the_other_way(scene, a, b, found.value):
            return Unknown(f"the camera turned more than half way round between marks {a} and {b}", Cause.UNDEFINED)
        return found
    first, second = ahead(scene, a, view), ahead(scene, b, view)
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return first if isinstance(first, Unknown) else second
    angles = first.value, second.value, first.value - second.value
    if not max(map(abs, angles)) <= _widest(max(first.sigma, second.sigma)):
        return Unknown(f"marks {a} and {b} lie on opposite sides of the observer, or right behind", Cause.UNDEFINED)
    sigma = math.hypot(first.sigma, second.sigma)
    if view.at is not None:  # where he looks does not matter
        sigma = math.hypot(*(_azimuth_from(scene, id, view.at)[1] for id in (a, b)))  # type: ignore[index]
    return Measured(first.value - second.value, sigma, first.basis)


def ahead(scene: SceneMap, a: int, view: View = HERE) -> Measured | Unknown:
    """Tell how far mark ``a`` is to the left of where an observer looks, in radians within -pi..pi."""
    target = view.facing if view.facing is not None else view.back
    if target is None:
        return direction(scene, a)
    if view.at is not None:
        found = _ahead_from(scene, a, view.at, target)
    elif a == target:
        found = Measured(0.0, MARK_NOISE, "its own direction")
    else:
        found = _turn_here(scene, a, target)
    if isinstance(found, Unknown) or view.back is None:
        return found
    return Measured(turn_between(math.pi, found.value), found.sigma, found.basis)


def forward(scene: SceneMap, a: int, view: View = HERE) -> Measured | Unknown:
    """Tell how far a mark is along where an observer looks, over ground, in metres; negative = behind him."""
    angle, away = ahead(scene, a, view), gap(scene, a, view.at)
    if isinstance(angle, Unknown) or isinstance(away, Unknown):
        return angle if isinstance(angle, Unknown) else away
    point, at = scene.places[a].point, scene.here[:3, 3] if scene.here is not None else None
    if view.at is not None:
        seat = scene.places[view.at].point
        at = None if seat is None else seat.xyz
    level = away.value if point is None or at is None else float(np.linalg.norm((point.xyz - at)[:2]))
    along, across = math.cos(angle.value), math.sin(angle.value)
    return Measured(level * along, math.hypot(along * away.sigma, level * across * angle.sigma), away.basis)


def direction(scene: SceneMap, a: int) -> Measured | Unknown:
    """Tell how far a mark is to the left of where the camera looks now, in radians; 0 = straight ahead."""
    if scene.here is not None:
        axis = scene.here[:2, 2]
        if float(np.hypot(*axis)) < LEVEL:
            return Unknown("the camera looks straight up or down", Cause.UNDEFINED)
        azimuth = scene.azimuth(a, scene.here[:3, 3])
        if azimuth is not None:
            facing = math.atan2(axis[1], axis[0])
            return Measured(turn_between(facing, azimuth.angle), azimuth.sigma, "its direction from the robot's place")
    newest = len(scene.keyframes) - 1
    if scene.places[a].sightings[-1].picture == newest:
        return Measured(view_angles(scene.keyframes[newest])[a], MARK_NOISE, "its column in the newest picture")
    lost = scene.here is None
    why = "there is no odometry" if lost else "its place is not known from where it was seen"
    cause = Cause.NO_POSE if lost else scene.no_place(a).cause
    return Unknown(f"the newest picture does not show mark {a}, and {why}", cause)


def gap(scene: SceneMap, a: int, b: int | None) -> Measured | Unknown:
    """Tell how far mark ``a`` is from mark ``b`` (None: from the camera's newest place), in metres."""
    if a == b:
        return Unknown(f"both are mark {a}", Cause.UNDEFINED)
    return distance_from_robot(scene, a) if b is None else distance(scene, a, b)


def distance(scene: SceneMap, a: int, b: int) -> Measured | Unknown:
    """Tell the distance between the places of two marks in metres."""
    first, second = scene.places[a].point, scene.places[b].point
    if first is None or second is None:
        lost = [id for id in (a, b) if scene.places[id].point is None]
        return placeless(scene, lost)
    way = first.xyz - second.xyz
    gap = float(np.linalg.norm(way))
    way = way / max(gap, 1e-9)
    sigma = math.hypot(first.along(way), second.along(way)) if gap else math.hypot(first.sigma, second.sigma)
    return Measured(gap, sigma, "their places in the world")


def distance_from_robot(scene: SceneMap, id: int) -> Measured | Unknown:
    """Tell how far a mark is from the camera's newest place, in metres."""
    point = scene.places[id].point
    if scene.here is not None and point is not None:
        way = point.xyz - scene.here[:3, 3]
        gap = float(np.linalg.norm(way))
        return Measured(gap, point.along(way / gap) if gap else point.sigma, "its place in the world")
    newest = scene.places[id].sightings[-1]
    if newest.picture == len(scene.keyframes) - 1 and newest.mark.depth > 0 and newest.ray is not None:
        gap = newest.mark.depth / float(newest.ray[2])
        return Measured(gap, max(0.05, 0.03 * gap), "its depth in the newest picture")
    missing = scene.no_place(id)
    return Unknown(f"the distance of mark {id} is not known ({missing.reason})", missing.cause)


def _widest(sigma: float) -> float:
    """Return the largest angle in radians that is surely on one side, and not behind."""
    return min(BEHIND, math.pi - SURE * sigma)


def placeless(scene: SceneMap, ids: list[int]) -> Unknown:
    """Return that the places of some marks are not known, with what is missing for the first."""
    missing = scene.no_place(ids[0])
    which = f"mark{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
    return Unknown(f"the place of {which} is not known ({missing.reason})", missing.cause)


def _ahead_from(scene: SceneMap, a: int, at: int, target: int) -> Measured | Unknown:
    """Tell how far ``a`` is left of ``target`` for somebody at mark ``at``, by their places."""
    lost = [id for id in dict.fromkeys((a, at, target)) if scene.places[id].point is None]
    if lost:
        return placeless(scene, lost)
    if at in (a, target):
        return Unknown(f"mark {at} is where the observer is", Cause.UNDEFINED)
    first, heading = _azimuth_from(scene, a, at), _azimuth_from(scene, target, at)
    if first is None or heading is None:
        return Unknown(f"mark {at} is too close to the others to have a direction to them", Cause.TOO_CLOSE)
    angle = turn_between(heading[0], first[0])
    return Measured(angle, math.hypot(first[1], heading[1]), "their places in the world")


def _azimuth_from(scene: SceneMap, id: int, at: int) -> tuple[float, float] | None:
    """Return the direction from mark ``at`` to another, both with a place, and its standard deviation; radians."""
    point, origin = scene.places[id].point, scene.places[at].point
    assert point is not None and origin is not None
    azimuth = azimuth_of_point(point, origin.xyz)
    if azimuth is None:
        return None
    away = float(np.linalg.norm(point.xyz[:2] - origin.xyz[:2]))
    return azimuth.angle, math.hypot(azimuth.sigma, math.atan2(math.hypot(origin.sigma, BODY), away))


def _turn_here(scene: SceneMap, a: int, b: int) -> Measured | Unknown:
    """Tell the shortest turn to the left from ``b`` to ``a`` where the robot is now."""
    if scene.here is not None:
        origin = scene.here[:3, 3]
        first, second = scene.azimuth(a, origin), scene.azimuth(b, origin)
        if first is not None and second is not None:
            sigma = math.hypot(first.sigma, second.sigma)
            return Measured(turn_between(second.angle, first.angle), sigma, "their directions from the robot's place")
    return _turn_in_pictures(scene, a, b)


def _swept_the_other_way(scene: SceneMap, a: int, b: int, turn: float) -> bool:
    """Whether a panning camera turned the long way round from b to a: then the pan and the shortest turn disagree."""
    if not scene.stands_still:
        return False
    headings = np.unwrap([math.atan2(f.pose[1, 2], f.pose[0, 2]) for f in scene.keyframes if f.pose is not None])

    def swept(id: int) -> float:
        angles = []
        for s in scene.places[id].sightings:
            if s.direction is not None:
                ahead = headings[s.picture]
                angles.append(ahead + turn_between(ahead, math.atan2(s.direction[1], s.direction[0])))
        return float(np.mean(angles)) if angles else math.nan

    return abs(swept(a) - swept(b) - turn) > math.radians(30)


def _turn_in_pictures(scene: SceneMap, a: int, b: int) -> Measured | Unknown:
    """Tell it by the columns of the marks: in pictures that show both, else along a pan through shared marks."""
    turns = []
    for picture in scene.pictures_with(a, b):
        if _elsewhere(scene, picture):
            continue
        angles = view_angles(scene.keyframes[picture])
        turns.append(angles[a] - angles[b])
    if turns:
        if min(turns) < 0 < max(turns):
            return Unknown(f"some pictures show mark {a} to the left of mark {b} and some to the right", Cause.MOVED)
        return Measured(float(np.median(turns)), MARK_NOISE, "pictures that show both")
    along = pan_order(scene) if scene.here is None or scene.stands_still else {}
    if a in along and b in along:
        turn = along[a].angle - along[b].angle
        if abs(turn) > BEHIND:
            return Unknown(f"the camera turned about half way round between marks {a} and {b}", Cause.UNDEFINED)
        sigma = math.hypot(along[a].sigma, along[b].sigma)
        return Measured(turn, sigma, "the camera's turn, from marks in neighbouring pictures")
    why = f"no picture shows marks {a} and {b} together, and the camera's turn between them is not known"
    lost = [id for id in (a, b) if scene.places[id].point is None]
    return Unknown(why, Cause.NO_POSE if scene.here is None or not lost else scene.no_place(lost[0]).cause)


def _elsewhere(scene: SceneMap, picture: int) -> bool:
    """Whether a picture is known to be taken from another place than the robot's: left and right may differ there."""
    pose = scene.keyframes[picture].pose
    if scene.here is None or pose is None:
        return False
    return float(np.linalg.norm(pose[:3, 3] - scene.here[:3, 3])) > SAME_PLACE

"""Relations of marks: left or right, distances, directions; each measured, or unknown for a reason.

Left and right are those of somebody who stands at the camera's newest place, or at a mark and faces another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cc_ros.geometry.pan import pan_order, view_angles
from cc_ros.geometry.scene import SAME_PLACE, SceneMap, azimuth_of_point, turn_between
from cc_ros.geometry.triangulate import MARK_NOISE, Point

SURE = 2.0  # standard deviations between the marks before one counts as left of the other
BEHIND = math.radians(165)  # beyond this, an object is as much to the left as to the right
BODY = 0.2  # metres: where on an object somebody sits is not known better than this


@dataclass(frozen=True, slots=True)
class Measured:
    """A relation that was measured.

    :param value: radians to the left (negative = right), or metres, by the function that returns it.
    :param sigma: standard deviation in the unit of ``value``.
    :param basis: for people: what it was measured from.
    """

    value: float
    sigma: float
    basis: str

    @property
    def confidence(self) -> float:
        """How sure the sign of ``value`` is, 0.5..0.99 (normal distribution)."""
        return min(0.99, 0.5 * (1 + math.erf(abs(self.value) / (self.sigma * math.sqrt(2)))))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A relation that cannot be told, and why, for people."""

    reason: str


def side(scene: SceneMap, a: int, b: int | None) -> Measured | Unknown:
    """Tell how far mark ``a`` is left of mark ``b`` (None: straight ahead) from where the robot is now, in radians."""
    if b is None:
        ahead = direction(scene, a)
        return ahead if isinstance(ahead, Unknown) else _decided(ahead, f"mark {a} and straight ahead")
    if scene.here is not None:
        origin = scene.here[:3, 3]
        first, second = scene.azimuth(a, origin), scene.azimuth(b, origin)
        if first is not None and second is not None:
            sigma = math.hypot(first.sigma, second.sigma)
            turn = turn_between(second.angle, first.angle)
            if abs(turn) > BEHIND:
                return Unknown(f"marks {a} and {b} lie on opposite sides of the robot, neither left nor right")
            if _swept_the_other_way(scene, a, b, turn):
                return Unknown(f"the camera turned more than half way round between marks {a} and {b}")
            return _decided(Measured(turn, sigma, "their directions from the robot's place"), _both(a, b))
    return _side_in_pictures(scene, a, b)


def direction(scene: SceneMap, a: int) -> Measured | Unknown:
    """Tell how far mark ``a`` is to the left of where the camera looks now, in radians; 0 = straight ahead."""
    if scene.here is not None:
        azimuth = scene.azimuth(a, scene.here[:3, 3])
        if azimuth is not None:
            ahead = math.atan2(scene.here[1, 2], scene.here[0, 2])
            return Measured(turn_between(ahead, azimuth.angle), azimuth.sigma, "its direction from the robot's place")
    newest = len(scene.keyframes) - 1
    if scene.places[a].sightings[-1].picture == newest:
        return Measured(view_angles(scene.keyframes[newest])[a], MARK_NOISE, "its column in the newest picture")
    why = "there is no odometry" if scene.here is None else "its place is not known from where it was seen"
    return Unknown(f"the newest picture does not show mark {a}, and {why}")


def side_from(scene: SceneMap, a: int, b: int | None, at: int, facing: int) -> Measured | Unknown:
    """Tell how far mark ``a`` is left of mark ``b`` (None: of straight ahead) for somebody at ``at`` facing ``facing``.

    The value is in radians.
    """
    ids = [a, at, facing] if b is None else [a, b, at, facing]
    lost = [id for id in dict.fromkeys(ids) if scene.places[id].point is None]
    if lost:
        return _placeless(scene, lost)
    if at in (a, b, facing):
        return Unknown(f"mark {at} is where the observer is")
    origin = scene.places[at].point
    assert origin is not None
    heading = _azimuth_from(scene, facing, origin)
    first = _azimuth_from(scene, a, origin)
    second = heading if b is None else _azimuth_from(scene, b, origin)
    if heading is None or first is None or second is None:
        return Unknown(f"mark {at} is too close to the others to have a direction to them")
    ahead = [turn_between(heading[0], angle) for angle, _ in (first, second)]
    if max(map(abs, ahead)) > BEHIND:
        return Unknown("one of them is right behind the observer, neither left nor right")
    sigma = math.hypot(first[1], second[1])
    return _decided(
        Measured(ahead[0] - ahead[1], sigma, "their places in the world"), _both(a, facing if b is None else b)
    )


def distance(scene: SceneMap, a: int, b: int) -> Measured | Unknown:
    """Tell the distance between the places of two marks in metres."""
    first, second = scene.places[a].point, scene.places[b].point
    if first is None or second is None:
        lost = [id for id in (a, b) if scene.places[id].point is None]
        return _placeless(scene, lost)
    gap = float(np.linalg.norm(first.xyz - second.xyz))
    return Measured(gap, math.hypot(first.sigma, second.sigma), "their places in the world")


def distance_from_robot(scene: SceneMap, id: int) -> Measured | Unknown:
    """Tell how far a mark is from the camera's newest place, in metres."""
    point = scene.places[id].point
    if scene.here is not None and point is not None:
        gap = float(np.linalg.norm(point.xyz - scene.here[:3, 3]))
        return Measured(gap, point.sigma, "its place in the world")
    newest = scene.places[id].sightings[-1]
    if newest.picture == len(scene.keyframes) - 1 and newest.mark.depth > 0 and newest.ray is not None:
        gap = newest.mark.depth / float(newest.ray[2])
        return Measured(gap, max(0.05, 0.03 * gap), "its depth in the newest picture")
    return Unknown(f"the distance of mark {id} is not known ({scene.why_no_place(id)})")


def _placeless(scene: SceneMap, ids: list[int]) -> Unknown:
    return Unknown(f"the place of {_marks(ids)} is not known ({scene.why_no_place(ids[0])})")


def _azimuth_from(scene: SceneMap, id: int, origin: Point) -> tuple[float, float] | None:
    point = scene.places[id].point
    assert point is not None
    azimuth = azimuth_of_point(point, origin.xyz)
    if azimuth is None:
        return None
    gap = float(np.linalg.norm(point.xyz[:2] - origin.xyz[:2]))
    return azimuth.angle, math.hypot(azimuth.sigma, math.atan2(math.hypot(origin.sigma, BODY), gap))


def _decided(relation: Measured, which: str) -> Measured | Unknown:
    if not abs(relation.value) >= SURE * relation.sigma:  # so written, NaN is unknown as well
        return Unknown(
            f"{which} are {math.degrees(abs(relation.value)):.0f}° apart, "
            f"within what can be told ({math.degrees(SURE * relation.sigma):.0f}°)"
        )
    return relation


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


def _side_in_pictures(scene: SceneMap, a: int, b: int) -> Measured | Unknown:
    """Decide by the columns of the marks: in pictures that show both, else along a pan through shared marks."""
    turns = []
    for picture in scene.pictures_with(a, b):
        if _elsewhere(scene, picture):
            continue
        angles = view_angles(scene.keyframes[picture])
        turns.append(angles[a] - angles[b])
    if turns:
        if min(turns) < 0 < max(turns):
            return Unknown(f"some pictures show mark {a} to the left of mark {b} and some to the right")
        return _decided(Measured(float(np.median(turns)), MARK_NOISE, "pictures that show both"), _both(a, b))
    along = pan_order(scene) if scene.here is None or scene.stands_still else {}
    if a in along and b in along:
        turn = along[a].angle - along[b].angle
        if abs(turn) > BEHIND:
            return Unknown(f"the camera turned about half way round between marks {a} and {b}")
        sigma = math.hypot(along[a].sigma, along[b].sigma)
        return _decided(Measured(turn, sigma, "the camera's turn, from marks in neighbouring pictures"), _both(a, b))
    return Unknown(f"no picture shows marks {a} and {b} together, and the camera's turn between them is not known")


def _elsewhere(scene: SceneMap, picture: int) -> bool:
    """Whether a picture is known to be taken from another place than the robot's: left and right may differ there."""
    pose = scene.keyframes[picture].pose
    if scene.here is None or pose is None:
        return False
    return float(np.linalg.norm(pose[:3, 3] - scene.here[:3, 3])) > SAME_PLACE


def _both(a: int, b: int) -> str:
    return f"marks {a} and {b}"


def _marks(ids: list[int]) -> str:
    return f"mark{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"

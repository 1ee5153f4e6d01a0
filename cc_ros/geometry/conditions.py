"""Whether a condition holds for a mark: by how much it does, or does not, or why that cannot be told."""

from __future__ import annotations

import math

import numpy as np

from cc_ros.geometry.outcome import Cause, Measured, Unknown
from cc_ros.geometry.queries import HERE, Beside, Between, Condition, Nearer, View, Within
from cc_ros.geometry.relations import ahead, forward, gap, placeless, side, turn
from cc_ros.geometry.scene import SceneMap

FRONT = math.radians(60)  # what is less than this off straight ahead is in front; what is over 90 degrees off is not
IN_LINE = math.radians(45)  # further apart than this, neither of two marks is in front of the other
STRIP = (0.25, 0.5)  # of the gap between two marks: so far from their line is between them, and this is not


def holds(scene: SceneMap, mark: int, condition: Condition, view: View = HERE) -> Measured | Unknown:  # noqa: PLR0911
    """Tell by how much a condition holds: a positive value means that it does, a negative one that it does not.

    What is told is decided; its ``basis`` says for people what was measured.
    """
    match condition:
        case Beside("left" | "right" as relation, of):
            found = side(scene, mark, of, view)
            if isinstance(found, Unknown):
                return found
            word = "left" if found.value > 0 else "right"
            than = "straight ahead" if of is None else f"mark {of}"
            basis = f"mark {mark} is {_degrees(found.value)} {word} of {than}{seen(view)}, from {found.basis}"
            return Measured(found.value if relation == "left" else -found.value, found.sigma, basis)
        case Beside("front" | "behind" as relation, of):
            if of is None:
                return _before_observer(scene, mark, relation == "behind", view)
            found = _before_mark(scene, mark, of, view)
            return found if relation == "front" else _negative(found)
        case Beside(relation, of):
            found = _higher(scene, mark, of, view)
            return found if relation == "above" else _negative(found)
        case Within(metres, of, beyond):
            found = gap(scene, mark, _from(of, view))
            if isinstance(found, Unknown):
                return found
            basis = f"mark {mark} is {found.value:.1f} m away, measured from {found.basis}"
            found = _told(Measured(metres - found.value, found.sigma, basis), f"whether that is within {metres:g} m")
            return _negative(found) if beyond else found
        case Nearer(than, of, farther):
            found = _nearer(scene, mark, than, _from(of, view))
            return _negative(found) if farther else found
        case Between(a, b):
            return _between(scene, mark, a, b)


def seen(view: View) -> str:
    """Return, for people, for whom something is so."""
    if view == HERE:
        return " for the camera"
    at = "the camera's place" if view.at is None else f"mark {view.at}"
    looks = f"facing mark {view.facing}" if view.facing is not None else f"with the back to mark {view.back}"
    return f" for somebody at {at} {looks}"


def _from(of: int | None, view: View) -> int | None:
    return view.at if of is None else of


def _before_observer(scene: SceneMap, mark: int, behind: bool, view: View) -> Measured | Unknown:
    """Tell by how many radians a mark is in front of an observer rather than beside him, or behind him."""
    found = ahead(scene, mark, view)
    if isinstance(found, Unknown):
        return found
    off = math.pi - abs(found.value) if behind else abs(found.value)
    basis = f"mark {mark} is {_degrees(found.value)} off straight ahead{seen(view)}"
    if FRONT < off < math.pi / 2:
        return Unknown(f"{basis}, to the side rather than in front or behind", Cause.TOO_CLOSE)
    return _told(Measured(math.pi / 2 - off, found.sigma, f"{basis}, from {found.basis}"), "whether that is so")


def _before_mark(scene: SceneMap, mark: int, of: int, view: View) -> Measured | Unknown:
    """Tell by how many metres ``mark`` is nearer than ``of`` to an observer who sees both in about one direction."""
    if mark == of:
        return Unknown(f"both are mark {mark}", Cause.UNDEFINED)
    apart = turn(scene, mark, of, view)
    if isinstance(apart, Unknown):
        return apart
    if abs(apart.value) > IN_LINE:
        why = f"marks {mark} and {of} are {_degrees(apart.value)} apart{seen(view)}, neither is in front of the other"
        return Unknown(why, Cause.TOO_CLOSE)
    found = _nearer(scene, mark, of, view.at)
    first, second = ahead(scene, mark, view), ahead(scene, of, view)
    if isinstance(found, Unknown) or isinstance(first, Unknown) or isinstance(second, Unknown):
        return next(one for one in (found, first, second) if isinstance(one, Unknown))
    if max(abs(first.value), abs(second.value)) > math.pi / 2 - IN_LINE / 3:
        why = f"marks {mark} and {of} are not both before the observer{seen(view)}"
        return Unknown(why, Cause.UNDEFINED)
    return _ahead_as_well(scene, mark, of, view, found)


def _ahead_as_well(scene: SceneMap, mark: int, of: int, view: View, found: Measured) -> Measured | Unknown:
    """Return by how many metres a mark is nearer, where it is less far ahead as well; one alone tells nothing."""
    near, far = forward(scene, mark, view), forward(scene, of, view)
    if isinstance(near, Unknown) or isinstance(far, Unknown):
        return near if isinstance(near, Unknown) else far
    less = Measured(far.value - near.value, math.hypot(near.sigma, far.sigma), "")
    if less.decided and less.value * found.value > 0:
        return found
    why = f"{found.basis}, but about equally far ahead{seen(view)}, or the other way round"
    return Unknown(why, Cause.TOO_CLOSE)


def _nearer(scene: SceneMap, mark: int, than: int, of: int | None) -> Measured | Unknown:
    """Tell by how many metres ``mark`` is nearer to ``of`` than ``than`` is."""
    if mark == than:
        return Unknown(f"both are mark {mark}", Cause.UNDEFINED)
    first, second = gap(scene, mark, of), gap(scene, than, of)
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return first if isinstance(first, Unknown) else second
    both = f"marks {mark} and {than} are {first.value:.1f} m and {second.value:.1f} m away"
    found = Measured(second.value - first.value, math.hypot(first.sigma, second.sigma), f"{both}, from {first.basis}")
    if found.decided:
        return found
    return Unknown(
        f"marks {mark} and {than} are about equally far ({first.value:.1f} m and {second.value:.1f} m)", Cause.TOO_CLOSE
    )


def _higher(scene: SceneMap, mark: int, of: int | None, view: View) -> Measured | Unknown:
    """Tell by how many metres a mark is higher than ``of``, or than the observer's eye or mark."""
    if mark == of:
        return Unknown(f"both are mark {mark}", Cause.UNDEFINED)
    base = _from(of, view)
    lost = [id for id in (mark, base) if id is not None and scene.places[id].point is None]
    if lost:
        return placeless(scene, lost)
    point = scene.places[mark].point
    assert point is not None
    if base is None:
        if scene.here is None:
            return Unknown("the newest picture has no odometry", Cause.NO_POSE)
        found = Measured(float(point.xyz[2] - scene.here[2, 3]), point.sigma, "")
    else:
        under = scene.places[base].point
        assert under is not None
        found = Measured(float(point.xyz[2] - under.xyz[2]), math.hypot(point.sigma, under.sigma), "")
    than = "the camera" if base is None else f"mark {base}"
    basis = f"mark {mark} is {abs(found.value):.1f} m {'above' if found.value > 0 else 'below'} {than}"
    return _told(Measured(found.value, found.sigma, f"{basis}, measured from their places in the world"), "that")


def _between(scene: SceneMap, mark: int, a: int, b: int) -> Measured | Unknown:
    """Tell by how many metres a mark lies inside the strip from one mark to another, seen from above."""
    if len({mark, a, b}) < 3:
        return Unknown("a mark is not between itself and another", Cause.UNDEFINED)
    points = [scene.places[id].point for id in (mark, a, b)]
    known = [point for point in points if point is not None]
    if len(known) < 3:
        return placeless(scene, [id for id in (mark, a, b) if scene.places[id].point is None])
    middle, start, end = (point.xyz[:2] for point in known)
    sigma = float(np.linalg.norm([point.sigma for point in known]))
    length = float(np.linalg.norm(end - start))
    if length <= 2 * sigma:
        return Unknown(f"marks {a} and {b} are too close together to have something between them", Cause.TOO_CLOSE)
    way = (end - start) / length
    along = float((middle - start) @ way)
    off = abs(float(way[0] * (middle - start)[1] - way[1] * (middle - start)[0]))
    inside = min(along, length - along)
    basis = f"mark {mark} is {along:.1f} m along the {length:.1f} m from mark {a} to mark {b} and {off:.1f} m beside"
    basis += ", measured from their places in the world"
    inner, outer = (Measured(min(inside, share * length - off), sigma, basis) for share in STRIP)
    if inner.value > 0 and inner.decided:
        return inner
    if outer.value < 0 and outer.decided:
        return outer
    return Unknown(f"{basis}; whether that is between them is too close to call", Cause.TOO_CLOSE)


def _told(found: Measured, what: str) -> Measured | Unknown:
    if found.decided:
        return found
    return Unknown(f"{found.basis}; {what} is too close to call", Cause.TOO_CLOSE)


def _negative(found: Measured | Unknown) -> Measured | Unknown:
    return found if isinstance(found, Unknown) else Measured(-found.value, found.sigma, found.basis)


def _degrees(angle: float) -> str:
    return f"{math.degrees(abs(angle)):.0f}°"

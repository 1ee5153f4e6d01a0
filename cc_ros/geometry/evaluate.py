"""Answers to queries: measured, or refused for a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cc_ros.geometry.conditions import holds, seen
from cc_ros.geometry.outcome import Cause, Measured, Unknown
from cc_ros.geometry.queries import (
    HERE,
    Bearing,
    Beside,
    Condition,
    Coordinates,
    Count,
    Distance,
    Extreme,
    GoTo,
    Is,
    ListMarks,
    Nearer,
    Order,
    Query,
    Relation,
    Same,
    Side,
    Sorting,
    TurnTo,
    View,
    Where,
    Which,
    marks_in,
)
from cc_ros.geometry.relations import ahead, gap, placeless, side
from cc_ros.geometry.scene import SceneMap

TELLING = 0.5  # of a distance: what is less certain than this is not told as a number
AHEAD = math.radians(8)
MEASURED = 0.95  # confidence of a number that is told, which its sigma says more of
PARTLY = 0.7  # ... of an answer that leaves out marks of which it is not known


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a query.

    :param value: what the kind of query says: a bool, a mark, marks, a word, metres or radians to the left.
    :param text: the same in words.
    :param marks: that it is about.
    :param confidence: 0..1.
    :param reason: for people: what was measured.
    :param sigma: standard deviation of what decided it, metres or radians; 0 where nothing was measured.
    :param unsure: marks that may belong to the answer as well; it could not be told.
    """

    value: bool | int | float | str | tuple[int, ...] | tuple[float, ...]
    text: str
    marks: tuple[int, ...]
    confidence: float
    reason: str
    sigma: float = 0.0
    unsure: tuple[int, ...] = ()


def evaluate(query: Query, scene: SceneMap) -> Found | Unknown:  # noqa: PLR0911, PLR0912
    """Answer a query from what was measured. Nothing is guessed.

    >>> evaluate(Distance(3), SceneMap.from_keyframes([])).reason
    'no keyframe shows mark 3; they show no marks at all'
    """
    missing = [id for id in marks_in(query) if id not in scene.places]
    if missing:
        return Unknown(not_shown(missing, scene.ids), Cause.UNKNOWN_MARK)
    match query:
        case Is(mark, condition, view):
            return _is(query, holds(scene, mark, condition, view))
        case Side():
            return _side(query, scene)
        case Which(condition, view):
            return _which(scene, condition, view)
        case Count(condition, view):
            return _count(scene, condition, view)
        case Extreme() if query.claim is None:
            return _extreme(query, scene)
        case Extreme():
            return _claimed(query, _extreme(query, scene))
        case Order():
            return _order(query, scene)
        case ListMarks():
            return Found(scene.ids, named(scene.ids), scene.ids, 1.0, "those are the marks in the keyframes")
        case Distance(mark, of, view):
            return _distance(scene, mark, view.at if of is None else of)
        case Bearing():
            return _bearing(query, scene)
        case Where(mark, view):
            return _where(scene, mark, view)
        case Coordinates(mark):
            return _coordinates(scene, mark)
        case Same(a, b):
            return _same(scene, a, b)
        case GoTo(mark):
            return _go(scene, mark)
        case TurnTo(mark):
            found = ahead(scene, mark)
            return found if isinstance(found, Unknown) else _angle(found, f"mark {mark}, ", (mark,))


def named(ids: Iterable[int]) -> str:
    """Return marks for people: "mark 3", "marks 3, 5", "no mark"."""
    many = list(ids)
    return f"mark{'s' if len(many) > 1 else ''} {listed(many)}" if many else "no mark"


def listed(ids: Iterable[int]) -> str:
    """Return ids for people: "3, 5"."""
    return ", ".join(map(str, ids))


def not_shown(missing: Iterable[int], ids: Sequence[int]) -> str:
    """Return for people that no keyframe shows some marks, and which they do show."""
    shown = f"they show {listed(ids)}" if ids else "they show no marks at all"
    return f"no keyframe shows mark {listed(missing)}; {shown}"


def heading(angle: float) -> str:
    """Return an angle for people, in radians to the left: "35° to the left"."""
    if abs(angle) < AHEAD:
        return "straight ahead"
    if abs(angle) > math.pi - AHEAD:
        return "right behind"
    return f"{math.degrees(abs(angle)):.0f}° to the {'left' if angle > 0 else 'right'}"


def _is(query: Query, found: Measured | Unknown) -> Found | Unknown:
    if isinstance(found, Unknown):
        return found
    yes = found.value > 0
    return Found(yes, "yes" if yes else "no", marks_in(query), found.confidence, found.basis, found.sigma)


_SIDES: dict[str, tuple[Relation, Relation]] = {
    "sideways": ("left", "right"),
    "along": ("front", "behind"),
    "upright": ("above", "below"),
}


def _side(query: Side, scene: SceneMap) -> Found | Unknown:
    sides = {r: holds(scene, query.mark, Beside(r, query.of), query.view) for r in _SIDES[query.axis]}
    for relation, found in sides.items():
        if isinstance(found, Measured) and found.value > 0:
            word = "in front" if relation == "front" else relation
            return Found(word, word, marks_in(query), found.confidence, found.basis, found.sigma)
    return next(found for found in sides.values() if isinstance(found, Unknown))  # it is not on neither side


def _sorted_out(scene: SceneMap, condition: Condition, view: View) -> tuple[dict[int, Measured], dict[int, Unknown]]:
    """Return for which marks it is known whether a condition holds, and for which not."""
    reference = {*marks_in(condition), view.at}
    if isinstance(condition, Beside) and condition.of is None and condition.relation in ("left", "right"):
        reference |= {view.facing, view.back}  # neither left nor right of somebody who looks that way
    found = {id: holds(scene, id, condition, view) for id in scene.ids if id not in reference}
    known = {id: one for id, one in found.items() if isinstance(one, Measured)}
    return known, {id: one for id, one in found.items() if isinstance(one, Unknown)}


def _which(scene: SceneMap, condition: Condition, view: View) -> Found | Unknown:
    known, unknown = _sorted_out(scene, condition, view)
    if not known and not unknown:
        return Unknown("there is no other mark", Cause.UNDEFINED)
    ids = tuple(id for id, found in known.items() if found.value > 0)
    if unknown and not ids:
        return next(iter(unknown.values()))
    sure = min((found.confidence for found in known.values()), default=MEASURED)
    reason = "; ".join(known[id].basis for id in ids) or f"it holds for none of {listed(known)}"
    sigma = max((known[id].sigma for id in ids), default=0.0)
    text, confidence = named(ids), sure
    if unknown:
        text, confidence = f"{text}; of {listed(unknown)} it cannot be told", min(PARTLY, sure)
    return Found(ids, text, ids, confidence, reason, sigma, tuple(unknown))


def _count(scene: SceneMap, condition: Condition | None, view: View) -> Found | Unknown:
    if condition is None:
        return Found(len(scene.ids), str(len(scene.ids)), scene.ids, 1.0, f"the keyframes show {named(scene.ids)}")
    found = _which(scene, condition, view)
    if isinstance(found, Unknown):
        return found
    if found.unsure:
        _, unknown = _sorted_out(scene, condition, view)
        return next(iter(unknown.values()))
    return Found(len(found.marks), str(len(found.marks)), found.marks, found.confidence, found.reason, found.sigma)


def _before(scene: SceneMap, query: Extreme | Order) -> Callable[[int, int], Measured | Unknown]:
    """Return what tells by how much one mark comes before another."""
    conditions: dict[Sorting, Callable[[int], Condition]] = {
        "leftmost": lambda b: Beside("left", b),
        "rightmost": lambda b: Beside("right", b),
        "highest": lambda b: Beside("above", b),
        "lowest": lambda b: Beside("below", b),
        "nearest": lambda b: Nearer(b, query.of),
        "farthest": lambda b: Nearer(b, query.of, farther=True),
    }
    condition = conditions[query.sorting]
    return lambda a, b: holds(scene, a, condition(b), query.view)


def _meant(scene: SceneMap, query: Extreme | Order) -> list[int]:
    away = query.sorting in ("nearest", "farthest")
    reference = {query.of, query.view.at} if away else {query.view.at}
    return [id for id in (query.among or scene.ids) if id not in reference]


def _extreme(query: Extreme, scene: SceneMap) -> Found | Unknown:
    ids, before = _meant(scene, query), _before(scene, query)
    left_out: dict[int, Unknown] = {}
    if query.sorting in ("nearest", "farthest"):  # one whose distance is unknown does not hide the others'
        reference = query.view.at if query.of is None else query.of
        gaps = {id: gap(scene, id, reference) for id in ids}
        left_out = {id: found for id, found in gaps.items() if isinstance(found, Unknown)}
        if left_out and (query.among or len(ids) - len(left_out) < max(2, len(left_out))):
            return next(iter(left_out.values()))
        ids = [id for id in ids if id not in left_out]
    if not ids:
        return Unknown("there is no other mark", Cause.UNDEFINED)
    best = ids[0]
    for id in ids[1:]:
        ahead_of = before(id, best)
        if isinstance(ahead_of, Unknown) or ahead_of.value > 0:
            best = id
    won = [before(best, id) for id in ids if id != best]
    for found in won:
        if isinstance(found, Unknown) or found.value <= 0:
            return _no_first(query, found)
    sure = [found for found in won if isinstance(found, Measured)]
    confidence = min((found.confidence for found in sure), default=MEASURED)
    reason = min(sure, key=lambda found: found.confidence).basis if sure else "it is the only one"
    sigma = max((found.sigma for found in sure), default=0.0)
    if left_out:
        reason += f"; of those whose distance is known, which that of {listed(left_out)} is not"
        confidence = min(PARTLY, confidence)
    return Found(best, f"mark {best}", (best,), confidence, reason, sigma, tuple(left_out))


def _no_first(query: Extreme | Order, found: Measured | Unknown) -> Unknown:
    if isinstance(found, Unknown):
        return found
    which = "none of them" if query.among else "none"
    return Unknown(f"the marks lie all around, {which} is the {query.sorting}", Cause.UNDEFINED)


def _claimed(query: Extreme, found: Found | Unknown) -> Found | Unknown:
    """Tell whether it is the mark that was asked about."""
    if isinstance(found, Unknown) or (found.unsure and query.claim in found.unsure):
        return found if isinstance(found, Unknown) else Unknown(found.reason, Cause.NO_DEPTH)
    yes = found.value == query.claim
    return Found(yes, "yes" if yes else "no", marks_in(query), found.confidence, found.reason, found.sigma)


def _order(query: Order, scene: SceneMap) -> Found | Unknown:
    ids, before = _meant(scene, query), _before(scene, query)
    if not ids:
        return Unknown("there are no marks to put in order", Cause.UNDEFINED)
    pairs = {(a, b): before(a, b) for a in ids for b in ids if a != b}
    for found in pairs.values():
        if isinstance(found, Unknown):
            return found
    first = {id: sum(pairs[id, other].value > 0 for other in ids if other != id) for id in ids}  # type: ignore[union-attr]
    order = tuple(sorted(ids, key=lambda id: -first[id]))
    if len(set(first.values())) < len(ids):
        return Unknown("the marks lie all around, so that they have no first and last", Cause.UNDEFINED)
    told = [found for found in pairs.values() if isinstance(found, Measured)]
    confidence = min((found.confidence for found in told), default=MEASURED)
    reason = f"measured{seen(query.view)}" if query.sorting in ("leftmost", "rightmost") else "measured"
    return Found(order, listed(order), order, confidence, reason, max((found.sigma for found in told), default=0.0))


def _distance(scene: SceneMap, mark: int, of: int | None) -> Found | Unknown:
    found = _tellable(gap(scene, mark, of))
    if isinstance(found, Unknown):
        return found
    ids = (mark,) if of is None else (mark, of)
    reason = f"± {2 * found.sigma:.1f} m, measured from {found.basis}"
    return Found(found.value, f"{found.value:.1f} m", ids, MEASURED, reason, found.sigma)


def _tellable(found: Measured | Unknown) -> Measured | Unknown:
    """Return a distance that is certain enough to be told as a number."""
    if isinstance(found, Measured) and not 2 * found.sigma <= TELLING * found.value:  # NaN is uncertain as well
        why = f"the distance is about {found.value:.1f} m, give or take {2 * found.sigma:.1f} m"
        return Unknown(why, Cause.TOO_CLOSE)
    return found


def _bearing(query: Bearing, scene: SceneMap) -> Found | Unknown:
    if query.of is None:
        found = ahead(scene, query.mark, query.view)
        return found if isinstance(found, Unknown) else _angle(found, "", marks_in(query))
    found = side(scene, query.mark, query.of, query.view)
    if isinstance(found, Unknown):
        return found
    text = f"{math.degrees(abs(found.value)):.0f}° to the {'left' if found.value > 0 else 'right'} of mark {query.of}"
    return Found(found.value, text, marks_in(query), MEASURED, f"measured from {found.basis}", found.sigma)


def _angle(found: Measured, before: str, marks: tuple[int, ...]) -> Found:
    reason = f"± {math.degrees(2 * found.sigma):.0f}°, measured from {found.basis}"
    return Found(found.value, f"{before}{heading(found.value)}", marks, MEASURED, reason, found.sigma)


def _where(scene: SceneMap, mark: int, view: View) -> Found | Unknown:
    direction, away = ahead(scene, mark, view), _tellable(gap(scene, mark, view.at))
    parts = [] if isinstance(away, Unknown) else [f"{away.value:.1f} m away"]
    if isinstance(direction, Measured):
        parts.append(heading(direction.value))
    if parts:
        basis = next(found.basis for found in (direction, away) if isinstance(found, Measured))
        value = tuple(found.value if isinstance(found, Measured) else math.nan for found in (away, direction))
        sigma = next(found.sigma for found in (away, direction) if isinstance(found, Measured))
        eye = "the robot's newest place" if view == HERE else seen(view).removeprefix(" for ")
        reason = f"seen from {eye}, measured from {basis}"
        return Found(value, ", ".join(parts), marks_in(Where(mark, view)), MEASURED, reason, sigma)
    assert isinstance(direction, Unknown)
    if view != HERE:
        return direction
    last = scene.places[mark].sightings[-1]
    third = ("left", "middle", "right")[min(2, int(3 * last.mark.x / scene.keyframes[last.picture].width))]
    text = f"in the {third} of picture {last.picture + 1} of {len(scene.keyframes)}, the last that shows it"
    reason = f"its direction from the robot is not known: {direction.reason}"
    return Found((math.nan, math.nan), text, (mark,), MEASURED, reason)


def missing_place(scene: SceneMap, mark: int) -> Unknown:
    """Return why nobody can go to a mark."""
    if scene.places[mark].point is None:
        return scene.no_place(mark)
    return Unknown("the newest picture has no odometry", Cause.NO_POSE)


def _go(scene: SceneMap, mark: int) -> Found | Unknown:
    if scene.places[mark].point is not None and scene.here is not None:
        found = _where(scene, mark, HERE)
        assert isinstance(found, Found)
        return Found(found.value, f"mark {mark}, {found.text}", found.marks, MEASURED, found.reason, found.sigma)
    missing, direction = missing_place(scene, mark), ahead(scene, mark)
    at_least = f"; it is {heading(direction.value)}" if isinstance(direction, Measured) else ""
    return Unknown(f"the place of mark {mark} is not known ({missing.reason}){at_least}", missing.cause)


def _coordinates(scene: SceneMap, mark: int) -> Found | Unknown:
    place = scene.places[mark]
    if place.point is None:
        return placeless(scene, [mark])
    x, y, z = map(float, place.point.xyz)
    text = f"x {x:.2f} m, y {y:.2f} m, z {z:.2f} m" + (f" in {scene.world_frame}" if scene.world_frame else "")
    reason = f"± {2 * place.point.sigma:.2f} m, measured from {place.source}"
    return Found((x, y, z), text, (mark,), MEASURED, reason, place.point.sigma)


def _same(scene: SceneMap, a: int, b: int) -> Found | Unknown:
    """Tell whether two marks are one object: not if one picture shows both, or their places are apart."""
    if a == b:
        return Found(True, "yes", (a,), 1.0, "equal numbers are the same object")
    if scene.pictures_with(a, b):
        return Found(False, "no", (a, b), MEASURED, "one picture shows both")
    found = gap(scene, a, b)
    if isinstance(found, Unknown):
        return Unknown(f"no picture shows both, and {found.reason}", found.cause)
    if found.value < 1.0 or not found.decided:
        why = f"marks {a} and {b} are {found.value:.1f} m apart and no picture shows both: they may be one object"
        return Unknown(why, Cause.TOO_CLOSE)
    return Found(False, "no", (a, b), found.confidence, f"they are {found.value:.1f} m apart", found.sigma)

"""Answers without a model: questions about marks, answered from what was measured.

Left, right, near and far of marks follow from tracks, intrinsics and odometry or depth, as far as there are any. What
they do not determine is not answered.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

from cc_ros.geometry import GeometryError, relations
from cc_ros.geometry.approach import approach
from cc_ros.geometry.relations import Measured, Unknown
from cc_ros.geometry.scene import SceneMap
from cc_ros.reasoning.kinds import KINDS, Form
from cc_ros.reasoning.measured import questions
from cc_ros.reasoning.types import Answer, Goal, Kind, Question, Status

_TELLING = 0.5  # of a distance: what is less certain than this is not told as a number
_AHEAD = math.radians(8)


def answer_from_marks(question: Question, kind: Kind, scene: SceneMap) -> Answer | None:
    """Answer a question from measurements, or return None where it is none about marks alone.

    :returns: an answer that is OK, UNKNOWN_MARK, or CANNOT_TELL with what was missing in the message.
    """
    asked = questions.read(question.text)
    if asked is None or type(asked) not in KINDS[kind].measured:
        return None
    missing = [id for id in questions.ids_in(asked) if id not in scene.places]
    if missing:
        return dataclasses.replace(unknown_marks(missing, scene.ids), kind=kind.value)
    answer = dataclasses.replace(_answer(asked, scene), kind=kind.value)
    if answer.ok and KINDS[kind].form is Form.CHOICE:
        return _choose(answer, question.choices)
    return answer


def unknown_marks(missing: Sequence[int], known: Sequence[int]) -> Answer:
    """Return the refusal of a question about marks that do not exist."""
    shown = f"they show {', '.join(map(str, known))}" if known else "they show no marks at all"
    message = f"no keyframe shows mark {', '.join(map(str, missing))}; {shown}"
    return Answer(Status.UNKNOWN_MARK, message)


def _answer(asked: questions.Asked, scene: SceneMap) -> Answer:  # noqa: PLR0911
    match asked:
        case questions.AsksSide():
            return _side(asked, scene)
        case questions.AsksFurther():
            return _further(asked, scene)
        case questions.AsksCount():
            return _measured(str(len(scene.ids)), scene.ids, 1.0, f"the keyframes show marks {_list(scene.ids)}")
        case questions.AsksNearest():
            return _nearest(asked, scene)
        case questions.AsksWhere(id):
            return _where(id, scene)
        case questions.AsksDistance(a, b):
            return _distance(a, b, scene)
        case questions.AsksGo(id, turn):
            return _go(id, turn, scene)


def _side(asked: questions.AsksSide, scene: SceneMap) -> Answer:
    relation = _relation(asked.a, asked.b, asked.view, scene)
    if isinstance(relation, Unknown):
        return _unknown(relation)
    found = "left" if relation.value > 0 else "right"
    of = f"of mark {asked.b}" if asked.b is not None else "of straight ahead"
    who = f"for somebody at mark {asked.view.at} facing mark {asked.view.facing}" if asked.view else "for the camera"
    reason = (
        f"mark {asked.a} is {math.degrees(abs(relation.value)):.0f}° {found} {of} {who}, measured from {relation.basis}"
    )
    text = found if not asked.claim else "yes" if asked.claim == found else "no"
    ids = [asked.a, asked.b, *((asked.view.at, asked.view.facing) if asked.view else ())]
    return _measured(text, [id for id in ids if id is not None], relation.confidence, reason)


def _further(asked: questions.AsksFurther, scene: SceneMap) -> Answer:
    relation = _relation(asked.a, asked.b, asked.view, scene)
    if isinstance(relation, Unknown):
        return _unknown(relation)
    id = asked.a if (relation.value > 0) == (asked.side == "left") else asked.b
    reason = f"mark {id} is {math.degrees(abs(relation.value)):.0f}° further {asked.side}, from {relation.basis}"
    return _measured(f"mark {id}", [id], relation.confidence, reason)


def _relation(a: int, b: int | None, view: questions.View | None, scene: SceneMap) -> Measured | Unknown:
    if a == b:
        return Unknown(f"both are mark {a}")
    if view is not None:
        return relations.side_from(scene, a, b, view.at, view.facing)
    return relations.side(scene, a, b)


def _nearest(asked: questions.AsksNearest, scene: SceneMap) -> Answer:
    ids = [id for id in (asked.among or scene.ids) if id != asked.to]
    if not ids:
        return _unknown(Unknown("there is no other mark"))
    measured = {id: _gap(scene, id, asked.to) for id in ids}
    gaps = {id: gap for id, gap in measured.items() if isinstance(gap, Measured)}
    unknown = {id: gap for id, gap in measured.items() if isinstance(gap, Unknown)}
    if unknown and (asked.among or len(gaps) < max(2, len(unknown))):
        return _unknown(next(iter(unknown.values())))
    order = sorted(gaps, key=lambda id: gaps[id].value, reverse=asked.furthest)
    best = gaps[order[0]]
    for id in order[1:]:
        if abs(gaps[id].value - best.value) < relations.SURE * math.hypot(gaps[id].sigma, best.sigma):
            both = f"{best.value:.1f} m and {gaps[id].value:.1f} m"
            return _unknown(Unknown(f"marks {order[0]} and {id} are about equally far ({both})"))
    word = "furthest from" if asked.furthest else "nearest to"
    whom = "the robot" if asked.to is None else f"mark {asked.to}"
    reason = f"mark {order[0]} is {word} {whom}, at {best.value:.1f} m, measured from {best.basis}"
    if unknown:
        reason += f"; of those whose distance is known, which that of {_list(sorted(unknown))} is not"
    return _measured(f"mark {order[0]}", [order[0]], 0.7 if unknown else 0.95, reason)


def _distance(a: int, b: int | None, scene: SceneMap) -> Answer:
    gap = _told(_gap(scene, a, b))
    if isinstance(gap, Unknown):
        return _unknown(gap)
    ids = [a] if b is None else [a, b]
    return _measured(f"{gap.value:.1f} m", ids, 0.95, f"± {2 * gap.sigma:.1f} m, measured from {gap.basis}")


def _gap(scene: SceneMap, a: int, b: int | None) -> Measured | Unknown:
    return relations.distance_from_robot(scene, a) if b is None else relations.distance(scene, a, b)


def _told(gap: Measured | Unknown) -> Measured | Unknown:
    """Return a distance that is certain enough to be told."""
    if isinstance(gap, Measured) and not 2 * gap.sigma <= _TELLING * gap.value:  # so written, NaN is unknown as well
        return Unknown(f"the distance is about {gap.value:.1f} m, give or take {2 * gap.sigma:.1f} m")
    return gap


def _go(id: int, turn: bool, scene: SceneMap) -> Answer:
    """Tell where a mark is that somebody wants to go or turn to, or what is missing for that."""
    place, side = scene.places[id].point, relations.direction(scene, id)
    if turn and isinstance(side, Measured):
        return _measured(f"mark {id}, {_direction(side.value)}", [id], 0.95, f"measured from {side.basis}")
    if place is None or scene.here is None:
        at_least = f"; it is {_direction(side.value)}" if isinstance(side, Measured) else ""
        return _unknown(Unknown(f"the place of mark {id} is not known ({_missing(scene, id)}){at_least}"))
    where = _where(id, scene)
    return dataclasses.replace(where, text=f"mark {id}, {where.text}")


def goal_of(answer: Answer, kind: Kind, asked: questions.Asked | None, scene: SceneMap, distance: float) -> Goal | None:
    """Return where to go for the mark that a question wants to know, go or turn to; None where it is about none.

    :param asked: what the question asks about marks.
    :param distance: metres to keep from the object.
    :raises GeometryError: the place of the mark is not known.
    """
    if isinstance(asked, questions.AsksWhere | questions.AsksGo):
        id = asked.id
    elif KINDS[kind].form is Form.MARK and len(answer.mark_ids) == 1:
        id = answer.mark_ids[0]
    else:
        return None
    if id not in scene.places:
        raise GeometryError(f"no picture shows mark {id}")
    turn = isinstance(asked, questions.AsksGo) and asked.turn
    point = scene.places[id].point
    if point is not None:
        target = point.xyz.tolist()
    else:
        azimuth = scene.azimuth(id, scene.here[:3, 3]) if turn and scene.here is not None else None
        if azimuth is None or scene.here is None:
            raise GeometryError(f"the place of mark {id} is not known ({_missing(scene, id)})")
        x, y, z = scene.here[:3, 3].tolist()
        target = [x + math.cos(azimuth.angle), y + math.sin(azimuth.angle), z]
    frame = next(frame for frame in reversed(scene.keyframes) if frame.pose is not None)  # else nothing has a place
    assert frame.pose is not None
    return Goal(*approach(target, frame.pose, math.inf if turn else distance), frame.world_frame)


def _missing(scene: SceneMap, id: int) -> str:
    return scene.why_no_place(id) if scene.places[id].point is None else "the newest picture has no odometry"


def _where(id: int, scene: SceneMap) -> Answer:
    side, gap = relations.direction(scene, id), _told(relations.distance_from_robot(scene, id))
    parts = [] if isinstance(gap, Unknown) else [f"{gap.value:.1f} m away"]
    if isinstance(side, Measured):
        parts.append(_direction(side.value))
    if parts:
        basis = side.basis if isinstance(side, Measured) else gap.basis if isinstance(gap, Measured) else ""
        return _measured(", ".join(parts), [id], 0.95, f"seen from the robot's newest place, measured from {basis}")
    last = scene.places[id].sightings[-1]
    frame = scene.keyframes[last.picture]
    third = ("left", "middle", "right")[min(2, int(3 * last.mark.x / frame.width))]
    text = f"in the {third} of picture {last.picture + 1} of {len(scene.keyframes)}, the last that shows it"
    why = side.reason if isinstance(side, Unknown) else ""
    return _measured(text, [id], 0.95, f"its direction from the robot is not known: {why}")


def _direction(angle: float) -> str:
    if abs(angle) < _AHEAD:
        return "straight ahead"
    if abs(angle) > math.pi - _AHEAD:
        return "right behind"
    return f"{math.degrees(abs(angle)):.0f}° to the {'left' if angle > 0 else 'right'}"


def _choose(answer: Answer, choices: Sequence[str]) -> Answer | None:
    """Match a measured answer to one choice; None where none or several say the same."""
    said = set(re.findall(r"[a-z]+|\d+", answer.text.lower())) - {"mark"}
    wanted = [
        set(re.findall(r"[a-z]+|\d+", choice.lower())) - {"mark", "the", "to", "on", "it", "is"} for choice in choices
    ]
    fitting = [i for i, words in enumerate(wanted) if words == said]
    if len(fitting) != 1:
        return None
    return dataclasses.replace(answer, choice=fitting[0], text=questions.lettered(choices)[fitting[0]])


def _measured(text: str, ids: Sequence[int], confidence: float, reason: str) -> Answer:
    return Answer(Status.OK, text=text, mark_ids=tuple(ids), confidence=confidence, source="geometry", reason=reason)


def _unknown(relation: Unknown) -> Answer:
    return Answer(Status.CANNOT_TELL, f"the measurements do not tell: {relation.reason}")


def _list(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))

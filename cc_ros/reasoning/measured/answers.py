"""Answers without a model: questions about marks, answered from what was measured.

Left, right, near and far of marks follow from tracks, intrinsics and odometry or depth, as far as there are any. What
they do not determine is not answered.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

from cc_ros.geometry.bodies import bodies
from cc_ros.geometry.evaluate import evaluate, missing_place
from cc_ros.geometry.goals import GoalRules, Stand, stand_before, turned_to
from cc_ros.geometry.outcome import Cause, Unknown
from cc_ros.geometry.queries import GoTo, Query, TurnTo, Where
from cc_ros.geometry.scene import SceneMap
from cc_ros.ground import Ground
from cc_ros.reasoning.kinds import KINDS, Form
from cc_ros.reasoning.measured import questions
from cc_ros.reasoning.types import Answer, Goal, Kind, Question, Status


def answer_from_marks(question: Question, kind: Kind, scene: SceneMap) -> Answer | None:
    """Answer a question from measurements, or return None where it is none about marks alone.

    :returns: an answer that is OK, UNKNOWN_MARK, or CANNOT_TELL with what was missing in the message.
    """
    asked = questions.read(question.text)
    if asked is None or type(asked) not in KINDS[kind].measured:
        return None
    answer = dataclasses.replace(_answer(asked, scene), kind=kind.value)
    if not answer.ok:
        return answer
    if KINDS[kind].form is Form.CHOICE:
        return _choose(answer, question.choices)
    if KINDS[kind].form is Form.MARK and len(answer.mark_ids) != 1:
        return Answer(Status.CANNOT_TELL, f"no one mark is the answer: {answer.text}", kind=kind.value)
    return answer


def _answer(asked: Query, scene: SceneMap) -> Answer:
    found = evaluate(asked, scene)
    if isinstance(found, Unknown):
        if found.cause is Cause.UNKNOWN_MARK:
            return Answer(Status.UNKNOWN_MARK, found.reason)
        return Answer(Status.CANNOT_TELL, f"the measurements do not tell: {found.reason}")
    return Answer(
        Status.OK,
        text=found.text,
        mark_ids=found.marks,
        confidence=found.confidence,
        source="geometry",
        reason=found.reason,
    )


def goal_of(
    answer: Answer, kind: Kind, asked: Query | None, scene: SceneMap, grounds: Sequence[Ground], rules: GoalRules
) -> Goal | Unknown | None:
    """Return where to go for the mark that a question wants to know, go or turn to; None where it is about none.

    :param asked: what the question asks about marks.
    :param grounds: what is known of the ground.
    """
    if isinstance(asked, Where | GoTo | TurnTo):
        id = asked.mark
    elif KINDS[kind].form is Form.MARK and len(answer.mark_ids) == 1:
        id = answer.mark_ids[0]
    else:
        return None
    if id not in scene.places:
        return Unknown(f"no picture shows mark {id}", Cause.UNKNOWN_MARK)
    found = _turn(scene, id) if isinstance(asked, TurnTo) else _stand(scene, id, grounds, rules)
    if isinstance(found, Unknown):
        return found
    return Goal(found.x, found.y, found.yaw, scene.world_frame)


def _stand(scene: SceneMap, id: int, grounds: Sequence[Ground], rules: GoalRules) -> Stand | Unknown:
    things = bodies(scene)
    if id not in things or scene.here is None:
        missing = missing_place(scene, id)
        return Unknown(f"the place of mark {id} is not known ({missing.reason})", missing.cause)
    return stand_before(things[id], things.values(), scene.here[:2, 3], grounds, rules)


def _turn(scene: SceneMap, id: int) -> Stand | Unknown:
    pose, point = scene.here, scene.places[id].point
    if pose is None:
        return missing_place(scene, id)
    if point is not None:
        return turned_to(point.xyz[:2], pose)
    azimuth = scene.azimuth(id, pose[:3, 3])
    if azimuth is None:
        return Unknown(f"the direction of mark {id} is not known ({missing_place(scene, id).reason})", Cause.NO_POSE)
    return turned_to(pose[:2, 3] + [math.cos(azimuth.angle), math.sin(azimuth.angle)], pose)


def _choose(answer: Answer, choices: Sequence[str]) -> Answer | None:
    """Match a measured answer to one choice; None where none or several say the same."""
    passed_over = {"mark", "marks", "the", "to", "on", "it", "is"}
    said, *wanted = (set(re.findall(r"[a-z]+|\d+", text.lower())) - passed_over for text in (answer.text, *choices))
    fitting = [i for i, words in enumerate(wanted) if words == said]
    if len(fitting) != 1:
        return None
    return dataclasses.replace(answer, choice=fitting[0], text=questions.lettered(choices)[fitting[0]])

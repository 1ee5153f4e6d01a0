"""Where a wrong answer went wrong, from the pictures to the reply."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np

from cc_ros.evaluation.truth import true_map, under
from cc_ros.evaluation.types import Question
from cc_ros.keyframes import MarkedKeyframe

FORMAT_STATUSES = ("BAD_REPLY", "INVENTED_MARK")
SHOWN = 0.002  # share of a picture that an object fills for the picture to show it
COVERED = 0.3  # share of an object's pixels that its track must hold
OWN = 0.5  # share of a track's pixels that must lie on the object


class Stage(str, Enum):
    """What failed, in the order in which it happens."""

    NOT_TRACKED = "not tracked"
    NOT_MARKED = "not marked"
    WRONG_THING = "mark on the wrong thing"
    FORMAT = "format wrong"
    MODEL = "model wrong"
    UNKNOWN = "marks or model: no true masks to tell"


def of_reply(question: Question, status: str, text: str, message: str) -> tuple[str, str]:
    """Return the stage and a sentence where a reply is no answer, else two empty texts.

    :param question: its ``extra["allowed"]`` are the words of which an answer has to say one.
    """
    if status in FORMAT_STATUSES:
        return Stage.FORMAT.value, message
    allowed = question.extra.get("allowed")
    if status == "OK" and allowed:
        said = set(re.findall(r"\w+", text.lower())) & set(allowed)
        if len(said) != 1:
            return Stage.FORMAT.value, f"the answer must say one of {', '.join(allowed)}"
    return "", ""


def of_pictures(
    question: Question,
    pictures: Sequence[MarkedKeyframe],
    labels: Mapping[int, np.ndarray],
    own_numbers: bool = False,
) -> tuple[str, str]:
    """Return what keeps the pictures from telling the answer, and a sentence; two empty texts where nothing does.

    :param pictures: as the model gets them.
    :param labels: frame index -> what was tracked there, HxW uint16.
    :param own_numbers: whether every picture has numbers of its own (set-of-mark), which mean nothing in another.
    """
    truth, asked = question.media.truth, question.extra.get("objects") or []
    if truth is None or not asked:
        return Stage.UNKNOWN.value, "the true masks of what is asked about are not known"
    frames = [
        (picture, true_map(truth, picture.index, (picture.width, picture.height)), labels[picture.index])
        for picture in pictures
        if picture.index in labels
    ]
    found = [problem for wanted in asked if (problem := _problem(wanted, frames, own_numbers))]
    order = [stage.value for stage in Stage]
    return min(found, key=lambda one: order.index(one[0])) if found else _untied(asked, frames, own_numbers)


_Frame = tuple[MarkedKeyframe, np.ndarray, np.ndarray]


def _problem(wanted: int, frames: Sequence[_Frame], own_numbers: bool) -> tuple[str, str] | None:
    """Return what is wrong with one object."""
    tracks = {frame.index: track for frame, truth, labels in frames if (track := _track_on(truth == wanted, labels))}
    if not tracks:
        return Stage.NOT_TRACKED.value, f"no track holds object {wanted} in any picture"
    numbers = {} if own_numbers else tracks
    marked = {mark.id for frame, _, _ in frames for mark in frame.marks if numbers.get(frame.index) == mark.id}
    on_it: set[int] = set()
    elsewhere: dict[int, int] = {}
    for frame, truth, _ in frames:
        for mark in frame.marks:
            below = under(truth, mark.x, mark.y)
            if below == wanted:
                on_it.add(mark.id)
            else:
                elsewhere[mark.id] = below
    if not marked and not on_it:
        return Stage.NOT_MARKED.value, f"object {wanted} is tracked but has no mark in any picture"
    if own_numbers:
        return None
    astray = sorted((marked | on_it) & elsewhere.keys())
    if astray:
        return Stage.WRONG_THING.value, f"mark {astray[0]} lies on objects {wanted} and {elsewhere[astray[0]]}"
    if len(on_it) > 1:
        return Stage.WRONG_THING.value, f"object {wanted} has several marks: {', '.join(map(str, sorted(on_it)))}"
    return None


def _untied(asked: Sequence[int], frames: Sequence[_Frame], own_numbers: bool) -> tuple[str, str]:
    """Return that no chain of equal numbers leads from the pictures of one object to those of another, if so."""
    groups: list[tuple[set[int], set[int]]] = []  # of pictures that are tied: their numbers, and the objects under them
    for frame, truth, _ in frames:
        ids = {mark.id for mark in frame.marks}
        objects = {under(truth, mark.x, mark.y) for mark in frame.marks}
        tied = [] if own_numbers else [group for group in groups if group[0] & ids]
        groups = [group for group in groups if group not in tied]
        groups.append((ids.union(*(group[0] for group in tied)), objects.union(*(group[1] for group in tied))))
    first, *others = asked
    for other in others:
        if not any({first, other} <= objects for _, objects in groups):
            why = f"no numbers tie the pictures of object {first} to those of object {other}"
            return Stage.NOT_MARKED.value, why
    return "", ""


def _track_on(mask: np.ndarray, labels: np.ndarray) -> int:
    """Return the id of the track that holds an object, 0 = none."""
    size = int(mask.sum())
    if size < SHOWN * mask.size:
        return 0
    counts = np.bincount(labels[mask])
    counts[0] = 0
    best = int(counts.argmax())
    held = int(counts[best])
    return best if held >= COVERED * size and held >= OWN * int((labels == best).sum()) else 0

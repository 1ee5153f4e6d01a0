"""All that is known of single answers: pictures, prompt, reply, measured facts, and where they went wrong."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cc_ros.encodings import encode_jpeg
from cc_ros.errors import SettingsError
from cc_ros.evaluation.answer_file import NAME, read_answers
from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.pages import render
from cc_ros.evaluation.results import write_whole
from cc_ros.evaluation.types import Answer, Question

SIDE, QUALITY = 480, 80  # of pictures in a page


@dataclass(frozen=True)
class Told:
    """One answer with its pictures.

    :param stage: where it went wrong, "" = not known to be wrong.
    :param pictures: JPEG, base64.
    """

    question: Question
    answer: Answer
    stage: str
    why: str
    pictures: Sequence[str]


def told(question: Question, answer: Answer, condition: Condition, asker: Asker, stage: str, why: str) -> Told:
    """Return an answer with its pictures, drawn again from what was tracked.

    :raises CCError: the media cannot be read any more.
    """
    seen, _ = asker.pictures(Task(question, condition, answer.direction, answer.trial))
    pictures = [base64.b64encode(_small(frame.jpeg)).decode() for frame in seen.keyframes]
    return Told(question, answer, stage, why, pictures)


def write_question_page(
    folder: Path, id: str, questions: Sequence[Question], conditions: Sequence[Condition], setup: Setup
) -> Path:
    """Write a page about all answers to one question, and return its path.

    :raises SettingsError: there is no such question, or it has no answer.
    :raises CCError: its media cannot be read.
    """
    question = next((one for one in questions if one.id == id), None)
    if question is None:
        known = ", ".join(one.id for one in questions[:5])
        raise SettingsError(f"there is no question {id!r}; the first ones are {known}")
    path = folder / NAME
    by_name = {condition.name: condition for condition in conditions}
    found = [one for one in (read_answers(path) if path.exists() else ()) if one.question == id]
    found = [answer for answer in found if answer.condition in by_name]
    if not found:
        raise SettingsError(f"{path} holds no answer to {id!r} under these conditions")
    with Asker(setup) as asker:
        shown = [told(question, one, by_name[one.condition], asker, one.stage, one.why) for one in found]
    html = render("question.html.j2", question=question, shown=shown)
    out = folder / f"question_{re.sub(r'[^A-Za-z0-9.-]+', '_', id)}.html"
    write_whole(out, html.encode())
    return out


def _small(jpeg: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return jpeg
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(width, height))
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return encode_jpeg(small, QUALITY)

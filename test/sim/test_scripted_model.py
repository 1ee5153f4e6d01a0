"""The scripted model reads marks off pictures and knows nothing but what lies under them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from cc_ros.keyframes.drawing import draw_marks, place_discs
from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.reasoning import Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.types import Question
from cc_ros.sim.marks import LOOK, read_marks
from cc_ros.sim.scripted_model import ScriptedModel, Shown
from cc_ros.sim.world import Pose


def picture_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rooms = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    rooms[..., 1] = np.maximum(rooms[..., 1], rooms[..., 0])  # of all colours but the marks'
    return cv2.resize(rooms, (640, 480), interpolation=cv2.INTER_LINEAR)


def sent(picture: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Return a picture as a model gets it: marked, and through JPEG."""
    marked = picture.copy()
    draw_marks(marked, marks, None, LOOK)
    return cv2.imdecode(cv2.imencode(".jpg", marked, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize("seed", range(6))
def test_numbers_and_places_are_read_off_pictures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.arange(1, 150), 8, replace=False)
    marks = [
        Mark(int(id), 60.0 + 150 * (k % 4) + rng.uniform(-20, 20), 120.0 + 220 * (k // 4) + rng.uniform(-40, 40), 500)
        for k, id in enumerate(ids)
    ]
    read = {mark.id: mark for mark in read_marks(sent(picture_of(seed), marks))}
    assert set(read) == {mark.id for mark in marks}
    for mark in marks:
        assert np.hypot(read[mark.id].x - mark.x, read[mark.id].y - mark.y) < 3


def test_a_disc_that_was_moved_aside_stands_for_the_end_of_its_line() -> None:
    marks = [Mark(1, 318.0, 240.0, 500), Mark(2, 322.0, 240.0, 500), Mark(3, 320.0, 243.0, 500)]
    picture = sent(np.full((480, 640, 3), 180, np.uint8), marks)
    discs = place_discs([(mark.x, mark.y) for mark in marks], LOOK.pixels(640, 480), 640, 480)
    assert max(np.hypot(*(disc - (mark.x, mark.y))) for disc, mark in zip(discs, marks, strict=True)) > 20
    read = {mark.id: mark for mark in read_marks(picture)}
    assert set(read) == {1, 2, 3}
    for mark in marks:
        assert np.hypot(read[mark.id].x - mark.x, read[mark.id].y - mark.y) < 22


def test_a_picture_without_marks_has_none() -> None:
    assert read_marks(picture_of(1)) == []


def keyframe(picture: np.ndarray, marks: Sequence[Mark]) -> MarkedKeyframe:
    jpeg = cv2.imencode(".jpg", sent(picture, marks))[1].tobytes()
    return MarkedKeyframe(index=0, stamp=0.0, jpeg=jpeg, width=640, height=480, marks=tuple(marks))


def test_through_the_reasoner_it_answers_what_the_pictures_show_and_no_more() -> None:
    shown, poses = Shown(), {seed: Pose(float(seed), 0.0, 0.0) for seed in (1, 2, 3)}
    for seed, pose in poses.items():
        shown.add(picture_of(seed), pose)

    def under(pose: Pose, pixels: Sequence[tuple[float, float]]) -> list[str]:
        return [("red sofa" if pose == poses[1] else "blue bed") if x < 320 else "wall" for x, _ in pixels]

    seen = [
        keyframe(picture_of(1), [Mark(7, 100, 200, 500), Mark(8, 500, 200, 500)]),
        keyframe(picture_of(2), [Mark(9, 150, 300, 500), Mark(8, 520, 220, 500)]),
    ]
    with ScriptedModel(shown, under) as model:
        settings = ReasonerSettings(base_url=model.base_url, retries=0)
        with Reasoner(settings, environ={}) as reasoner:
            answers = [
                reasoner.ask(Question(text, kind="which_mark"), seen)
                for text in ("Go to the red sofa.", "Go to the blue bed.", "Go to the green chair.")
            ]
            unknown = reasoner.ask(
                Question("Go to the red sofa.", kind="which_mark"), [keyframe(picture_of(9), seen[0].marks)]
            )
    assert [answer.mark_ids for answer in answers[:2]] == [(7,), (9,)]
    assert answers[2].status is Status.CANNOT_TELL
    assert unknown.status is Status.CANNOT_TELL  # a picture that the simulator has not shown
    assert model.questions == 4


def test_a_request_that_makes_no_sense_is_refused_and_the_next_is_served() -> None:
    with ScriptedModel(Shown(), lambda pose, pixels: []) as model:
        for body in (b"no json", json.dumps({"messages": [{"content": [{"type": "image_url"}]}]}).encode()):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(f"{model.base_url}/chat/completions", body, 10)
        with urllib.request.urlopen(f"{model.base_url}/models", timeout=10) as response:
            assert json.load(response)["data"][0]["id"] == "scripted"

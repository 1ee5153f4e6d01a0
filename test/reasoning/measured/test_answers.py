"""Answers without a model: right where the measurements tell, and otherwise a clear refusal."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from support.marked_scene import keyframe, looking, see

from cc_ros.geometry import SceneMap
from cc_ros.ground import Ground
from cc_ros.keyframes import KeyframeSet
from cc_ros.reasoning import Answer, Goal, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.kinds import kind_of
from cc_ros.reasoning.measured.answers import answer_from_marks

# A sofa (1) on the left, a table (2) ahead, a door (3) on the right, a lamp (4) far behind the table.
ROOM = {1: (2.8, 1.0, 0.5), 2: (2.0, 0.0, 0.7), 3: (3.0, -1.4, 1.0), 4: (5.5, 0.3, 1.5)}
FRAMES = see([looking(0, 0, 10), looking(0, 0, -10)], ROOM, depth=True)
WALL = [keyframe(0, {5: (100, 100), 6: (300, 100)}), keyframe(1, {6: (100, 100), 7: (300, 100)})]


def ask(text: str, frames: object = FRAMES, **fields: object) -> Answer:
    question = Question(text, **fields)  # type: ignore[arg-type]
    answer = answer_from_marks(question, kind_of(question), SceneMap.from_keyframes(frames))  # type: ignore[arg-type]
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("text", "said", "ids"),
    [
        ("Is mark 1 left of mark 3?", "yes", (1, 3)),
        ("Is mark 1 right of mark 3?", "no", (1, 3)),
        ("Is mark 1 to the left or to the right of mark 3?", "left", (1, 3)),
        ("which is further right, 1 or 3?", "mark 3", (3,)),
        ("is mark 3 on my left or right?", "right", (3,)),
        ("You are standing at mark 4, facing mark 2. Is mark 1 to your left or right?", "right", (1, 4, 2)),
        ("How many marked objects are there?", "4", (1, 2, 3, 4)),
        ("Which mark is nearest?", "mark 2", (2,)),
        ("Which mark is furthest?", "mark 4", (4,)),
        ("Which mark is closest to mark 2?", "mark 1", (1,)),
        ("Which is nearer to me, 1 or 4?", "mark 1", (1,)),
        ("How far is mark 2?", "2.0 m", (2,)),
        ("How far is mark 1 from mark 3?", "2.5 m", (1, 3)),
        ("Where is mark 3?", "3.3 m away, 15° to the right", (3,)),
    ],
)
def test_what_was_measured_is_answered(text: str, said: str, ids: tuple[int, ...]) -> None:
    answer = ask(text)
    assert (answer.status, answer.text, answer.mark_ids, answer.source) == (Status.OK, said, ids, "geometry")
    assert 0.5 < answer.confidence <= 1
    assert answer.reason


def test_a_choice_is_matched_to_what_was_measured() -> None:
    assert ask("Is mark 1 left or right of mark 3?", choices=("to the right", "to the left")).choice == 1
    assert ask("Is mark 1 left of mark 3?", choices=("Yes", "No")).choice == 0
    assert ask("Which mark is nearest?", choices=("mark 4", "mark 2", "mark 1")).choice == 1


def test_a_choice_that_says_something_else_needs_a_model() -> None:
    question = Question("Is mark 1 left or right of mark 3?", choices=("behind it", "above it"))
    assert answer_from_marks(question, kind_of(question), SceneMap.from_keyframes(FRAMES)) is None


def test_a_mark_that_does_not_exist_is_named_with_those_that_do() -> None:
    answer = ask("is 9 left of 3?")
    assert answer.status is Status.UNKNOWN_MARK
    assert "9" in answer.message and "1, 2, 3, 4" in answer.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("is 5 left of 7?", "no picture shows marks 5 and 7 together"),
        ("which mark is nearest?", "distance of mark 5 is not known (there is no depth, and no odometry)"),
        ("how far is 5 from 6?", "marks 5, 6 is not known"),
        ("you are standing at mark 5 facing mark 6: is mark 7 on your left?", "place of marks"),
        ("is 5 left of 5?", "both are mark 5"),
        ("is mark 7 on my left?", "mark 7 and straight ahead"),
    ],
)
def test_what_the_measurements_do_not_tell_is_not_answered(text: str, reason: str) -> None:
    answer = ask(text, WALL)
    assert answer.status is Status.CANNOT_TELL
    assert reason in answer.message
    assert not answer.text and answer.confidence == 0


def test_which_mark_wants_one_mark_and_says_so_where_there_are_several() -> None:
    one = ask("which mark is within 2.5 m of me?")
    assert (one.text, one.mark_ids) == ("mark 2", (2,)), one.message
    several = ask("which mark is within 4 m?")
    assert several.status is Status.CANNOT_TELL and "no one mark is the answer: marks 1, 2, 3" in several.message
    assert ask("which marks are within 4 m?").mark_ids == (1, 2, 3)


def test_a_question_that_is_understood_is_answered_whatever_kind_its_words_look_like() -> None:
    assert ask("how many metres away is 2?").text == "2.0 m"
    assert ask("with my back to 4, is 1 on my left?").text == "no"
    assert ask("If I stand at 4 and face 2, which marks are on my right?").mark_ids == (1,)


def test_things_equally_far_have_no_nearest() -> None:
    frames = see([looking(0, 0, 0)], {1: (3, 0.5, 1), 2: (3, -0.5, 1)}, depth=True)
    assert ask("which mark is nearest?", frames).status is Status.CANNOT_TELL


def test_without_odometry_a_place_is_one_in_a_picture() -> None:
    assert ask("where is mark 5?", WALL).text == "in the left of picture 1 of 2, the last that shows it"
    assert ask("where is mark 7?", WALL).text == "straight ahead"


def test_a_robot_without_a_key_answers_what_it_measured_and_says_how_to_get_a_model() -> None:
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        measured = reasoner.ask(Question("is 1 left of 3?"), FRAMES)
        assert (measured.status, measured.text, measured.source) == (Status.OK, "yes", "geometry")
        assert "OPENAI_API_KEY" in measured.message
        unmeasured = reasoner.ask(Question("is 5 left of 7?"), WALL)
        assert unmeasured.status is Status.CANNOT_TELL and "OPENAI_API_KEY" in unmeasured.message
        for text, kind in (("What colour is mark 1?", ""), ("Go to the door", "navigate")):
            other = reasoner.ask(Question(text, kind=kind), FRAMES)
            assert other.status is Status.NEEDS_MODEL
            assert "OPENAI_API_KEY" in other.message and "base_url" in other.message
        assert "no model" in str(reasoner.status()["degraded"])


def test_which_mark_brings_a_place_before_it_as_a_goal() -> None:
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        check_goal(reasoner.ask(Question("Which mark is nearest?"), on_free_floor).goal, ROOM[2])
        assert reasoner.ask(Question("is 1 left of 3?"), on_free_floor).goal is None


def on_free_floor(*_: object) -> KeyframeSet:
    floor = Ground(np.zeros((200, 200), np.int8), 0.05, (-3.0, -5.0), floor=0.0)
    return KeyframeSet(tuple(FRAMES), grounds=(floor,))


def place(goal: Goal | None) -> tuple[float, float, float]:
    assert goal is not None
    return goal.x, goal.y, goal.yaw


def check_goal(goal: Goal | None, thing: tuple[float, float, float]) -> None:
    """It lies 0.8 m before the edge of a thing, on the robot's side of it, and faces it."""
    x, y, yaw = place(goal)
    away = math.hypot(thing[0] - x, thing[1] - y)
    assert 0.8 < away < 1.0 and math.hypot(x, y) < math.hypot(*thing[:2])
    assert yaw == pytest.approx(math.atan2(thing[1] - y, thing[0] - x))


@pytest.mark.parametrize("text", ["Go to mark 3", "drive to 3", "turn to mark 3", "where is mark 3?"])
@pytest.mark.parametrize("settings", [{}, {"base_url": "http://127.0.0.1:9/v1", "retries": 0, "prefer": "geometry"}])
def test_a_mark_to_go_or_turn_to_is_a_goal_without_a_model(text: str, settings: dict[str, object]) -> None:
    with Reasoner(ReasonerSettings(**settings), environ={}) as reasoner:  # type: ignore[arg-type]
        answer = reasoner.ask(Question(text), on_free_floor)
        assert (answer.status, answer.mark_ids, answer.source) == (Status.OK, (3,), "geometry"), answer.message
        if text.startswith("turn"):
            assert place(answer.goal) == pytest.approx((0, 0, math.atan2(-1.4, 3.0)), abs=0.01)
        else:
            check_goal(answer.goal, ROOM[3])
        missing = reasoner.ask(Question(text.replace("3", "9")), on_free_floor)
        assert missing.status is Status.UNKNOWN_MARK and missing.goal is None


def test_nobody_goes_where_nothing_shows_the_floor() -> None:
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        go = reasoner.ask(Question("go to mark 2"), FRAMES)
        assert go.status is Status.CANNOT_TELL and go.goal is None
        assert "whether the floor before mark 2 is free" in go.message
        where = reasoner.ask(Question("where is mark 2?", send_goal=True), FRAMES)
        assert where.ok and where.goal is None and "no goal was sent: nothing shows" in where.message


def test_an_answer_tells_where_its_marks_are_or_which_input_is_missing() -> None:
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        first, third = reasoner.ask(Question("is 1 left of 3?"), FRAMES).places
        assert (first.id, third.id, first.missing, third.missing) == (1, 3, "", "")
        assert first.point == pytest.approx(ROOM[1], abs=0.01)
        assert first.distance == pytest.approx(math.dist(ROOM[1], (0, 0, 1)), abs=0.01) and first.distance_sigma > 0
        assert first.bearing == pytest.approx(math.atan2(1.0, 2.8) + math.radians(10), abs=0.01)
        assert np.linalg.eigvalsh(np.reshape(first.covariance, (3, 3))).min() > 0
        (unmeasured,) = reasoner.ask(Question("where is mark 5?"), WALL).places
        assert unmeasured.point is None and math.isnan(unmeasured.distance) and math.isnan(unmeasured.bearing)
        assert "there is no depth, and no odometry" in unmeasured.missing


def test_what_is_missing_for_a_goal_is_said() -> None:
    turned = see([looking(0, 0, 10), looking(0, 0, -10)], ROOM)
    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        go = reasoner.ask(Question("go to mark 2"), turned)
        assert go.status is Status.CANNOT_TELL and go.goal is None
        assert "the camera only turned" in go.message and "no odometry" not in go.message
        assert "to the left" in go.message or "straight ahead" in go.message
        turn = reasoner.ask(Question("turn to mark 2"), turned)
        assert turn.ok and place(turn.goal) == pytest.approx((0, 0, 0), abs=0.05)
        where = reasoner.ask(Question("where is mark 2?", send_goal=True), turned)
        assert where.ok and where.goal is None
        assert "no goal was sent" in where.message and "only turned" in where.message
        assert "no goal" not in reasoner.ask(Question("where is mark 2?"), turned).message
        blind = reasoner.ask(Question("go to mark 5"), WALL)
        assert blind.status is Status.CANNOT_TELL and "no odometry" in blind.message
        depth = reasoner.ask(Question("go to mark 2"), see([looking(0, 0, 0)], ROOM, depth=True, pose=False))
        assert depth.status is Status.CANNOT_TELL and "there is depth, but no odometry" in depth.message


def test_a_camera_that_only_turned_has_odometry() -> None:
    turned = see([looking(0, 0, 10), looking(0, 0, -10)], ROOM)
    for text in ("how far is mark 2?", "how far is 1 from 2?", "which mark is nearest?"):
        answer = ask(text, turned)
        assert answer.status is Status.CANNOT_TELL
        assert "only turned" in answer.message and "no odometry" not in answer.message


def test_the_nearest_of_many_is_told_though_one_has_no_distance() -> None:
    frames = see([looking(0, 0, 0)], ROOM, depth=True)
    marks = tuple(dataclasses.replace(m, depth=math.nan) if m.id == 4 else m for m in frames[0].marks)
    frames = [dataclasses.replace(frames[0], marks=marks)]
    answer = ask("which mark is nearest?", frames)
    assert (answer.text, answer.confidence) == ("mark 2", 0.7)
    assert "that of 4 is not" in answer.reason
    assert ask("which is nearer, 2 or 4?", frames).status is Status.CANNOT_TELL
    lost = tuple(dataclasses.replace(m, depth=math.nan) if m.id != 2 else m for m in frames[0].marks)
    assert ask("which mark is nearest?", [dataclasses.replace(frames[0], marks=lost)]).status is Status.CANNOT_TELL


def test_a_distance_less_certain_than_itself_is_not_told() -> None:
    here = looking(0, 0, 0)
    spread = [0.3, -0.3, 0.35, -0.35]  # an object whose sightings lie far apart
    frames = []
    for index, off in enumerate(spread):
        frames += [dataclasses.replace(see([here], {1: (2.0 + off, 0.4, 1.0), 2: (2.0, -0.2, 1.0)}, depth=True)[0])]
        frames[-1] = dataclasses.replace(frames[-1], index=index, stamp=float(index))
    answer = ask("how far is mark 1 from mark 2?", frames)
    assert answer.status is Status.CANNOT_TELL and "give or take" in answer.message
    assert ask("how far is mark 2?", frames).text == "2.0 m"


def test_what_limits_places_is_said_in_measured_answers() -> None:
    around = see([looking(0.0, 0.5 if i % 2 else -0.5, 0) for i in range(3)], ROOM, depth=True)
    doubt = "the camera is taken to sit at the robot's base"

    def source(request: object, blur: object, timeout: float) -> KeyframeSet:
        return KeyframeSet(tuple(around), remarks=(doubt,))

    with Reasoner(ReasonerSettings(), environ={}) as reasoner:
        answer = reasoner.ask(Question("how far is mark 2?"), source)
    assert answer.ok and doubt in answer.message

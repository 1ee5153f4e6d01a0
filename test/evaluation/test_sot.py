"""SOT with the oracle: marks carry the correspondence, and nothing else does."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.sot_scene import write_scene

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.benchmarks import bundled
from cc_ros.evaluation.benchmarks.rooms import is_room, room_scene
from cc_ros.evaluation.benchmarks.sot import Sot, scene_questions, side_of
from cc_ros.evaluation.benchmarks.sot_make import make_scene
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.oracle import Sight, side_by_marks
from cc_ros.evaluation.types import FORWARD, REVERSE, Answer, Pair, Question

BOTH = (FORWARD, REVERSE)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("sot"))


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Asker:
    with Asker(Setup(tmp_path_factory.mktemp("tracked"))) as asker:
        yield asker


def figures(asker: Asker, scene: Path, style: str, trials: int = 1) -> dict[str, float]:
    condition = Condition("oracle", style, frames=5, marks=6, tracker="truth", directions=BOTH).normal()
    pairs: list[Pair] = [
        (question, asker.answer(Task(question, condition, direction, trial)))
        for question in scene_questions(scene)
        for direction in BOTH
        for trial in range(trials)
    ]
    assert all(answer.ok for _, answer in pairs)
    return {score.name: score.over(range(len(pairs))) for score in Sot().score(pairs)}


def test_true_masks_and_marks_answer_all_and_raw_pictures_leave_chance(asker: Asker, scene: Path) -> None:
    marked = figures(asker, scene, "marks")
    assert {name: marked[name] for name in ("forward", "reverse", "harmonic")} == {
        "forward": 1.0,
        "reverse": 1.0,
        "harmonic": 1.0,
    }
    assert marked["harmonic_perspective"] == 1.0
    assert 0.3 < figures(asker, scene, "raw", trials=8)["harmonic"] < 0.7
    # Numbers that mean something else in every picture tell what one picture shows, and no pair here is in one.
    assert figures(asker, scene, "set_of_mark", trials=4)["harmonic"] < 0.8


def test_the_oracle_knows_no_more_than_the_marks() -> None:
    def sight(**places: tuple[float, int]) -> Sight:
        marks = {int(name[1:]): place for name, place in places.items()}
        return Sight({mark: at for mark, (at, _) in marks.items()}, {mark: under for mark, (_, under) in marks.items()})

    first, second = sight(m1=(-0.4, 11), m2=(0.3, 12)), sight(m2=(-0.3, 12), m3=(0.4, 13))
    assert side_by_marks([first, second], 11, 13) == "left"
    assert side_by_marks([second, first], 13, 11) == "right"
    assert side_by_marks([first, sight(m9=(-0.3, 12), m3=(0.4, 13))], 11, 13) == ""  # no number in both
    assert side_by_marks([first, second], 11, 14) == ""  # no mark on it
    # A number that jumped to another object misleads it, as it would a model.
    assert side_by_marks([first, sight(m2=(0.9, 14), m3=(-0.4, 13))], 11, 13) == "right"


def test_kinds_and_directions_are_scored_apart() -> None:
    rows: list[tuple[str, str, bool]] = [
        *(("observer", FORWARD, right) for right in (True, True, True, False)),
        *(("observer", REVERSE, right) for right in (True, False, False, False)),
        *(("perspective", FORWARD, right) for right in (True, False)),
        *(("perspective", REVERSE, right) for right in (True, True)),
    ]
    pairs = [_pair(number, *row) for number, row in enumerate(rows)]
    found = {score.name: score.over(range(len(pairs))) for score in Sot().score(pairs)}
    assert found["forward"] == pytest.approx(4 / 6) and found["reverse"] == pytest.approx(3 / 6)
    assert found["harmonic"] == pytest.approx(2 * (4 / 6) * (3 / 6) / (7 / 6))
    assert (found["forward_observer"], found["reverse_observer"]) == (0.75, 0.25)
    assert found["harmonic_perspective"] == pytest.approx(2 * 0.5 * 1.0 / 1.5)
    alone = [pair for pair in pairs if pair[1].direction == FORWARD]
    found = {score.name: score.over(range(len(alone))) for score in Sot().score(alone)}
    assert math.isnan(found["harmonic"]) and found["forward"] == pytest.approx(4 / 6)


def _pair(number: int, kind: str, direction: str, right: bool) -> Pair:
    from cc_ros.evaluation.types import Media

    question = Question(str(number), "sot", "?", Media(), answers=("left",), kind=kind)
    return question, Answer(question.id, "c", direction, text="left" if right else "right")


@pytest.mark.parametrize(
    ("text", "side"),
    [("left", "left"), ("On my Right.", "right"), ("left or right", ""), ("", ""), ("leftover", "")],
)
def test_a_side_is_read_only_where_it_is_one(text: str, side: str) -> None:
    assert side_of(text) == side


def test_the_bundled_rooms_are_small_and_whole() -> None:
    data = bundled("sot")
    assert data is not None
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) < 700_000
    questions: Sequence[Question] = list(Sot().load(data))
    assert len(questions) == 15 and {question.kind for question in questions} == {"observer", "perspective"}
    assert all(question.media.path.is_file() and question.media.truth.is_file() for question in questions)
    assert len(list(Sot().load(data, limit=4, seed=1))) == 4
    assert [q.id for q in Sot().load(data, limit=4, seed=1)] == [q.id for q in Sot().load(data, limit=4, seed=1)]


def test_a_rendered_room_asks_what_its_geometry_says(tmp_path: Path) -> None:
    room = tmp_path / "room1_pan"
    room.mkdir()
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]  # looks along y, so that x is to the right
    names = {11: ("red sofa", -2), 12: ("lamp", 0), 13: ("door", 2), 14: ("chair", 1), 15: ("chair", -1)}
    frame = {"T_world_cam": pose.tolist(), "visible_px": {str(id): 4000 - 10 * id for id in names}}
    (room / "frames.json").write_text(json.dumps({"width": 320, "height": 240, "frames": [frame, frame]}))
    objects = [{"id": id, "label": name, "centroid": [x, 2, 0.5]} for id, (name, x) in names.items()]
    (room / "scene.json").write_text(json.dumps({"objects": objects}))
    (room / "rgb.mp4").touch()
    (room / "ids.npz").touch()
    assert is_room(room)
    asked = room_scene(room)["questions"]
    by_id = {id: x for id, (_, x) in names.items()}
    assert len(asked) == 5 and {id for row in asked for id in row["objects"]} == {11, 12, 13}  # two are called chair
    for row in asked:
        first, second = (by_id[id] for id in row["objects"])
        assert (row["answer"] == "left") == ((first < second) == (row["kind"] == "observer")), row
    frame["T_world_cam"][0][3] = 3.0
    moved = {"width": 320, "height": 240, "frames": [frame, {**frame, "T_world_cam": np.eye(4).tolist()}]}
    (room / "frames.json").write_text(json.dumps(moved))
    assert not is_room(room)  # a camera that walks has no one left and right


def test_a_scene_is_made_of_two_videos_and_a_sheet(scene: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(
        "\ufeffkind,video,question,answer\nobserver,A,Is the door left of the sofa?,LEFT\n"
        "perspective,b,Sitting on the sofa, is x,right\n".replace("sofa, is x", '"sofa"'),
        encoding="utf-8",
    )
    out = tmp_path / "kitchen"
    assert make_scene([scene / "A.avi", scene / "A.avi"], sheet, out) == 2
    first, second = scene_questions(out)
    assert (first.id, first.answers, first.ask_as) == ("kitchen/1", ("left",), "left_right")
    assert (second.media.path, second.kind, second.ask_as) == (out / "B.avi", "perspective", "viewpoint")
    with pytest.raises(SettingsError, match="holds a scene already"):
        make_scene([scene / "A.avi"], sheet, out)
    with pytest.raises(SettingsError, match="there is no video 'B'"):
        make_scene([scene / "A.avi"], sheet, tmp_path / "other")
    sheet.write_text("kind,question,answer\n")
    with pytest.raises(SettingsError, match="lacks the column 'video'"):
        make_scene([scene / "A.avi"], sheet, tmp_path / "other")
    sheet.write_text("kind,video,question,answer\nobserver,A,Where?,above\n")
    with pytest.raises(SettingsError, match="answer is left or right, got 'above'"):
        make_scene([scene / "A.avi"], sheet, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_missing_and_damaged_scenes_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        Sot().load(tmp_path / "none")
    with pytest.raises(SourceError, match="holds no SOT scene"):
        Sot().load(tmp_path)
    (tmp_path / "sot.json").write_text('{"scene": "x", "videos": {"A": "a.mp4"}, "questions": [{"id": 1}]}')
    with pytest.raises(SourceError, match="'question' is missing"):
        Sot().load(tmp_path)
    (tmp_path / "sot.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read"):
        Sot().load(tmp_path)

"""Media of a conversation become keyframes, and tasks are written and scored, without lmms-eval itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from support.room import Box, draw, looking

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.lmms import __main__ as command
from cc_ros.evaluation.lmms import conversation
from cc_ros.evaluation.lmms.conversation import Shown, ShownSettings
from cc_ros.evaluation.lmms.tasks import doc_to_messages, doc_to_target, process_results, write_task
from cc_ros.evaluation.types import Media, Question

Image = pytest.importorskip("PIL.Image")

BOXES = [Box((2.0, 0.4, 0), (2.6, 1.0, 0.9), (30, 40, 200)), Box((2.0, -0.9, 0), (2.6, -0.3, 0.7), (200, 60, 30))]
SIZES = ((0, (320, 240)), (1, (240, 320)), (2, (320, 240)))
TOLD = "Equal numbers in different images are the same object"


@pytest.fixture(scope="module")
def pan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pan")
    pictures = [draw(BOXES, looking((0, 0, 1.2), yaw))[0].image for yaw in (0.2, 0.1, 0.0, -0.1, -0.2)]
    writer = cv2.VideoWriter(str(folder / "pan.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, pictures[0].shape[1::-1])
    for number, picture in enumerate(pictures):
        writer.write(picture)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    writer.release()
    return folder


def shown(tmp_path: Path, **settings: Any) -> Shown:
    return Shown(ShownSettings(**{"backend": "flow", "frames": 3, "marks": 2, **settings}), tmp_path / "cache")


def said(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "Left or right?"}]}]


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [part["type"] for message in messages for part in message["content"]]


def pixels(messages: list[dict[str, Any]]) -> list[np.ndarray]:
    return [np.asarray(part["url"], float) for part in messages[0]["content"] if part["type"] == "image"]


def test_a_video_becomes_marked_keyframes_and_what_the_marks_are(pan: Path, tmp_path: Path) -> None:
    video = said({"type": "video", "url": str(pan / "pan.avi"), "start_time": None})
    marked = shown(tmp_path).shown(video)
    assert kinds(marked) == ["image"] * 3 + ["text"] * 2
    assert TOLD in marked[0]["content"][3]["text"]
    plain = shown(tmp_path, style="raw").shown(video)
    assert kinds(plain) == ["image"] * 3 + ["text"]
    different = [(abs(a - b) > 60).sum() for a, b in zip(pixels(marked), pixels(plain), strict=True)]
    assert min(different) > 300  # of 230,400: the discs of two marks
    assert max(different) < 30_000  # the same frames otherwise


def test_a_set_of_pictures_keeps_their_places_in_the_conversation(pan: Path, tmp_path: Path) -> None:
    first, second = ({"type": "image", "url": Image.open(pan / f"{n}.png")} for n in (0, 2))
    messages = [{"role": "user", "content": [first, {"type": "text", "text": "and"}, second]}]
    found = shown(tmp_path, max_side=160).shown(messages)
    assert kinds(found) == ["image", "text", "image", "text"]
    assert TOLD in found[0]["content"][3]["text"]
    assert {picture.shape for picture in pixels(found)} == {(120, 160, 3)}
    assert messages[0]["content"][0]["url"].size == (320, 240)  # what was given is left alone
    plain = shown(tmp_path, max_side=160, style="raw").shown(messages)  # of the same size, so that only marks differ
    assert (kinds(plain), {picture.shape for picture in pixels(plain)}) == (["image", "text", "image"], {(120, 160, 3)})


def test_pictures_of_several_sizes_are_one_set(pan: Path, tmp_path: Path) -> None:
    parts = [{"type": "image", "url": Image.open(pan / f"{n}.png").resize(size)} for n, size in SIZES]
    found = shown(tmp_path).shown(said(*parts))
    assert [picture.shape[1::-1] for picture in pixels(found)] == [size for _, size in SIZES]
    assert TOLD in found[0]["content"][3]["text"]


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "image", "url": "0.png"}],
        [{"type": "video", "url": "pan.avi"}, {"type": "video", "url": "pan.avi"}],
        [{"type": "video", "url": "pan.avi"}, {"type": "image", "url": "0.png"}],
        [{"type": "video", "url": "pan.avi", "start_time": 1.0, "end_time": 2.0}],
        [],
    ],
)
def test_what_is_no_episode_is_sent_as_it_is(
    pan: Path, tmp_path: Path, parts: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    messages = said(*({**part, "url": str(pan / part["url"])} for part in parts))
    show = shown(tmp_path)
    assert show.shown(messages) == show.shown(messages) == messages
    warned = any(part["type"] == "video" for part in parts)
    assert len(caplog.records) == int(warned)  # once


def test_a_video_is_tracked_once_and_its_failure_is_told_each_time(
    pan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked: list[Media] = []
    get = conversation.TrackingCache.get

    def counted(self: Any, media: Media, *rest: Any) -> Any:
        tracked.append(media)
        return get(self, media, *rest)

    monkeypatch.setattr(conversation.TrackingCache, "get", counted)
    show = shown(tmp_path)
    for _ in range(2):
        show.shown(said({"type": "video", "url": f"file://{pan / 'pan.avi'}"}))
        with pytest.raises(SourceError, match=r"missing\.mp4"):
            show.shown(said({"type": "video", "url": str(pan / "missing.mp4")}))
    assert [media.path.name for media in tracked if media.path] == ["pan.avi", "missing.mp4"]


def question(id: str, answer: str, choices: tuple[str, ...] = ()) -> Question:
    return Question(id, "own", "Where?", Media(path=Path("a.mp4")), (answer,), choices)


def test_a_task_holds_the_questions_and_scores_replies(tmp_path: Path) -> None:
    path = write_task("own", [question("1", "right", ("left", "right"))], tmp_path)
    assert (path.name, (tmp_path / "cc_task.py").is_file()) == ("cc_own.yaml", True)
    yaml.SafeLoader.add_constructor("!function", lambda loader, node: f"function {node.value}")
    task = yaml.safe_load(path.read_text())
    assert (task["doc_to_messages"], task["metric_list"][0]["metric"]) == (
        "function cc_task.doc_to_messages",
        "accuracy",
    )
    [doc] = map(json.loads, (tmp_path / "cc_own.jsonl").read_text().splitlines())
    video, text = doc_to_messages(doc)[0]["content"]
    assert (video["url"], text["text"].splitlines()[1:3]) == (str(Path("a.mp4").resolve()), ["A. left", "B. right"])
    assert doc_to_target(doc) == "right"
    replies = {"B": 1, "(B)": 1, "b. right": 1, "A": 0, "": 0, "both": 0}
    assert {one: process_results(doc, [one])["accuracy"] for one in replies} == replies


def test_free_answers_are_scored_by_exact_match(tmp_path: Path) -> None:
    write_task("free", [question("1", "brown chair")], tmp_path)
    [doc] = map(json.loads, (tmp_path / "cc_free.jsonl").read_text().splitlines())
    scored = process_results(doc, ["The brown chair."])
    assert scored == {"EM": 100, "EM-refined": 100}  # nothing that the task has no metric for
    with pytest.raises(SettingsError, match="all have choices or all have none"):
        write_task("both", [question("1", "a"), question("2", "a", ("a", "b"))], tmp_path)


def test_the_command_writes_a_task_or_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "tasks"
    assert command.main(["sqa3d", "--data", str(data), "--out", str(out)]) == 1
    assert "zenodo.org" in capsys.readouterr().err
    data.mkdir()
    asked = {"scene_id": "scene0", "situation": "I sit.", "question": "What is left?", "question_id": 1}
    (data / "v1_balanced_questions_val_scannetv2.json").write_text(json.dumps({"questions": [asked]}))
    answered = {"question_id": 1, "answers": [{"answer": "desk"}]}
    (data / "v1_balanced_sqa_annotations_val_scannetv2.json").write_text(json.dumps({"annotations": [answered]}))
    (data / "scene0.mp4").touch()
    assert command.main(["sqa3d", "--data", str(data), "--split", "val", "--out", str(out)]) == 0
    assert "--tasks cc_sqa3d" in capsys.readouterr().out

"""`cc-ros run` as people and scripts use it: the files it writes, its options, and what it says when it cannot."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.bags import image, write_bag
from support.rig import Program, cc_ros, scene

from cc_ros import cli
from cc_ros.errors import ModelError, SourceError
from cc_ros.frame import Frame
from cc_ros.sources.base import Source
from cc_ros.tracking import Tracked

FRAMES = 6
SIZE = (320, 240)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
    for i in range(FRAMES):
        writer.write(scene(i, *SIZE))
    writer.release()
    return path


def run(*arguments: object) -> int:
    return cli.main(["run", *map(str, arguments), "--backend", "flow", "--quiet"])


def files(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_a_video_leaves_the_files_that_scripts_rely_on(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(video, "--out", out, "--frames", 3, "--marks", 2, "--ask", "How many marked objects are there?") == 0
    assert files(out / "labels", "*.png") == [f"{i:06d}.png" for i in range(FRAMES)]
    labels = cv2.imread(str(out / "labels" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert (labels.dtype, labels.shape) == (np.uint16, SIZE[::-1])
    marks = json.loads((out / "marks.json").read_text())
    assert (marks["frames"], len(marks["keyframes"])) == (FRAMES, 3)
    assert marks["fps"] == pytest.approx(10)
    for keyframe in marks["keyframes"]:
        assert cv2.imread(str(out / keyframe["image"])).shape == (*SIZE[::-1], 3)
        assert len(keyframe["marks"]) <= 2
        for mark in keyframe["marks"]:
            assert set(mark) >= {"id", "x", "y", "area"}
    assert json.loads((out / "timing.json").read_text())["frames"] == FRAMES
    report = (out / "report.html").read_text()
    assert "How many marked objects are there?" in report
    assert "http://" not in report.replace("http://www.w3.org", "")
    said = capsys.readouterr().out
    assert f"{FRAMES} frames" in said
    assert "geometry" in said


def test_folders_bags_limits_and_no_labels(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        cv2.imwrite(str(folder / f"{i}.png"), scene(i, *SIZE))
    out = tmp_path / "folder"
    assert run(folder, "--out", out, "--no-labels", "--max-frames", 3) == 0
    assert not (out / "labels").exists()
    assert json.loads((out / "marks.json").read_text())["frames"] == 3
    bag = write_bag(tmp_path / "bag", [("/image", i * 0.1, image(i * 0.1, 10 * i)) for i in range(3)])
    assert run(bag, "--out", tmp_path / "bagged") == 0
    assert len(files(tmp_path / "bagged" / "labels", "*.png")) == 3


def test_given_objects_are_followed_and_no_others(video: Path, tmp_path: Path) -> None:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[SIZE[1] // 2 : SIZE[1] - 20, SIZE[0] // 10 : SIZE[0] // 3] = 5
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    out = tmp_path / "out"
    assert run(video, "--out", out, "--init-mask", tmp_path / "mask.png") == 0
    for path in (out / "labels").glob("*.png"):
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(labels)) <= {0, 5}
    found = cv2.imread(str(out / "labels" / "000003.png"), cv2.IMREAD_UNCHANGED) == 5
    assert (found & (mask > 0)).sum() / (found | (mask > 0)).sum() > 0.8


def test_marks_given_by_hand_are_drawn_as_they_are(video: Path, tmp_path: Path) -> None:
    by_hand = {"keyframes": [{"index": i, "marks": [{"id": 40 + i, "x": 100 + i, "y": 50}]} for i in (1, 4)]}
    path = tmp_path / "marks.json"
    path.write_text(json.dumps(by_hand))
    out = tmp_path / "out"
    assert run(video, "--out", out, "--marks-file", path) == 0
    written = json.loads((out / "marks.json").read_text())["keyframes"]
    got = [(k["index"], [(m["id"], m["x"], m["y"]) for m in k["marks"]]) for k in written]
    assert got == [(1, [(41, 101, 50)]), (4, [(44, 104, 50)])]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.mp4"], "nowhere.mp4"),
        ([], "name a video file"),
        (["{video}", "--frames", "65"], "frames must be at most 64"),
        (["{video}", "--init-mask", "nothing.png"], "nothing.png"),
        (["{video}", "--marks-file", "nothing.json"], "nothing.json"),
        (["{video}", "--set", "mark.diameter=huge"], "diameter must be int"),
        (["{video}", "--set", "nonsense"], "GROUP.NAME=VALUE"),
        (["{video}", "--set", "mark.fill=octarine"], "octarine"),
        (["{broken}"], "broken.mp4"),
        (["{empty}"], "empty"),
    ],
)
def test_what_cannot_work_ends_with_one_clear_line(
    arguments: list[str], told: str, video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "empty").mkdir()
    names: dict[str, Any] = {"video": video, "broken": tmp_path / "broken.mp4", "empty": tmp_path / "empty"}
    assert run(*(a.format(**names) for a in arguments), "--out", tmp_path / "out") == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("cc-ros")]
    assert len(lines) == 1
    assert told in lines[0]


@pytest.mark.parametrize(
    "wrong", [("--max-frames", "-1"), ("--seconds", "nan"), ("--seconds", "-1"), ("--seconds", "x")]
)
def test_amounts_that_are_none_are_wrong_use(wrong: tuple[str, str], video: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run(video, *wrong, "--out", tmp_path / "out")
    assert ended.value.code == 2


def test_a_mask_of_another_view_than_the_frames_is_told(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.eye(60, dtype=np.uint8))
    assert run(video, "--init-mask", tmp_path / "mask.png", "--out", tmp_path / "out") == 1
    assert "mask.png is 60x60, the frame 320x240" in capsys.readouterr().out


def test_an_interrupted_run_writes_what_there_is(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "000.jpg"), scene(0, *SIZE))
    for i in range(1, 300):
        (folder / f"{i:03d}.jpg").symlink_to("000.jpg")
    out = tmp_path / "out"
    with cc_ros("run", str(folder), "--out", str(out), "--backend", "flow", "--quiet") as program:
        _wait_for_labels(program, out, 5)
        program.signal(signal.SIGINT)
        assert program.end() == 130, program.text
    assert "stopped early" in program.text
    frames = json.loads((out / "marks.json").read_text())["frames"]
    assert 5 <= frames < 300
    assert len(files(out / "labels", "*.png")) == frames
    assert (out / "report.html").stat().st_size > 10_000


def _wait_for_labels(program: Program, out: Path, count: int) -> None:
    from support.rig import until

    until(lambda: len(files(out / "labels", "*.png")) >= count or program.process.poll() is not None, 40)


def test_all_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--list-settings"]) == 0
    said = capsys.readouterr().out
    for name in ("flow.work_width=", "sam2.model=", "keyframes.frames=8", "mark.diameter=", "reasoner.timeout="):
        assert name in said


def test_the_topic_and_what_was_read_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(topic, i * 0.1, image(i * 0.1, 10 * i)) for i in range(3) for topic in ("/left/image", "/right/image")]
    out = tmp_path / "out"
    assert run(write_bag(tmp_path / "bag", rows), "--topic", "/right/image", "--out", out, "--no-labels") == 0
    told = "images: /right/image (bgr8, 32x24, frame camera_optical, 3 messages): as asked for"
    assert told in capsys.readouterr().err
    assert told in (out / "report.html").read_text()


def test_a_run_ends_after_so_many_seconds(video: Path, tmp_path: Path) -> None:
    assert run(video, "--out", tmp_path / "out", "--no-labels", "--seconds", 0.25) == 0
    assert json.loads((tmp_path / "out" / "marks.json").read_text())["frames"] == 3


STEPS = ["__init__", "ask", "close"]
FAULTS = [ValueError("Unknown scheme for proxy URL"), ModelError("no such model"), KeyboardInterrupt(), OSError("gone")]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", FAULTS, ids=[type(fault).__name__ for fault in FAULTS])
def test_files_and_report_are_written_whatever_asking_does(
    step: str, fault: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(f"cc_ros.reasoning.reasoner.Reasoner.{step}", fail)
    monkeypatch.setattr("cc_ros.sources.open.open_source", lambda path, **_: Short("short"))
    out = tmp_path / "out"
    questions = ["--ask", "How many marked objects are there?", "--ask", "Where is mark 1?"]
    status = run("short.mp4", "--out", out, *questions)
    assert files(out, "*") == ["keyframes", "labels", "marks.json", "report.html", "timing.json"]
    report = (out / "report.html").read_text()
    assert all(question in report for question in questions[1::2])
    if isinstance(fault, KeyboardInterrupt):
        assert status == 130
        return
    if step == "close":
        return
    assert status == 1
    assert report.count(str(fault)) == 2
    assert str(fault) in capfd.readouterr().out


def test_the_environments_proxy_does_not_lose_a_run(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    out = tmp_path / "out"
    assert run(video, "--out", out, "--ask", "What colour is mark 1?", "--no-labels") == 1
    assert "What colour is mark 1?" in (out / "report.html").read_text()
    said = capsys.readouterr().out
    assert said.split("What colour is mark 1?")[1].strip()


def test_a_tracker_that_fails_keeps_what_came_before(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cc_ros.tracking.flow.tracker import FlowTracker

    whole = FlowTracker.step

    def step(self: FlowTracker, frame: Frame) -> Tracked:
        if frame.stamp > 0.25:
            raise RuntimeError("a defect")
        return whole(self, frame)

    monkeypatch.setattr(FlowTracker, "step", step)
    assert run(video, "--out", tmp_path / "out") == 1
    assert len(files(tmp_path / "out" / "labels", "*.png")) == 3
    assert "failed after frame 3" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*filter(None, [command]), "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"cc-ros {command}" in said
    assert not command or len(said.splitlines()) > 8


def test_wrong_use_is_told_from_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["walk"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


class Breaking(Source):
    """A recording that is damaged after its fifth frame."""

    def __iter__(self) -> Iterator[Frame]:
        for i in range(5):
            yield Frame(np.full((48, 64, 3), 40 * i, np.uint8), i / 10)
        raise SourceError("the chunk at byte 1234 is damaged")

    def close(self) -> None:
        pass


class Short(Breaking):
    """A recording of two frames."""

    def __iter__(self) -> Iterator[Frame]:
        for i in range(2):
            yield Frame(scene(i, 64, 48), i / 10)


def test_what_came_before_the_damage_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cc_ros.sources.open.open_source", lambda path, **_: Breaking("broken"))
    assert run("broken.mcap", "--out", tmp_path / "out") == 1
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 5
    assert json.loads((tmp_path / "out" / "marks.json").read_text())["frames"] == 5
    assert "damaged after frame 4" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_leaves_its_report_where_the_way_of_asking_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("cc_ros.commands.answers.describe", fail)
    monkeypatch.setattr("cc_ros.sources.open.open_source", lambda path, **_: Short("short"))
    out = tmp_path / "out"
    arguments = ["--ask", "What is there?", "--ask", "How many?", "--base-url", "https://models.invalid/v1"]
    assert run("short.mp4", "--out", out, *arguments) == 1
    report = (out / "report.html").read_text()
    assert all(said in report for said in ("What is there?", "How many?", "a defect"))
    assert (out / "marks.json").exists() and (out / "timing.json").exists()

"""The files of a run, the history of tracks and the page about them."""

from __future__ import annotations

import json
import math
import os
import resource
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.reasoning.types import Answer, Status, Usage
from cc_ros.runs.report import Report, render_report, write_report
from cc_ros.runs.track_history import TrackHistory
from cc_ros.runs.writer import RunFilesError, RunWriter


def keyframe(index: int, *marks: Mark) -> MarkedKeyframe:
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    return MarkedKeyframe(index, index / 10, jpeg, 64, 48, marks)


def labels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 65536, (48, 64)).astype(np.uint16)


def run(out: Path, frames: int = 30, write_labels: bool = True) -> None:
    with RunWriter(out, "walk.mp4", 10.0, write_labels) as writer:
        for i in range(frames):
            writer.frame(i, labels(i), 0.02 if i < 5 else 0.01)
        writer.keyframes([keyframe(0, Mark(3, 10.123, 20, 55)), keyframe(9)])
        writer.finish()


def names(out: Path) -> list[str]:
    return sorted(str(file.relative_to(out)) for file in out.rglob("*") if file.is_file())


def test_a_run_writes_what_scripts_rely_on(tmp_path: Path) -> None:
    run(tmp_path / "new" / "run")
    out = tmp_path / "new" / "run"
    for i in range(30):
        stored = cv2.imread(str(out / "labels" / f"{i:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        np.testing.assert_array_equal(stored, labels(i))
    assert json.loads((out / "marks.json").read_text()) == {
        "source": "walk.mp4",
        "frames": 30,
        "fps": 10.0,
        "keyframes": [
            {
                "index": 0,
                "stamp": 0.0,
                "image": "keyframes/000000.jpg",
                "marks": [{"id": 3, "x": 10.12, "y": 20, "area": 55}],
            },
            {"index": 9, "stamp": 0.9, "image": "keyframes/000009.jpg", "marks": []},
        ],
    }
    assert cv2.imread(str(out / "keyframes" / "000009.jpg")).shape == (48, 64, 3)
    timing = json.loads((out / "timing.json").read_text())
    assert timing["frames"] == 30
    assert timing["seconds"] > 0
    assert timing["ms_per_frame"] == {"median": 10, "p95": 20, "first100": 10, "last100": 10}
    assert timing["rss_mb"]["end"] > 10


def test_a_run_without_labels_and_without_frames(tmp_path: Path) -> None:
    run(tmp_path / "run", 0, write_labels=False)
    assert names(tmp_path / "run") == ["keyframes/000000.jpg", "keyframes/000009.jpg", "marks.json", "timing.json"]
    assert not (tmp_path / "run" / "labels").exists()
    assert json.loads((tmp_path / "run" / "timing.json").read_text())["ms_per_frame"]["median"] is None


def test_an_older_run_is_replaced_whole(tmp_path: Path) -> None:
    run(tmp_path, 30)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report.html").write_text("old")
    with RunWriter(tmp_path, "other") as writer:
        writer.frame(0, labels(0), 0.01)
        writer.keyframes([keyframe(1), keyframe(2)])
        writer.keyframes([keyframe(2)])
        writer.finish()
    assert names(tmp_path) == ["keyframes/000002.jpg", "labels/000000.png", "marks.json", "notes.txt", "timing.json"]


def test_a_run_that_was_cut_off_can_be_replaced(tmp_path: Path) -> None:
    with RunWriter(tmp_path, "cut"):
        pass
    run(tmp_path, 2)


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "precious.png").touch()
    with pytest.raises(RunFilesError, match="neither empty nor an earlier run"):
        RunWriter(tmp_path, "x")
    assert names(tmp_path) == ["labels/precious.png"]


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFilesError, match="cannot be written"):
        RunWriter(tmp_path / "file", "x")


def test_a_full_disk_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    """The limit on file sizes makes writes fail in the thread as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunWriter(tmp_path, "x") as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
        try:
            with pytest.raises(RunFilesError, match=r"labels/000000\.png cannot be written: File too large"):
                for i in range(100):
                    writer.frame(i, labels(i), 0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunFilesError, match="Permission denied"):
        RunWriter(tmp_path / "run", "x")


def test_history_of_tracks_keeps_gaps_apart() -> None:
    history = TrackHistory()
    for stamp, ids in ((0, {1}), (1, {1, 2}), (2, {2}), (3, {1, 2})):
        history.add(stamp, ids)
    assert [(row.id, row.frames, row.intervals) for row in history.rows()] == [
        (1, 3, [[0, 1], [3, 3]]),
        (2, 3, [[1, 3]]),
    ]
    history.add(0.5, {7})  # time runs backwards: a new episode
    assert [row.id for row in history.rows()] == [7]


@given(st.lists(st.frozensets(st.integers(1, 40), max_size=12), max_size=120))
def test_history_of_tracks_is_bounded_and_honest(stream: list[frozenset[int]]) -> None:
    history = TrackHistory(max_tracks=10, max_intervals=3)
    for stamp, ids in enumerate(stream):
        history.add(stamp, ids)
        assert len(history) <= max(10, 0)
    for row in history.rows():
        assert 1 <= len(row.intervals) <= 3
        flat = [stamp for interval in row.intervals for stamp in interval]
        assert flat == sorted(flat)
        assert all(row.id in stream[int(stamp)] for stamp in flat)
    assert [row.id for row in history.rows(2)] == sorted(row.id for row in history.rows(2))


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what matters."""

    VOID = frozenset({"meta", "img", "br", "line", "rect", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def full_report(text: str, tmp_path: Path) -> Report:
    history = TrackHistory()
    for i in range(20):
        history.add(i / 10, {3, 5} if i % 7 else {5})
    with RunWriter(tmp_path, text) as writer:
        writer.frame(0, labels(0), 0.01)
        timing = writer.finish()
    usage = Usage(images=12345, model=text)
    said = Answer(Status.OK, text=text, source=text, mark_ids=(3, 99), confidence=0.5, usage=usage)
    marks = (Mark(3, 10, 20, 300, 1.5), Mark(5, 30, 20, 0, math.nan))
    return Report(
        text,
        text,
        text,
        [keyframe(0, *marks), keyframe(9, marks[0])],
        history,
        timing,
        [(text, said), (text, Answer(Status.TIMEOUT, text))],
        {text: {text: text}},
        {text: 3},
        [text],
        {text: text, "sam2_skipped": 4711},
        [text],
    )


def test_the_page_is_complete_and_needs_nothing_else(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", full_report("walk", tmp_path / "run"))
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [
        "Camera picture at 0 s with marks on objects 3, 5",
        "Camera picture at 0.9 s with marks on objects 3",
    ]
    assert "sam2 skipped4711" in page.text.replace("\n", "")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe")
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert sum(tag == "rect" for tag, _ in page.tags) == 4  # object 3 is away twice and once at the beginning
    for words in ("Confidence", "50 %", "12\u202f345", "Left out of the recording", "1.5 m"):
        assert words in page.text


def test_text_from_models_and_bags_is_never_markup(tmp_path: Path) -> None:
    evil = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='alert(1)'"
    page = Page(render_report(full_report(evil, tmp_path)))
    assert not any(tag == "script" or "onerror" in a or "onload" in a for tag, a in page.tags)
    assert page.text.count(evil) >= 10


def test_an_empty_run_has_a_page_as_well() -> None:
    page = Page(render_report(Report("empty", "nothing", "flow")))
    assert "Keyframes" in page.text


def test_very_many_tracks_do_not_swamp_the_page() -> None:
    history = TrackHistory()
    for i in range(300):
        history.add(i, range(1, 400 - i))
    page = Page(render_report(Report("many", "x", "flow", tracks=history)))
    assert sum(tag == "rect" for tag, _ in page.tags) == 40
    assert "359 more objects were visible for shorter" in page.text


def test_a_page_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunFilesError, match="cannot be written"):
        write_report(tmp_path / "no" / "report.html", Report("x", "x", "x"))

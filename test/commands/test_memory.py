"""`cc-ros memory` on a memory on disk, and `cc-ros run --memory` that writes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.remembered import BEGIN, fill
from support.rig import BAG

from cc_ros import cli
from cc_ros.memory import MemoryReader


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Two episodes of six and four seconds, a day apart; nothing in them can be known again."""
    path = tmp_path / "memory"
    fill(path, 6, episode="kitchen")
    fill(path, 4, episode="hall", begin=BEGIN + 86400)
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    """Run the command with --json and return what it prints, or with another status what it says on stderr."""
    capsys.readouterr()
    assert cli.main(["memory", *arguments, *(["--json"] if not status else [])]) == status
    said = capsys.readouterr()
    return said.err if status else json.loads(said.out)


def test_episodes_and_objects_are_listed(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--memory", str(memory))
    episodes = call(capsys, "list", *where)
    assert [(one["id"], one["source"], one["keyframes"], one["objects"]) for one in episodes] == [
        *((1, "kitchen", 6, 2), (2, "hall", 4, 2))
    ]
    objects = call(capsys, "show", *where)
    assert [(one["id"], one["state"], one["last_seen"]) for one in objects] == [
        *((number, "unseen", BEGIN + 5) for number in (1, 2)),
        *((number, "present", BEGIN + 86403) for number in (3, 4)),
    ]
    assert call(capsys, "show", "2", *where)["first_seen"] == BEGIN
    assert "knows no object 7" in call(capsys, "show", "7", *where, status=1)
    assert "is no time" in call(capsys, "show", *where, "--since", "sometime", status=1)
    assert cli.main(["memory", "list", *where]) == 0
    assert "kitchen" in capsys.readouterr().out


def test_it_is_asked_without_a_model(
    memory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answer = call(capsys, "ask", "When did you last see 2?", "--memory", str(memory))
    assert (answer["status"], answer["source"], answer["mark_ids"]) == ("OK", "memory", [2])
    assert "needs a model" in call(capsys, "ask", "What is on the table?", "--memory", str(memory), status=1)


def test_it_forgets_only_what_it_is_told_to(memory: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ("--memory", str(memory))
    assert "say what to forget" in call(capsys, "forget", *where, "--yes", status=1)
    assert "say --yes" in call(capsys, "forget", *where, "--episode", "1", status=1)
    assert call(capsys, "forget", *where, "--episode", "1", "--yes")["keyframes"] == 6
    assert [one["id"] for one in call(capsys, "list", *where)] == [2]
    assert call(capsys, "export", str(tmp_path / "out"), *where)["keyframes"] == 4
    assert "is not empty" in call(capsys, "export", str(memory), *where, status=1)
    assert call(capsys, "compact", *where)["bytes"] >= 0
    assert call(capsys, "forget", *where, "--all", "--yes")["keyframes"] == 4
    assert call(capsys, "list", *where) == [] and not list(memory.rglob("*.jpg"))
    assert "there is no memory" in call(capsys, "list", "--memory", str(tmp_path / "none"), status=1)


def test_a_run_gives_objects_the_numbers_of_the_run_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory, numbers = tmp_path / "memory", []
    for name in ("a", "b"):
        options = ("--backend", "flow", "--no-labels", "--quiet", "--max-frames", "30", "--memory", str(memory))
        assert cli.main(["run", str(BAG), "--out", str(tmp_path / name), *options]) == 0
        keyframes = json.loads((tmp_path / name / "marks.json").read_text())["keyframes"]
        numbers.append({mark["id"] for keyframe in keyframes for mark in keyframe["marks"]})
    assert len(numbers[0]) >= 4 and len(numbers[0] & numbers[1]) >= 0.7 * len(numbers[1]), numbers
    with MemoryReader(memory) as reader:
        assert [episode.source for episode in reader.episodes()] == ["room102_pan"] * 2

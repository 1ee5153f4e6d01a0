"""`cc-ros eval` as people and scripts use it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.model_server import ModelServer, reply
from support.sot_scene import write_scene

from cc_ros import cli

STYLES = "raw,marks,set-of-mark,cot,measured,birds-eye"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks" / "index.md"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sot")
    write_scene(folder)
    return folder


def evaluate(*arguments: object) -> int:
    return cli.main(["eval", "sot", *map(str, arguments)])


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    more = ("--tracker", "truth", "--frames", 5, "--styles", STYLES)
    assert evaluate("--data", data, "--model", "oracle", "--out", out, *more) == 0
    return out


class Page(HTMLParser):
    """Counts the elements of a page, and fails on what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            assert name not in ("src", "href") or str(value).startswith("data:")


def test_a_run_leaves_the_files_that_scripts_rely_on(done: Path) -> None:
    results = json.loads((done / "results.json").read_text())
    rows = {row["style"]: row for row in results["rows"]}
    assert list(rows) == ["raw", "marks", "set_of_mark", "marks_cot", "measured", "birds_eye"]
    for row in rows.values():
        assert (row["benchmark"], row["frames"], row["trials"], row["answers"]) == ("sot", 5, 1, 12)
        for metric in ("forward", "reverse", "harmonic"):
            low, high = row["intervals"][metric]
            assert 0 <= low <= row[metric] <= high <= 1
        assert set(row["kinds"]) == {"observer", "perspective"}
    assert all(rows[style]["harmonic"] == 1.0 for style in ("marks", "marks_cot", "measured", "birds_eye"))
    assert rows["raw"]["harmonic"] < 0.8 > rows["set_of_mark"]["harmonic"]  # numbers of each picture's own tie nothing
    compared = {one["metric"]: one for one in results["differences"] if ", marks," in one["a"] and ", raw," in one["b"]}
    assert compared["harmonic"]["value"] == pytest.approx(1 - rows["raw"]["harmonic"])
    assert results["wording"] and all(said["system"] and said["digest"] for said in results["wording"].values())
    lines = [json.loads(line) for line in (done / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 6 * 12 and {line["status"] for line in lines} == {"OK"}
    measured = next(line for line in lines if ", measured," in line["condition"])
    assert "degrees to the" in measured["prompt"] and measured["facts"] in measured["prompt"]
    assert "step by step" in next(line["prompt"] for line in lines if ", marks_cot," in line["condition"])
    above = next(line for line in lines if ", birds_eye," in line["condition"])
    assert above["prompt"].count("[picture]") == 5 + 1


def test_the_reports_show_the_papers_rows_plots_and_wrong_answers(done: Path) -> None:
    page = Page((done / "report.html").read_text())
    assert page.count["svg"] >= 3 and page.count["img"] >= 2 and page.count["article"] >= 1
    markdown = (done / "report.md").read_text()
    assert "| paper | GPT-4o | marks | 4 |" in markdown and "| 71.2 |" in markdown
    assert "## Where wrong answers went wrong" in markdown


def test_the_same_command_goes_on_and_other_settings_are_refused(
    data: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (done / "answers.jsonl").read_bytes()
    same = ("--data", data, "--model", "oracle", "--out", done, "--tracker", "truth", "--frames", 5)
    assert evaluate(*same, "--styles", "marks") == 0
    assert (done / "answers.jsonl").read_bytes() == before
    assert evaluate(*same, "--limit", 2) == 1
    assert evaluate(*same, "--set", "keyframes.min_confidence=0.1") == 1
    assert "holds answers with settings" in capsys.readouterr().err


def test_the_grid_of_the_documentation_is_asked_as_it_stands(data: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(PAGE.read_text().partition("```yaml\n")[2].partition("```")[0])
    more = ("--tracker", "truth", "--limit", 1, "--trials", 2)
    assert evaluate("--data", data, "--model", "oracle", "--out", tmp_path, "--grid", grid, *more) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    marked = [("marks", frames, diameter) for frames in (2, 4, 8) for diameter in (40, 60)]
    raw = [("raw", frames, 0) for frames in (2, 4, 8)]
    assert sorted((row["style"], row["frames"], row["diameter"]) for row in rows) == sorted(raw + marked)
    assert {(row["trials"], row["answers"]) for row in rows} == {(2, 4)}


def test_one_question_is_shown_with_all_that_is_known(
    data: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ("--data", data, "--model", "oracle", "--out", done, "--tracker", "truth", "--frames", 5)
    assert evaluate(*same, "--show", "row/1") == 0
    text = Path(capsys.readouterr().out.strip()).read_text()
    assert "teal box" in text and "a coin was tossed" in text and "Measured" in text
    assert Page(text).count["img"] == 2 * 2 * 5  # raw and marks, two directions
    assert evaluate(*same, "--show", "row/99") == 1
    assert "there is no question 'row/99'" in capsys.readouterr().err


def test_a_dry_run_counts_and_asks_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ModelServer() as server:
        to = ("--data", data, "--model", "big", "--base-url", server.base_url, "--out", tmp_path / "out")
        assert evaluate(*to, "--trials", 3, "--frames", 4, "--prices", "2,10", "--dry-run") == 0
        said = capsys.readouterr().out
        assert "72 requests" in said and "money: about 0." in said  # 6 questions, 2 directions, 2 styles, 3 trials
        assert not server.received and not (tmp_path / "out").exists()


def test_training_data_are_conversations_with_their_pictures(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    assert evaluate("--data", data, "--export-llava", path, "--tracker", "truth", "--frames", 3) == 0
    entries = json.loads(path.read_text())
    assert len(entries) == 2 * 2 * 6 and len({entry["id"] for entry in entries}) == 24
    for entry in entries:
        human, gpt = entry["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt") and gpt["value"] in ("left", "right")
        assert human["value"].count("<image>") == len(entry["image"]) == 3
        assert all((tmp_path / image).read_bytes()[:2] == b"\xff\xd8" for image in entry["image"])
        assert ("Equal numbers" in human["value"]) == ("marks" in entry["id"])
    assert len({image for entry in entries for image in entry["image"]}) == 2 * 2 * 3  # shared by the questions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "oracle"), "say where to write"),
        (("--out", "x"), "name the model"),
        (("--out", "x", "--model", "oracle", "--data", "nowhere"), "there is no folder nowhere"),
        (("--out", "x", "--model", "oracle", "--styles", "dots"), "there is no style 'dots'"),
        (("--out", "x", "--model", "oracle", "--budget", "3"), "--budget needs --prices"),
        (("--out", "x", "--model", "oracle", "--split", "test"), "has the splits all"),
        (("make", "--out", "x"), "needs --video FILE"),
    ],
)
def test_what_is_missing_is_told(
    options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert evaluate(*options) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_says_which_benchmarks_there_are_and_where_their_data_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cc_ros.evaluation.benchmarks import BENCHMARKS

    with pytest.raises(SystemExit):
        cli.main(["eval", "--help"])
    said = capsys.readouterr().out
    assert all(f"{name}: " in said for name in BENCHMARKS) and "come with the package" in said


def test_a_server_that_refuses_ends_the_run_with_its_reason(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        server.always(reply("left"))
        to = ("--data", data, "--model", "m", "--base-url", server.base_url, "--out", tmp_path, "--styles", "raw")
        assert evaluate(*to, "--set", "reasoner.max_requests=3", "--parallel", 1) == 1
    assert "the same command goes on from here" in capsys.readouterr().err
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3

"""``cc-ros eval nav`` and ``r2r``: what was driven becomes rows, and is not driven again."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cc_ros.cli import main
from cc_ros.commands import sim
from cc_ros.evaluation.benchmarks.r2r import Rules
from cc_ros.evaluation.navigation import Outcome
from cc_ros.sim.episodes import Episode
from cc_ros.sim.trial import Trial

OUTCOMES = {
    "1": Outcome(shortest=4.0, travelled=5.0, left=0.5, nearest=0.5, radius=3.0, actions=90),
    "2": Outcome(shortest=4.0, travelled=9.0, left=6.0, nearest=2.0, radius=3.0, stopped=False, actions=500),
    "3": Outcome(shortest=6.0, travelled=6.0, left=1.0, nearest=1.0, radius=3.0, actions=70),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {
            "episode_id": int(id),
            "trajectory_id": 4,
            "scene_id": "mp3d/zsNo4HB9uLZ/zsNo4HB9uLZ.glb",
            "start_position": [10.2, 0.1, 2.5],
            "start_rotation": [0, 0, 0, 1],
            "info": {"geodesic_distance": 6.4},
            "goals": [{"position": [12.3, 0.1, -3.4], "radius": 3.0}],
            "instruction": {"instruction_text": f"Exit the bedroom, {id}.", "instruction_tokens": []},
            "reference_path": [[10.2, 0.1, 2.5], [12.3, 0.1, -3.4]],
        }
        for id in OUTCOMES
    ]
    path = tmp_path / "R2R_VLNCE_v1-3" / "val_unseen" / "val_unseen.json.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps({"episodes": rows}).encode()))
    return tmp_path


def test_driven_episodes_are_rows_and_the_rest_is_driven_by_the_next_run(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driven: list[str] = []

    def follow(
        options: Any, settings: Any, episodes: Sequence[Episode], on_trial: Callable[[Trial], object], rules: Rules
    ) -> int:
        assert (options.model, options.scenes) == ("gpt", data / "scene_datasets")
        assert rules == Rules() and {one.radius for one in episodes} == {rules.success}
        for episode in episodes[:2]:  # then it is interrupted
            driven.append(episode.id)
            on_trial(Trial(episode, said=["went on"], why="not found", outcome=OUTCOMES[episode.id]))
        return 130 if len(episodes) > 2 else 0

    monkeypatch.setattr(sim, "follow", follow)
    out = data / "run"
    command = ["eval", "r2r", "--data", str(data), "--model", "gpt", "--out", str(out)]
    assert main(command) == 130 and driven == ["1", "2"]
    assert main(command) == 0 and driven == ["1", "2", "3"]
    assert "3 of 3 episodes" in capsys.readouterr().out
    found = json.loads((out / "results.json").read_text())
    [row] = found["rows"]
    assert {name: row[name] for name in ("SR", "oracle SR", "SPL", "TL", "NE", "actions")} == pytest.approx(
        {"SR": 200 / 3, "oracle SR": 100, "SPL": 60, "TL": 20 / 3, "NE": 2.5, "actions": 220}
    )
    assert row["intervals"]["SR"] == [0, 100] and found["rules"] == {
        **{"actions": "discrete", "forward": 0.25, "turn": 15.0, "max_steps": 500, "success": 3.0},
        "allow_sliding": True,  # in Habitat's scenes, where these are
    }
    report = (out / "report.md").read_text()
    assert "| paper | GPT-4o | marks | 1 |" in report and "21.0" in report
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines][:2] == ["stopped 0.50 m from the goal", "gave up: not found"]
    assert [line["figures"]["actions"] for line in lines] == [90, 500, 70]
    about = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(about | {"rules": {"actions": "continuous"}}))
    assert main(command) == 1 and "holds answers with rules" in capsys.readouterr().err


def test_options_that_mean_nothing_here_and_what_is_missing_are_told(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy")
    monkeypatch.setitem(sys.modules, "habitat_sim", None)
    command = ["eval", "r2r", "--model", "gpt", "--out", str(data / "run")]
    for more, said in (
        (["--styles", "raw"], "has no --styles"),
        (["--trials", "2"], "has no --trials"),
        ([], "say where the data are"),
        (["--data", str(data), "--split", "test"], "not 'test'"),
        (["--data", str(data)], "need Habitat"),
    ):
        assert main([*command, *more]) == 1
        assert said in capsys.readouterr().err

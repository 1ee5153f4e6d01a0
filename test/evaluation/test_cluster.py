"""A local Ray cluster of two workers gives the results of one machine."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.rig import scene
from support.sot_scene import write_scene

from cc_ros import cli
from cc_ros.evaluation.answer_file import read_answers
from cc_ros.evaluation.cluster import LOCAL, cluster

pytest.importorskip("ray")


def test_two_workers_answer_as_one_machine_does_and_a_fleet_is_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scene(tmp_path / "data", name)
    said = ["eval", "sot", "--data", str(tmp_path / "data"), "--model", "oracle", "--tracker", "truth"]
    said += ["--frames", "3", "--limit", "4", "--parallel", "1"]
    with cluster(LOCAL) as ray:  # the commands take it, and do not begin one each
        assert ray.cluster_resources()["CPU"] == 2
        for out, more in (("alone", []), ("spread", ["--ray", LOCAL])):
            assert cli.main([*said, "--out", str(tmp_path / out), *more]) == 0
        _fleet(tmp_path)
    alone, spread = (_answers(tmp_path / out) for out in ("alone", "spread"))
    assert alone == spread and len(alone) == 4 * 2 * 2
    assert {key[0].partition("/")[0] for key in alone} == {"a", "b"}  # both workers had something to do
    rows = [json.loads((tmp_path / out / "results.json").read_text())["rows"] for out in ("alone", "spread")]
    assert rows[0] == rows[1]


def _answers(folder: Path) -> dict[tuple[str, str, str, int], tuple[str, str]]:
    return {answer.key: (answer.text, answer.stage) for answer in read_answers(folder / "answers.jsonl")}


def _fleet(folder: Path) -> None:
    videos = [folder / robot / "walk.avi" for robot in ("robot1", "robot2")]
    for path in videos:
        path.parent.mkdir()
        film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
        for number in range(3):
            film.write(np.ascontiguousarray(scene(number, 160, 120)))
        film.release()
    options = ["--backend", "flow", "--out", str(folder / "runs")]
    assert cli.main(["run", *map(str, videos), str(folder / "none.avi"), *options, "--ray", LOCAL]) == 1
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["walk", "walk_2"]
    for name in ("walk", "walk_2"):
        assert json.loads((folder / "runs" / name / "marks.json").read_text())["frames"] == 3

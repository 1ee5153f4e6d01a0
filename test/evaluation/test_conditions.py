"""Conditions: grids, names, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from cc_ros.errors import SettingsError
from cc_ros.evaluation.conditions import Condition, grid, read_grid
from cc_ros.evaluation.types import FORWARD, REVERSE

USUAL = Condition("gpt", frames=4, marks=5, tracker="flow")


def test_a_grid_is_every_combination_once_and_raw_pictures_have_no_marks(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text("style: [raw, marks, cot]\nframes: [2, 4]\ndiameter: [40, 80]\ndirection: both\n")
    conditions = grid(read_grid(path), USUAL)
    assert len(conditions) == len({one.name for one in conditions}) == 2 + 2 * 2 * 2
    raw = [one for one in conditions if one.style == "raw"]
    assert [(one.frames, one.marks, one.diameter, one.tracker) for one in raw] == [(2, 0, 0, "none"), (4, 0, 0, "none")]
    assert {one.style for one in conditions} == {"raw", "marks", "marks_cot"}
    assert all(one.directions == (FORWARD, REVERSE) for one in conditions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame: [2]", "the grid has no 'frame'"),
        ("style: [circles]", "there is no style 'circles'"),
        ("frames: [0]", "frames must be at least 1"),
        ("frames: [two]", "frames must be int"),
        ("tracker: magic", "tracker must be one of"),
        ("direction: sideways", "direction must be one of forward, reverse, both"),
        ("outline: maybe", "outline must be bool"),
        ("marks: 0", "needs marks and a tracker"),
        ("style: []", "style has no value"),
        ("- a\n- b", "must hold lines such as"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        grid(read_grid(path), USUAL)


def test_no_model_no_run() -> None:
    with pytest.raises(SettingsError, match="name the model"):
        grid({"style": ["raw"]}, Condition(""))

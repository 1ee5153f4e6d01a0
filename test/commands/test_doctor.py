"""What `cc-ros doctor` says of what may be installed and may be not."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from cc_ros.commands import doctor


@pytest.mark.parametrize(
    ("spec", "level", "told"),
    [(None, "note", "not installed: no `driver: nav2`"), (object(), "ok", "`driver: nav2` is possible")],
)
def test_it_says_in_one_line_whether_nav2_may_drive(
    monkeypatch: pytest.MonkeyPatch, spec: Any, level: str, told: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "nav2_msgs" else object())
    (found,) = doctor._nav2()
    assert found.level == level and found.what.startswith("nav2_msgs is ") and told in found.what and not found.advice

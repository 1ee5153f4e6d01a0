"""``cc-ros sim``: it runs until Ctrl-C, and says what is missing."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.rig import cc_ros

from cc_ros.cli import main
from cc_ros.errors import CCError
from cc_ros.sim.building import build
from cc_ros.sim.habitat import HabitatWorld
from cc_ros.sim.world import MujocoWorld


@pytest.mark.skipif(find_spec("mujoco") is None or find_spec("rclpy") is None, reason="MuJoCo or rclpy is missing")
def test_it_simulates_until_ctrl_c() -> None:
    with cc_ros("sim", "--seed", "1", "--rooms", "1") as program:
        program.wait_for("cc-ros up --use-sim-time --param cc_tracker:camera.camera_x:=0.1")
        program.signal(signal.SIGINT)
        assert program.end(30) == 0
    assert "Traceback" not in program.text


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(CCError, match=r"pip install 'cc_ros\[sim\]'"):
        MujocoWorld(build(1, 1))
    monkeypatch.setitem(sys.modules, "habitat_sim", None)
    with pytest.raises(CCError, match="need Habitat"):
        HabitatWorld("mp3d/a/a.glb", None, 0.0)


@pytest.mark.skipif(find_spec("mujoco") is None, reason="MuJoCo is not installed")
def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CCError, match="no display"):
        MujocoWorld(build(1, 1), render=False, window=True)


def test_wrong_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy")
    assert main(["sim", "--episodes", "0"]) == 1
    assert "at least 1" in capsys.readouterr().err
    assert main(["sim", "--episodes-file", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
    assert main(["sim", "--hz", "900"]) == 1
    assert "hz" in capsys.readouterr().err

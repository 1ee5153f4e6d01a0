"""A run as a recording for Rerun, read back by Rerun's own program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun", reason="rerun-sdk is not installed")

from support.marked_scene import INTRINSICS, looking, see

from cc_ros.errors import SettingsError
from cc_ros.frame import Frame
from cc_ros.runs.rerun_log import RerunLog
from cc_ros.tracking import Tracked, TrackStatus
from cc_ros.tracking.base import Track

ROOM = {1: (3.0, 0.5, 0.8), 2: (3.0, -0.5, 0.8)}


def test_a_recording_holds_pictures_tracks_the_camera_and_the_places(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.rrd"
    poses = [looking(0, 0, 0), looking(0, 0.5, 0)]
    with RerunLog(path, "a walk") as log:
        for index, pose in enumerate(poses):
            labels = np.zeros((480, 640), np.uint16)
            labels[100:200, 50:90] = 1
            track = Track(1, TrackStatus.VISIBLE, 4000, (70, 150), (50, 100, 40, 100), 0.9, 0.0, float(index))
            image = np.full((480, 640, 3), 90, np.uint8)
            log.frame(Frame(image, float(index), None, INTRINSICS, pose), Tracked(labels, (track,)))
        log.keyframes(see(poses, ROOM, depth=True))
    told = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    logged = set(told.split())
    assert {"/keyframe", "/world/camera", "/world/marks"} <= logged
    assert {f"/world/camera/image{part}" for part in ("", "/objects", "/tracks")} <= logged


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        RerunLog(tmp_path / "file" / "run.rrd", "x")

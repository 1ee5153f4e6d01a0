"""A backend is its folder, its settings and a line in the table: everything else comes from there."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest

from cc_ros.commands import run
from cc_ros.errors import BackendError, SettingsError
from cc_ros.frame import Frame
from cc_ros.settings import knob
from cc_ros.tracking import Tracked, Tracker, factory
from cc_ros.tracking.base import BackendSettings
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.sam2.settings import Sam2Settings

FRAME = Frame(np.zeros((48, 64, 3), np.uint8), 0.0)


@dataclass(frozen=True)
class StillSettings(BackendSettings):
    title = "standing still"
    for_files = MappingProxyType({"number": 5})
    number: int = knob(3, "id of everything", ge=1, le=9)

    @property
    def view_width(self) -> int:
        return 2000


class Still(Tracker):
    """Takes each image for one object."""

    def __init__(self, settings: StillSettings) -> None:
        self.number = settings.number

    def step(self, frame: Frame) -> Tracked:
        if frame.stamp > 0:
            raise BackendError("it moves")
        return Tracked(np.full(frame.image.shape[:2], self.number, np.uint16), ())

    def seed(self, labels: np.ndarray) -> None:
        pass

    def reset(self) -> None:
        pass


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(factory.BACKENDS, "still", factory.Backend(StillSettings, f"{__name__}:Still"))
    monkeypatch.setitem(factory.SETTINGS, "still", StillSettings)
    monkeypatch.setattr(factory, "NAMES", (*factory.NAMES, "still"))


@pytest.mark.usefixtures("still")
def test_a_further_backend_is_made_with_its_settings_and_falls_back_like_the_others() -> None:
    tracker = factory.make_tracker("still", FlowSettings(), StillSettings(number=7))
    assert (tracker.step(FRAME).labels == 7).all()
    assert not tracker.step(Frame(FRAME.image, 1.0)).labels.any()
    assert tracker.health()["degraded"] == "it moves"
    with pytest.raises(SettingsError, match="number must be at most 9"):
        factory.make_tracker("still", StillSettings(number=10))


@pytest.mark.usefixtures("still")
def test_a_further_backend_has_options_of_a_run_and_other_defaults_for_files() -> None:
    assert run.groups()["still"] is StillSettings
    options = run_options("walk.mp4")
    assert run._settings(options)["still"].number == 5
    assert run._settings(run_options("walk.mp4", "--set", "still.number=6"))["still"].number == 6
    assert run._settings(run_options("rtsp://robot/camera"))["still"].number == 3


def run_options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run.add_options(parser)
    return parser.parse_args(words)


@pytest.mark.usefixtures("still")
def test_images_keep_the_width_that_the_backends_in_use_work_on() -> None:
    assert factory.view_width("flow", FlowSettings(work_width=480), Sam2Settings(image_size=512)) == 480
    assert factory.view_width("sam2", FlowSettings(), Sam2Settings(image_size=512)) == 512
    assert factory.view_width("auto") == 1024
    assert factory.view_width("still") == 2000


def test_settings_of_no_backend_are_refused() -> None:
    with pytest.raises(SettingsError, match="StillSettings are settings of no backend"):
        factory.make_tracker("flow", StillSettings())

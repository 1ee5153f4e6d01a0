from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.room import wide_scene

from cc_ros.errors import ImageError
from cc_ros.frame import Frame
from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.tracker import FlowTracker


def picture(x: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A red box 60 pixels wide at column x on a grey wall with some grain."""
    grain = np.random.default_rng(0).integers(-6, 6, (height, width, 1))
    image = np.full((height, width, 3), 150)
    image[80:160, x : x + 60] = (30, 40, 200)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def test_a_moving_box_is_one_object_with_one_id() -> None:
    tracker = FlowTracker()
    centres = set()
    for i in range(20):
        tracked = tracker.step(Frame(picture(40 + 4 * i), i / 30))
        centres.add(int(tracked.labels[120, 70 + 4 * i]))
    assert len(centres) == 1 and 0 not in centres
    truth = (picture(40 + 4 * 19)[..., 2] > 180) & (picture(40 + 4 * 19)[..., 0] < 80)
    found = tracked.labels == min(centres)
    assert (truth & found).sum() / (truth | found).sum() > 0.8
    assert next(t for t in tracked.tracks if t.id in centres).status is TrackStatus.VISIBLE


def test_an_object_that_returns_gets_its_id_back_and_its_double_does_not() -> None:
    scene, tracker = wide_scene(), FlowTracker()
    there = list(range(0, 1000, 12))
    at: dict[str, list[int]] = {"box": [], "double": []}
    for i, x in enumerate(there + there[::-1]):
        labels = tracker.step(Frame(scene[:, x : x + 320], i / 30)).labels
        for name, column in (("box", 160 - x), ("double", 1060 - x)):
            if 60 < column < 260:
                at[name].append(int(labels[145, column]))
    box, double = ({i for i in seen if i} for seen in at.values())
    assert len(box) == len(double) == 1 and box != double
    assert at["box"].count(0) == 0 and at["double"].count(0) < 8  # what comes later must be seen for a while


@pytest.mark.parametrize("seeded", [False, True])
def test_of_the_frames_between_two_detections_it_says_that_they_are_carried(seeded: bool) -> None:
    tracker = FlowTracker(FlowSettings(propose_every=0.1, redraw_every=0.1))
    if seeded:
        tracker.seed((picture(40)[..., 2] > 180).astype(np.uint16))
    carried = [tracker.step(Frame(picture(40), i / 30)).carried for i in range(7)]
    assert carried == [False, True, True, False, True, True, False]


def test_a_seeded_object_survives_another_picture_size() -> None:
    tracker = FlowTracker()
    labels = np.zeros((240, 320), np.uint16)
    labels[80:160, 40:100] = 2
    tracker.seed(labels)
    for i in range(6):
        image = picture(40)
        if i > 2:
            image = cv2.resize(image, (200, 150))
        tracked = tracker.step(Frame(image, i / 30))
    assert tracked.labels.shape == (150, 200) and tracked.labels[75, 44] == 2


def test_what_is_lost_is_remembered_up_to_a_bound() -> None:
    tracker = FlowTracker(FlowSettings(max_lost=5, views=4))
    rng = np.random.default_rng(0)
    for i in range(60):  # each picture is new
        image = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (160, 120), interpolation=cv2.INTER_NEAREST)
        tracked = tracker.step(Frame(image, i / 2))
        in_view = 6 * 8  # of these some may not be shown, such as those that look like background
        assert sum(t.status is TrackStatus.LOST for t in tracked.tracks) <= 5 + in_view


def test_seeded_objects_keep_their_ids_and_no_others_appear() -> None:
    tracker = FlowTracker()
    labels = np.zeros((240, 320), np.uint16)
    labels[85:155, 45:95] = 7
    tracker.seed(labels)
    for i in range(10):
        tracked = tracker.step(Frame(picture(40 + 4 * i), i / 30))
    assert np.unique(tracked.labels).tolist() == [0, 7]


def test_the_picture_may_change_its_size() -> None:
    tracker = FlowTracker()
    for i, width in enumerate((320, 400, 64, 320)):
        image = picture(40, width) if width > 100 else picture(10, width)
        assert tracker.step(Frame(image, i / 30)).labels.shape == image.shape[:2]


@pytest.mark.parametrize("image", [np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_not_a_colour_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="uint8"):
        FlowTracker().step(Frame(image, 0.0))


def test_health_is_that_of_the_last_frame_and_does_not_change_while_another_thread_reads_it() -> None:
    tracker = FlowTracker()
    assert tracker.health() == {"objects": 0, "visible": 0}
    for i in range(4):
        tracker.step(Frame(picture(40 + 4 * i), i / 30))
    before = tracker.health()
    assert before["visible"] >= 1
    tracker.step(Frame(np.zeros((240, 320, 3), np.uint8), 5.0))
    assert before["visible"] >= 1 and tracker.health()["visible"] == 0

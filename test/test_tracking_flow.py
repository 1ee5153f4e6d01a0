from __future__ import annotations

import numpy as np
import pytest

from cc_ros.errors import ImageError
from cc_ros.frame import Frame
from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.flow import FlowTracker


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

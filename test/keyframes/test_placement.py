"""Where a mark goes: on its object, not on what shows through it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cc_ros.keyframes import Candidate, Keyframes, KeyframeSettings
from cc_ros.keyframes.centre import mask_centre
from cc_ros.keyframes.placement import mark_place
from cc_ros.keyframes.store import ArrayPicture

WALL, CHAIR = (190, 200, 205), (30, 70, 150)


def chair(scale: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A chair's back with gaps: image, the mask of its silhouette, and where the chair really is."""
    image = np.full((120, 160, 3), WALL, np.uint8)
    image[20:100, 40:120] = CHAIR
    image[34:86, 52:108] = WALL
    image[30:38, 40:120] = CHAIR
    mask = np.zeros((120, 160), bool)
    mask[20:100, 40:120] = True
    large = (160 * scale, 120 * scale)
    image = cv2.resize(image, large, interpolation=cv2.INTER_NEAREST)
    mask = cv2.resize(mask.astype(np.uint8), large, interpolation=cv2.INTER_NEAREST) > 0
    return image, mask, (image == CHAIR).all(axis=2)


@pytest.mark.parametrize("scale", [1, 3, 8])
def test_a_mark_is_not_put_on_the_wall_seen_through_its_object(scale):
    image, mask, real = chair(scale)
    x, y = mask_centre(mask)
    assert not real[y, x]
    x, y = mark_place(image, mask)
    assert real[y, x]
    assert mask[y, x]


def test_a_mark_stays_in_the_centre_of_what_looks_like_the_object():
    image, mask, _ = chair()
    image[mask] = CHAIR
    assert mark_place(image, mask) == mask_centre(mask)


def test_where_colours_say_nothing_the_centre_is_taken():
    image, mask, _ = chair()
    image[:] = WALL
    assert mark_place(image, mask) == mask_centre(mask)
    everything = np.ones_like(mask)
    assert mark_place(image, everything) == mask_centre(everything)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        mark_place(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), bool))


@settings(deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(1, 40))
def test_a_mark_lies_in_the_box_of_its_mask(data, height, width):
    mask = data.draw(hnp.arrays(bool, (height, width)))
    image = data.draw(hnp.arrays(np.uint8, (height, width, 3)))
    if not mask.any():
        return
    x, y = mark_place(image, mask)
    rows, columns = np.nonzero(mask)
    assert columns.min() <= x <= columns.max()
    assert rows.min() <= y <= rows.max()


@pytest.mark.parametrize("on_object", [True, False])
def test_keyframes_place_marks_as_set_up(on_object):
    image, mask, real = chair(4)
    keyframes = Keyframes(KeyframeSettings(on_object=on_object))
    keyframes.store.offer(Candidate(0, 0.0, ArrayPicture(image), mask.astype(np.uint16)))
    (mark,) = keyframes.marked()[0].marks
    assert real[int(mark.y), int(mark.x)] == on_object

"""Where a mark goes: the centre of its mask (appendix C), and on its object, not on what shows through it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cc_ros.keyframes import Candidate, Keyframes, KeyframeSettings
from cc_ros.keyframes.placement import mark_place, mask_centre
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


def test_crumbs_of_a_mask_on_another_thing_do_not_pull_its_mark_there():
    image = np.full((120, 160, 3), WALL, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[60:110, 90:150] = True  # the seat
    mask[10:14, 20:26] = mask[56:62, 60:70] = True  # crumbs on a chair like it
    image[mask] = CHAIR
    x, y = mask_centre(mask)
    assert x < 90
    x, y = mark_place(image, mask)
    assert 100 <= x < 140
    assert 70 <= y < 100


def test_a_mark_is_well_inside_its_mask():
    image = np.full((120, 160, 3), WALL, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[20:60, 20:140] = mask[60:118, 76:84] = True  # a table with a leg
    image[mask] = CHAIR
    assert 34 <= mark_place(image, mask)[1] <= 46
    assert mask_centre(mask)[1] > 55


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


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


def test_a_box_is_marked_in_its_middle():
    mask = np.zeros((50, 80), bool)
    mask[10:31, 20:61] = True
    assert mask_centre(mask) == (40, 20)


def test_the_average_wins_where_it_lies_in_the_mask():
    # middle column 2: rows 0 and 4 -> centre 1 is (2, 2); middle row 2: columns 0..4 -> centre 2 is (2, 2)
    assert mask_centre(mask_of("..#..", ".....", "#####", ".....", "..#..")) == (2, 2)
    # middle column 3: rows 3..5 -> (3, 4); middle row 3: columns 0..3 -> (1, 3); average (2, 3) is masked
    assert mask_centre(mask_of("#......", "#......", "#......", "####...", "...#...", "...####", "......#")) == (2, 3)


def test_centre_1_comes_before_centre_2():
    # column 3: row 1 -> centre 1 (3, 1), masked; row 3: columns 0 and 6 -> centre 2 (3, 3), not masked; average (3, 2)
    mask = mask_of("#......", "#..#..#", "#.....#", "#.....#", "......#", "......#", "......#")
    assert mask_centre(mask) == (3, 1)


def test_centre_2_where_centre_1_is_off_the_mask():
    # column 3: rows 0 and 6 -> centre 1 (3, 3) not masked; row 3: column 0 -> centre 2 (0, 3), masked; average (1, 3)
    mask = mask_of("...#...", ".......", ".......", "#......", ".......", ".......", "...#..#")
    assert mask_centre(mask) == (0, 3)


def test_a_ring_falls_back_to_the_middle_of_its_box():
    mask = mask_of("###", "#.#", "###")
    assert mask_centre(mask) == (1, 1)


def test_columns_without_pixels_leave_the_row_to_decide():
    # nothing in the middle column; the middle row has columns 0 and 4: their median is not masked either
    mask = mask_of("#...#", "#...#", "#...#")
    assert mask_centre(mask) == (2, 1)


def test_an_empty_mask_has_no_centre():
    with pytest.raises(ValueError, match="empty"):
        mask_centre(np.zeros((4, 4), bool))


@given(hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_the_centre_lies_in_the_bounding_box(mask):
    if not mask.any():
        return
    x, y = mask_centre(mask)
    rows, columns = np.nonzero(mask)
    assert columns.min() <= x <= columns.max()
    assert rows.min() <= y <= rows.max()


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_the_centre_of_a_box_lies_in_it(x, y, w, h):
    mask = np.zeros((64, 64), bool)
    mask[y : y + h, x : x + w] = True
    cx, cy = mask_centre(mask)
    assert mask[cy, cx]

"""The centre of a mask: appendix C of the paper, with its order of preference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cc_ros.keyframes.centre import mask_centre


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


def test_an_empty_mask_is_refused():
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

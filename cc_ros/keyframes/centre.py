"""The centre of an instance mask, where its mark goes (appendix C of the paper)."""

from __future__ import annotations

import numpy as np


def mask_centre(mask: np.ndarray) -> tuple[int, int]:
    """Return the pixel (x, y) for a mask that need not be connected.

    Appendix C, figure 1, with its order of preference: the average of centre 1 (median masked row of the middle
    column) and centre 2 (median masked column of the middle row) if it lies in the mask; else centre 1 if it lies in
    the mask; else centre 2; else the middle of the bounding box. The middle column lies halfway between the left and
    the right bound, the middle row halfway between the upper and the lower.

    :param mask: HxW bool or integer, non-zero = object; not empty.
    :raises ValueError: no pixel is set.
    """
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        raise ValueError("an empty mask has no centre")
    rows = np.flatnonzero(mask.any(axis=1))
    x_mid = (int(columns[0]) + int(columns[-1])) // 2
    y_mid = (int(rows[0]) + int(rows[-1])) // 2

    def inside(point: tuple[int, int]) -> bool:
        return bool(mask[point[1], point[0]])

    in_column = np.flatnonzero(mask[:, x_mid])
    in_row = np.flatnonzero(mask[y_mid])
    centre1 = (x_mid, int(np.median(in_column))) if len(in_column) else None
    centre2 = (int(np.median(in_row)), y_mid) if len(in_row) else None
    if centre1 and centre2:
        average = ((centre1[0] + centre2[0]) // 2, (centre1[1] + centre2[1]) // 2)
        if inside(average):
            return average
    for centre in (centre1, centre2):
        if centre and inside(centre):
            return centre
    return x_mid, y_mid

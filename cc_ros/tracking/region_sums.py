"""Loops over the pixels of a map of regions, and over the links between regions."""

from __future__ import annotations

import numpy as np

from cc_ros.tracking.compiled import compiled


@compiled
def region_areas(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the pixels of each region (int64) of a map (HxW int32, -1..count-1); those of -1 come last."""
    areas = np.zeros(count + 1, np.int64)
    for y in range(rows.shape[0]):
        for x in range(rows.shape[1]):
            areas[rows[y, x]] += 1
    return areas


@compiled
def owner_boxes(rows: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Return x0, y0, x1, y1 (count x 4 int64) of the pixels of each owner; x1 = 0 where there are none.

    :param rows: HxW int32, regions.
    :param owner: for each region 0 = none, 1..count; the last one is for -1.
    """
    height, width = rows.shape
    boxes = np.zeros((count + 1, 4), np.int64)
    boxes[:, 0], boxes[:, 1] = width, height
    for y in range(height):
        for x in range(width):
            box = boxes[owner[rows[y, x]]]
            box[0], box[1] = min(box[0], x), min(box[1], y)
            box[2], box[3] = max(box[2], x + 1), max(box[3], y + 1)
    return boxes[1:]


@compiled
def gathered(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the value of the region of each pixel (hxw); ``values[rows]``, in a third of the time.

    :param rows: hxw int32, regions; -1 is the last one.
    """
    out = np.empty(rows.shape, values.dtype)
    for y in range(rows.shape[0]):
        for x in range(rows.shape[1]):
            out[y, x] = values[rows[y, x]]
    return out


@compiled
def add_up(labels: np.ndarray, values: np.ndarray, sums: np.ndarray) -> None:
    """Add the values (hxw) of the pixels of each region (labels: hxw int32) to its sum."""
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            sums[labels[y, x]] += values[y, x]


@compiled
def add_where(labels: np.ndarray, values: np.ndarray, where: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> None:
    """Add the values (hxw) of those pixels ``where`` (hxw) is not 0 to the sums of their regions, and count them."""
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if where[y, x]:
                sums[labels[y, x]] += values[y, x]
                counts[labels[y, x]] += 1


@compiled
def settled(
    own: np.ndarray, pull: np.ndarray, start: np.ndarray, other: np.ndarray, weight: np.ndarray, sweeps: int
) -> np.ndarray:
    """Return shares (r x n float32) that are ``own`` plus those of the neighbours, found by Jacobi's method.

    :param own: r x n float32.
    :param pull: r x n float32, how much the sum of the neighbours counts.
    :param start: r + 1, where the neighbours of each region begin.
    :param other: the neighbours.
    :param weight: float32, of each of them.
    """
    share, last = own.copy(), own.copy()
    for _ in range(sweeps):
        share, last = last, share
        for region in range(len(own)):
            row = share[region]
            row[:] = 0
            for link in range(start[region], start[region + 1]):
                there, strength = last[other[link]], weight[link]
                for column in range(len(row)):
                    row[column] += strength * there[column]
            for column in range(len(row)):
                row[column] = own[region, column] + pull[region, column] * row[column]
    return share


@compiled
def drawn(
    rows: np.ndarray, share: np.ndarray, owner: np.ndarray, ids: np.ndarray, width: int, height: int
) -> np.ndarray:
    """Return the ids in an image of another size: of the object whose share, interpolated, is above one half.

    :param rows: HxW int32, regions; -1 is the last one.
    :param share: r x n float32, 0..1, how much each region is each object.
    :param owner: r int, 1..n, the object whose share is above one half; 0 = none.
    :param ids: n + 1, what to draw for 0 = none and for 1..n.
    """
    high, wide = rows.shape
    out = np.empty((height, width), ids.dtype)
    from_x = np.minimum(np.maximum((np.arange(width) + 0.5) * wide / width - 0.5, 0), wide - 1)
    left = from_x.astype(np.int64)
    right, along = np.minimum(left + 1, wide - 1), from_x - left
    for y in range(height):
        from_y = min(max((y + 0.5) * high / height - 0.5, 0.0), high - 1.0)
        top = int(from_y)
        down, upper_row, lower_row = from_y - top, rows[top], rows[min(top + 1, high - 1)]
        for x in range(width):
            a, b, c, d = upper_row[left[x]], upper_row[right[x]], lower_row[left[x]], lower_row[right[x]]
            chosen = owner[a]
            if owner[b] != chosen or owner[c] != chosen or owner[d] != chosen:
                best, chosen = 0.5, 0
                for one in (owner[a], owner[b], owner[c], owner[d]):
                    if one and one != chosen:
                        upper = share[a, one - 1] * (1 - along[x]) + share[b, one - 1] * along[x]
                        lower = share[c, one - 1] * (1 - along[x]) + share[d, one - 1] * along[x]
                        value = upper * (1 - down) + lower * down
                        if value > best:
                            best, chosen = value, one
            out[y, x] = ids[chosen]
    return out

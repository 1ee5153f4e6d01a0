"""What one tracked frame tells about where each of its objects is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cc_ros.frame import Distortion
from cc_ros.geometry.camera import undistorted

WIDTH = 320  # pixels; wider maps are looked at in steps
FEWEST = 12  # pixels, of those looked at: of fewer nothing is told
LEAST_SHARE = 0.15  # of a mask's inside must have depth
NEAREST = 0.35  # of the depths: the nearest layer with so many is the object, not what shows behind or before it
LAYER = (0.12, 0.04)  # metres, and share of the depth: a wider gap between depths parts two layers
FEW = 0.03  # of the depths
THICK = 0.6  # of a mask is its inside, or its border counts as well
TRIM = (3.0, 97.0)  # percentiles between which the points of an object lie
DEPTH_NOISE = (0.01, 0.004)  # metres, and metres a metre squared: of a depth camera
CUT = 3  # of the pixels looked at: a mask that comes so near to the picture's edge goes on beyond it
BESIDE = 3  # pixels looked at, from one side of a mask's border to the other: nearer ones have smeared depth
NEARER = (0.06, 0.03)  # metres, and share of the depth: what is so much nearer beside a mask hides more of its object
OUTERMOST = 0.25  # of a mask's width: its border further in is not the edge of its box


@dataclass(frozen=True, slots=True)
class View:
    """One object in one frame.

    :param stamp: seconds.
    :param origin: 3 float64, the camera in the fixed frame, metres.
    :param axes: 3x3 float64, camera axes in the fixed frame as columns: right, down, ahead.
    :param middle: 2 float64, right and down a metre ahead: the middle of what the mask spans.
    :param half: 2 float64, half of what it spans, a metre ahead.
    :param cut: whether the mask goes on beyond the picture: left, right, top, bottom.
    :param hidden: how much of each of these sides lies beside something nearer, which hides what goes on there, 0..1;
        0 without depth.
    :param low: 3 float64, metres; corner of the box of the points that depth gives; None without depth.
    :param high: 3 float64, the opposite corner; None without depth.
    :param share: of the mask's inside with depth, 0..1.
    :param noise: metres, standard deviation of one depth.
    """

    stamp: float
    origin: np.ndarray
    axes: np.ndarray
    middle: np.ndarray
    half: np.ndarray
    cut: tuple[bool, bool, bool, bool]
    hidden: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    share: float = 0.0
    noise: float = 0.0


def views(
    labels: np.ndarray,
    depth: np.ndarray | None,
    intrinsics: np.ndarray,
    pose: np.ndarray,
    stamp: float = 0.0,
    distortion: Distortion | None = None,
) -> dict[int, View]:
    """Return a view of each object of a frame, by its id; of small ones none.

    Depth is read within each mask, away from its border, and where it lies in several layers, in that of the object.

    :param labels: HxW uint16, 0 = none.
    :param depth: HxW float32, metres along the optical axis, NaN or 0 unknown; the size of ``labels``; or None.
    :param intrinsics: 3x3, of pictures of this size.
    :param pose: 4x4, camera to fixed frame.
    :raises GeometryError: the intrinsics are unusable.
    """
    step = max(1, round(labels.shape[1] / WIDTH))
    plane = _plane(labels.shape, step, intrinsics.astype(np.float64).tobytes(), distortion)
    small = labels[::step, ::step]
    rows, columns, begins, ids = _segments(small)
    inside = _inside(small)[rows, columns]
    away = None if depth is None else depth[::step, ::step][rows, columns]
    rotation, origin = pose[:3, :3], pose[:3, 3].copy()
    height, width = small.shape
    spans = np.zeros((int(ids[-1]) + 1 if len(ids) else 1, 4), int)
    found = {}
    for id, begin, end in zip(ids.tolist(), begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        if end - begin < FEWEST:
            continue
        part = slice(begin, end)
        y, x = rows[part], columns[part]
        rays = plane[y, x]
        low, high = np.nanmin(rays, axis=0), np.nanmax(rays, axis=0)
        if not np.isfinite((low, high)).all():  # all of it lies beyond what the lens shows ahead
            continue
        spans[id] = left, right, top, bottom = int(x.min()), int(x.max()), int(y[0]), int(y[-1])
        cut = left < CUT, right >= width - CUT, top < CUT, bottom >= height - CUT
        box: tuple = (None, None, 0.0, 0.0)
        if away is not None:
            box = _box(rays, away[part], inside[part], rotation, origin) or box
        found[id] = View(stamp, origin, rotation, (low + high) / 2, (high - low) / 2, cut, (0.0,) * 4, *box)
    if depth is None:
        return found
    hidden = _hidden(small, depth[::step, ::step], spans)
    return {id: replace(view, hidden=tuple(hidden[id].tolist())) for id, view in found.items()}


def near_layer(depths: np.ndarray) -> slice:
    """Return which of ``depths`` (ascending, metres) are of the object: the nearest layer that is no small part.

    Layers are parted where few depths span a wide range, since a floor joins what stands on it with the wall behind.
    """
    near, relative = LAYER
    few = max(1, round(FEW * len(depths)))
    thin = np.flatnonzero(depths[few:] - depths[:-few] > near + relative * depths[:-few]) + (few + 1) // 2
    apart = np.flatnonzero(np.diff(thin) > 1)
    ends = np.concatenate([thin[:1], thin[apart + 1], [len(depths)]]).astype(int)
    begins = np.concatenate([[0], thin[apart], thin[-1:]]).astype(int)
    counts = ends - begins
    large = np.flatnonzero(counts >= NEAREST * len(depths))
    layer = int(large[0]) if len(large) else int(np.argmax(counts))
    return slice(int(begins[layer]), int(ends[layer]))


def _box(
    rays: np.ndarray, depths: np.ndarray, inside: np.ndarray, rotation: np.ndarray, origin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float] | None:
    """Return the box of an object's points in the fixed frame, the share of its pixels with depth, and its noise.

    The mask's inside tells in which layer of depth the object is; where little of it is inside, as of a lamp, its thin
    parts are then taken with it.
    """
    known = np.isfinite(depths) & (depths > 0) & np.isfinite(rays[:, 0])
    core = inside if inside.sum() >= FEWEST else np.ones_like(inside)
    sure = np.sort(depths[known & core])
    if len(sure) < max(FEWEST, LEAST_SHARE * core.sum()):
        return None
    layer = sure[near_layer(sure)]
    slack = LAYER[0] + LAYER[1] * layer[-1]
    chosen = known & (depths > layer[0] - slack) & (depths < layer[-1] + slack)
    if core.sum() > THICK * len(core):
        chosen &= core
    away = depths[chosen].astype(np.float64)
    points = np.column_stack([rays[chosen] * away[:, None], away]) @ rotation.T + origin
    low, high = np.percentile(points, TRIM, axis=0)
    base, squared = DEPTH_NOISE
    return low, high, len(sure) / int(core.sum()), base + squared * float(np.median(away)) ** 2


def _hidden(labels: np.ndarray, depth: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Return (largest id + 1)x4: how much of the left, right, top and bottom of each mask lies beside something nearer.

    :param spans: (largest id + 1)x4, the outermost pixels of each mask.
    """
    share = np.zeros(spans.shape)
    for side in range(4):
        upright, low = side < 2, side % 2 == 0
        ids, deep = (labels, depth) if upright else (labels.T, depth.T)  # of which the side is the left or the right
        sides: tuple[slice, slice] = (slice(BESIDE, None), slice(None, -BESIDE))
        ours, beside = sides if low else sides[::-1]
        mine, own, other = ids[:, ours], deep[:, ours], deep[:, beside]
        with np.errstate(invalid="ignore"):
            y, x = np.nonzero((mine > 0) & (mine != ids[:, beside]) & np.isfinite(own + other))
        id = mine[y, x]
        place = x + BESIDE * low
        first, last = spans[id, 0 if upright else 2], spans[id, 1 if upright else 3]
        margin = BESIDE + OUTERMOST * (last - first)
        outer = place <= first + margin if low else place >= last - margin
        y, x, id = y[outer], x[outer], id[outer]
        away = own[y, x]
        nearer = other[y, x] < away - NEARER[0] - NEARER[1] * away
        count = np.bincount(id, minlength=len(spans))
        share[:, side] = np.bincount(id, nearer, len(spans)) / np.maximum(count, 1)
    return share


def _segments(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows and columns of all labelled pixels, by id and then by row; where each id begins, and the ids."""
    flat = labels.ravel()
    where = np.flatnonzero(flat)
    of = flat[where]
    order = np.argsort(of, kind="stable")
    of, where = of[order], where[order]
    begins = np.flatnonzero(np.diff(of, prepend=0)) if len(of) else np.zeros(0, int)
    rows, columns = np.divmod(where, labels.shape[1])
    return rows, columns, np.append(begins, len(of)), of[begins]


def _inside(labels: np.ndarray) -> np.ndarray:
    """Return which pixels have only their like around them."""
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        alike = np.diff(labels.astype(np.int32), axis=axis) == 0
        first, second = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        same[first] &= alike
        same[second] &= alike
    return same


@lru_cache(4)
def _plane(shape: tuple[int, int], step: int, intrinsics: bytes, distortion: Distortion | None) -> np.ndarray:
    """Return hxwx2: where the ray of each pixel that is looked at meets the plane a metre ahead."""
    rows, columns = np.mgrid[: shape[0] : step, : shape[1] : step]
    matrix = np.frombuffer(intrinsics).reshape(3, 3)
    return undistorted(np.column_stack([columns.ravel(), rows.ravel()]), matrix, distortion).reshape(*rows.shape, 2)

"""Share of each object in each superpixel: solved from log odds and neighbours, and drawn as masks."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import find_objects
from scipy.sparse import csr_matrix

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.superpixels import grown


def owners(share: np.ndarray, above: float = 0.5) -> np.ndarray:
    """Return for each region the object that has most of it (1..n), or 0 if that is not more than ``above``.

    :param share: r x n, 0..1.
    """
    return np.where(share.max(axis=1) > above, share.argmax(axis=1) + 1, 0).astype(np.int32)


def random_walk(links: csr_matrix, area: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the shares (r x n float32) that agree with the log odds and with those of their neighbours (Grady 2005).

    Each region is one object or none; the shares are pushed towards 0 and 1.

    :param links: r x r float32, how much neighbours should agree.
    :param area: r, pixels.
    :param odds: r x n, log odds.
    """
    claims = np.exp(np.minimum(odds, 30).astype(np.float32))
    own = share = claims / (1 + claims.sum(axis=1, keepdims=True))
    if links.nnz:
        sure = np.sqrt(area, dtype=np.float32)[:, None] / const.SMOOTHNESS * (0.1 + np.abs(2 * own - 1))
        pull = 1 / (np.asarray(links.sum(axis=1), np.float32) + sure)
        own = pull * sure * own
        for _ in range(const.WALK_SWEEPS):
            share = own + pull * (links @ share)
    return np.asarray(np.clip((share - 0.5) * 3 + 0.5, 0, 1), np.float32)


def drawn(rows: np.ndarray, share: np.ndarray, ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the ids in an image no smaller than the map: of the object whose share, interpolated, is above one half.

    :param rows: HxW int32, regions; -1 is the last one.
    :param share: r x n float32, 0..1, how much each region is each object; only one has more than one half of it.
    :param ids: n + 1, what to draw for 0 = none and for 1..n.
    :param size: width and height.
    """
    out = np.full(size[::-1], ids[0])
    y, x = (
        ((np.arange(new, dtype=np.float32) + 0.5) * old / new - 0.5).astype(np.float32)
        for old, new in zip(rows.shape, out.shape, strict=True)
    )
    for k, place in enumerate(find_objects(owners(share)[rows], share.shape[1])):
        if place is not None:
            box = grown(place, 1, rows.shape)
            down, along = (
                slice(*np.searchsorted(axis, (side.start - 0.5, side.stop - 0.5)))
                for axis, side in zip((y, x), box, strict=True)
            )
            from_x, from_y = np.meshgrid(x[along] - box[1].start, y[down] - box[0].start)
            mine = share[:, k][rows[box]]
            mine = cv2.remap(mine, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            out[down, along][mine > 0.5] = ids[k + 1]
    return out

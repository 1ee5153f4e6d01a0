"""A place from views without depth, taken from several spots: the box whose outlines fit those of the masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cc_ros.geometry.views import View

EDGE = 0.008  # radians, and share of an object's size in the picture: how far the edge of a mask is off
RELATIVE = 0.12
ONE_VIEW = np.radians(15.0)  # views of an object from within this angle go wrong together
MIN_PARALLAX = np.radians(4.0)
USUAL_HALF = 0.35  # metres: half an edge of what stands in rooms, and by what factor it differs
DIFFERS = 1.9
CUT_SLACK = 0.02  # radians: how far the box may end before the picture's edge where the mask goes on beyond it
POSE_NOISE = 0.02  # metres
SIZE_NOISE = 0.10  # of an object's size
MAX_MISFIT = 3.0  # standard deviations, of the middle edge: the object moved, or the number jumped to another
MAX_RELATIVE_SIGMA = 0.35  # of the distance
MAX_STEPS = 40
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)


def place_by_parallax(views: Sequence[View]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return point, covariance, and the two corners of the box of an object, or None where its views fix no place.

    None also where they contradict each other, as those of what moved do. An edge of the mask at the edge of the
    picture says only that the object goes on: it does not pull the box there.

    :param views: of one object, from oldest to newest.
    """
    from scipy.optimize import least_squares

    start = _start(views) if len(views) > 1 else None
    if start is None:
        return None
    seen = _Outlines(views)
    fitted = least_squares(
        seen.misses, start, loss="soft_l1", x_scale=[0.3, 0.3, 0.3, 0.5, 0.5, 0.5], max_nfev=MAX_STEPS, method="trf"
    )
    point, half = fitted.x[:3], np.exp(fitted.x[3:])
    ways = point - seen.origins
    distances = np.linalg.norm(ways, axis=1)
    if not np.isfinite(fitted.x).all() or distances.min() < 0.05:
        return None
    ways /= distances[:, None]
    turned = float(np.arccos(np.clip(ways @ ways.T, -1, 1)).max())
    off = np.abs(seen.misses(fitted.x)[:-3].reshape(len(views), 4)[~seen.cut])
    if turned < MIN_PARALLAX or not len(off) or np.median(off) > MAX_MISFIT:
        return None
    independent = min(1.0, (1 + turned / ONE_VIEW) / len(views))
    weak = fitted.jac.copy()
    weak[:-3] *= np.sqrt(independent)
    covariance = np.linalg.inv(weak.T @ weak + 1e-9 * np.eye(6))[:3, :3] * max(1.0, float(np.mean(off**2)))
    covariance += np.diag(POSE_NOISE**2 + (SIZE_NOISE * 2 * half) ** 2)
    if np.linalg.eigvalsh(covariance)[-1] > (MAX_RELATIVE_SIGMA * float(distances.min())) ** 2:
        return None
    return point, covariance, point - half, point + half


class _Outlines:
    """What masks span in each view, to hold a box against."""

    def __init__(self, views: Sequence[View]) -> None:
        self.origins = np.array([view.origin for view in views])
        self._axes = np.array([view.axes for view in views])
        middle, half = np.array([view.middle for view in views]), np.array([view.half for view in views])
        #: nx4 bool; left, right, top, bottom.
        self.cut = np.array([view.cut for view in views])
        self._edges = np.column_stack([middle - half, middle + half])[:, [0, 2, 1, 3]]
        self._spread = EDGE + RELATIVE * np.repeat(half, 2, axis=1)

    def misses(self, box: np.ndarray) -> np.ndarray:
        """Return by how many standard deviations each edge is off, and how unusual the box's edges are: 4n + 3.

        :param box: middle, and the logarithms of half its edges.
        """
        half = np.exp(np.clip(box[3:], -5, 2))
        corners = box[:3] + _CORNERS * half
        seen = np.einsum("nij,nki->nkj", self._axes, corners[None] - self.origins[:, None])
        flat = seen[..., :2] / np.maximum(seen[..., 2:], 0.05)
        low, high = flat.min(axis=1), flat.max(axis=1)
        off = np.column_stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]]) - self._edges
        outward = off * (-1, 1, -1, 1)
        off = np.where(self.cut, np.minimum(outward + CUT_SLACK, 0), off)
        return np.concatenate([(off / self._spread).ravel(), (box[3:] - np.log(USUAL_HALF)) / np.log(DIFFERS)])


def _start(views: Sequence[View]) -> np.ndarray | None:
    """Return a box to begin with: where the rays to the middles of the masks meet, or None where they do not."""
    origins, axes = np.array([view.origin for view in views]), np.array([view.axes for view in views])
    plane, half = np.array([view.middle for view in views]), np.array([view.half for view in views])
    weights = 1 / (EDGE + np.where(np.array([any(view.cut) for view in views]), 1.0, RELATIVE) * half.max(axis=1)) ** 2
    normals = axes[:, :, :2] - axes[:, :, 2:] * plane[:, None]  # the point's offset along each of them is zero
    information = np.einsum("nik,njk,n->ij", normals, normals, weights)
    if np.linalg.cond(information) > 1e9:
        return None
    point = np.linalg.solve(information, np.einsum("nik,njk,n,nj->i", normals, normals, weights, origins))
    ahead = np.einsum("ni,ni->n", point - origins, axes[:, :, 2])
    if np.median(ahead) < 0.2:
        return None
    right, down = np.median(half * np.maximum(ahead, 0.2)[:, None], axis=0)
    return np.concatenate([point, np.log(np.clip([right, right, down], 0.03, 3.0))])

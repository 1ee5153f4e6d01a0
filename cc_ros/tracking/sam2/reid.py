"""Giving a returning object its old id, by SAM 2's object pointers and image features over the mask."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.predictor import Encoding, Prediction


def looks(encoding: Encoding, prediction: Prediction) -> np.ndarray:
    """Return what N masks look like: Nx2xD float32, unit vectors of the object pointer and of the image features.

    The features are those over the mask against those of the whole image: what all images share tells no two
    objects apart.
    """
    features = encoding.level(-1).float()
    share = F.interpolate((prediction.logits > 0).float(), size=features.shape[-2:], mode="area")
    weight = share.flatten(1)
    mean = weight @ features[0].flatten(1).T / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
    texture = mean - features.mean(dim=(2, 3))
    both = torch.stack([prediction.pointer.float(), texture], dim=1)
    return F.normalize(both, dim=2).cpu().numpy()


class Gallery:
    """Remembers how objects look, those in view and a bounded number of lost ones.

    How alike two looks of one object are, and those of two objects, depends on the weights and on the scene; both are
    seen in every frame, since objects in view at the same time are different ones. What is recovered must be nearer to
    the former than to the latter.

    :param max_lost: lost objects that are remembered; the one lost longest ago goes first.
    :param min_similarity: smallest likeness (mean cosine) at which a mask is a lost object, whatever the scene.
    """

    def __init__(self, max_lost: int, min_similarity: float) -> None:
        self._max_lost = max_lost
        self._min_similarity = min_similarity
        self._views: dict[int, np.ndarray] = {}  # Vx2xD by id
        self._lost: dict[int, None] = {}  # in the order they were lost
        self._same: float | None = None  # running mean likeness of two looks of one object
        self._different: float | None = None  # and of two objects

    @property
    def lost(self) -> tuple[int, ...]:
        """The lost objects that can still come back."""
        return tuple(self._lost)

    @property
    def threshold(self) -> float:
        """The likeness from which a new mask is taken for a lost object."""
        if self._same is None or self._different is None:
            return self._min_similarity
        return max(self._min_similarity, (self._same + self._different) / 2)

    def look(self, ids: Sequence[int], seen: np.ndarray) -> None:
        """Note how objects in view together look now: Nx2xD from ``looks``."""
        self._compare(ids, seen)
        for i, view in zip(ids, seen, strict=True):
            views = self._views.get(i)
            if views is None:
                self._views[i] = view[None]
            elif _likeness(views, view[None]).max() < const.NOVELTY:
                # The first view came with the object's first mask, the surest one: it always stays.
                rest = views[1:] if len(views) < const.VIEWS else views[2:]
                self._views[i] = np.concatenate([views[:1], rest, view[None]])

    def lose(self, ids: Collection[int]) -> None:
        """Count these objects as lost."""
        self._lost.update(dict.fromkeys(i for i in ids if i in self._views))
        for i in list(self._lost)[: max(len(self._lost) - self._max_lost, 0)]:
            del self._lost[i], self._views[i]

    def find(self, ids: Collection[int]) -> None:
        """Count these objects as lost no more."""
        for i in ids:
            self._lost.pop(i, None)

    def recover(self, seen: np.ndarray) -> list[int]:
        """Return for each of N new masks the id of the lost object it shows, or 0; those are lost no more.

        :param seen: Nx2xD from ``looks``.
        """
        found = [0] * len(seen)
        ids = list(self._lost)
        if not ids or not len(seen):
            return found
        likeness = np.stack([_likeness(self._views[i], seen).max(axis=0) for i in ids])
        for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[row, column] >= self.threshold:
                found[column] = ids[row]
                del self._lost[ids[row]]
        return found

    def _compare(self, ids: Sequence[int], seen: np.ndarray) -> None:
        known = [row for row, i in enumerate(ids) if i in self._views]
        if not known:
            return
        likeness = np.stack([_likeness(self._views[ids[row]], seen).max(axis=0) for row in known])
        own = np.zeros(likeness.shape, bool)
        own[np.arange(len(known)), known] = True
        self._same = _mean(self._same, likeness[own])
        self._different = _mean(self._different, likeness[~own])

    def clear(self) -> None:
        """Forget everything."""
        self._views.clear()
        self._lost.clear()
        self._same = self._different = None

    def state_bytes(self) -> int:
        """Return the bytes that the remembered looks hold."""
        return sum(v.nbytes for v in self._views.values())


def _likeness(views: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return VxN mean cosines of pointers and of features."""
    return np.asarray(np.einsum("vkd,nkd->vn", views, seen) / views.shape[1])


def _mean(before: float | None, values: np.ndarray) -> float | None:
    if not values.size:
        return before
    return float(values.mean()) if before is None else before + const.SIMILARITY_RATE * (float(values.mean()) - before)

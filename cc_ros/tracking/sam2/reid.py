"""Re-identify objects by SAM 2's object pointers and image features over the mask."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.predictor import Encoding, Prediction


def embed(encoding: Encoding, prediction: Prediction) -> np.ndarray:
    """Return embeddings of N masks: Nx2xD float32, unit vectors of the object pointer and of the image features.

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
    """Embeddings of objects: those in view, and a bounded number of lost ones.

    How similar two embeddings of one object are, and those of two objects, depends on the weights and on the scene;
    every frame shows both, since objects in view at the same time are different ones. A recovered object must be nearer
    to the former than to the latter.

    :param max_lost: lost objects that are remembered; the one lost longest ago goes first.
    :param min_similarity: smallest similarity (mean cosine) at which a mask is a lost object, whatever the scene.
    """

    def __init__(self, max_lost: int, min_similarity: float) -> None:
        self._max_lost = max_lost
        self._min_similarity = min_similarity
        self._views: dict[int, np.ndarray] = {}  # Vx2xD by id
        self._lost: dict[int, None] = {}  # in the order they were lost
        self._same: float | None = None  # running mean similarity of two embeddings of one object
        self._different: float | None = None  # and of two objects

    @property
    def lost(self) -> tuple[int, ...]:
        """The lost objects that can still come back."""
        return tuple(self._lost)

    @property
    def threshold(self) -> float:
        """The similarity from which a new mask is taken for a lost object."""
        if self._same is None or self._different is None:
            return self._min_similarity
        return max(self._min_similarity, (self._same + self._different) / 2)

    def add(self, ids: Sequence[int], embeddings: np.ndarray) -> None:
        """Add embeddings of objects that are in view together: Nx2xD from ``embed``."""
        self._compare(ids, embeddings)
        for i, view in zip(ids, embeddings, strict=True):
            views = self._views.get(i)
            if views is None:
                self._views[i] = view[None]
            elif _similarity(views, view[None]).max() < const.NOVELTY:
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

    def recover(self, embeddings: np.ndarray) -> list[int]:
        """Return for each of N new masks the id of the lost object it shows, or 0; those are lost no more.

        :param embeddings: Nx2xD from ``embed``.
        """
        found = [0] * len(embeddings)
        ids = list(self._lost)
        if not ids or not len(embeddings):
            return found
        similarity = np.stack([_similarity(self._views[i], embeddings).max(axis=0) for i in ids])
        for row, column in zip(*linear_sum_assignment(-similarity), strict=True):
            if similarity[row, column] >= self.threshold:
                found[column] = ids[row]
                del self._lost[ids[row]]
        return found

    def _compare(self, ids: Sequence[int], embeddings: np.ndarray) -> None:
        known = [row for row, i in enumerate(ids) if i in self._views]
        if not known:
            return
        similarity = np.stack([_similarity(self._views[ids[row]], embeddings).max(axis=0) for row in known])
        own = np.zeros(similarity.shape, bool)
        own[np.arange(len(known)), known] = True
        self._same = _mean(self._same, similarity[own])
        self._different = _mean(self._different, similarity[~own])

    def clear(self) -> None:
        """Forget everything."""
        self._views.clear()
        self._lost.clear()
        self._same = self._different = None

    def state_bytes(self) -> int:
        """Return the bytes that the embeddings hold."""
        return sum(v.nbytes for v in self._views.values())


def _similarity(views: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Return VxN mean cosines of pointers and of features."""
    return np.asarray(np.einsum("vkd,nkd->vn", views, embeddings) / views.shape[1])


def _mean(before: float | None, values: np.ndarray) -> float | None:
    if not values.size:
        return before
    return float(values.mean()) if before is None else before + const.SIMILARITY_RATE * (float(values.mean()) - before)

"""Which objects get a mark: the K most prominent ones of the kept frames (paper section 3, step 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np


def areas(labels: np.ndarray) -> dict[int, int]:
    """Return the pixels of each instance id in one map.

    :param labels: HxW uint16, 0 = none.
    """
    counts = np.bincount(labels.ravel())
    ids = np.flatnonzero(counts)
    return {int(i): int(counts[i]) for i in ids if i}


def top_k(frame_areas: Iterable[Mapping[int, int]], k: int) -> list[int]:
    """Return at most ``k`` ids, by Freq (kept frames that contain the id), then Area (its pixels over them).

    :param frame_areas: id -> pixels, for each kept frame; see :func:`areas`.
    :param k: how many objects to mark.
    """
    freq: Counter[int] = Counter()
    area: Counter[int] = Counter()
    for frame in frame_areas:
        freq.update(frame.keys())
        area.update(frame)
    return sorted(freq, key=lambda i: (-freq[i], -area[i], i))[:k]

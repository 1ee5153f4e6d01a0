"""Select the K most prominent objects of the kept frames (paper section 3, step 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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


def filled(frame_areas: Sequence[Mapping[int, int]], k: int, least: int) -> list[int]:
    """Return the ``k`` most prominent ids, and of each frame with fewer than ``least`` of them its own first ones.

    The paper's scenes are seen whole in each frame; on a walk through a house no object is in most of them, and the
    frames that show none of the K objects would stay without a mark. What one frame marks for itself the others mark
    as well: equal numbers are what the marks are for.

    :param frame_areas: id -> pixels, for each kept frame.
    """
    chosen = top_k(frame_areas, k)
    added: list[int] = []
    for areas in frame_areas:
        own = [i for i in top_k([areas], k) if i not in chosen]
        added += own[: max(least - sum(i in areas for i in chosen), 0)]
    return list(dict.fromkeys([*chosen, *added]))

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


def filled(ids: Sequence[int], own: Sequence[int], areas: Mapping[int, int], least: int) -> list[int]:
    """Return these ids, and the most prominent ones of a frame itself where it shows fewer than ``least`` of them.

    The paper's scenes are seen whole in each frame; on a walk through a house no object is in most of them, and the
    frames that show none of the K objects would stay without a mark.

    :param own: the ids that this frame would mark by itself.
    :param areas: id -> pixels, of this frame.
    """
    missing = max(least - sum(i in areas for i in ids), 0)
    return [*ids, *[i for i in own if i not in ids][:missing]]

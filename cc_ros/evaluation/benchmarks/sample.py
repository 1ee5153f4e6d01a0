"""The draw of a part of a benchmark."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def drawn(items: Sequence[T], limit: int, seed: int) -> Sequence[T]:
    """Return at most ``limit`` of the items, drawn over all of them and left in their order; 0 = all."""
    if not 0 < limit < len(items):
        return items
    return [items[number] for number in sorted(random.Random(seed).sample(range(len(items)), limit))]

"""Instance ids: few enough for a uint16 map, and never one for two objects at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from cc_ros.tracking.base import MAX_ID

REFUSED = "objects_refused_all_ids_in_use_lower_max_lost"  # under which ``health`` counts what got no id
FORGOTTEN = "lost_objects_forgotten_raise_max_lost"  # and those that could return no more


class IdPool:
    """Hands out ids from 1 on: those never given first, then those let go longest ago.

    So an id stays unused for as long as there are others, which is an hour or more of real footage. What names an
    object for a whole episode is its id together with the time it was given.

    >>> pool = IdPool(largest=2)
    >>> pool.take(), pool.take(), pool.take()
    (1, 2, 0)
    >>> pool.release(1); pool.take()
    1

    :param largest: the ids are 1 to this.
    """

    def __init__(self, largest: int = MAX_ID) -> None:
        self._largest = largest
        self._next = 1  # the lowest that was never given
        self._free: deque[int] = deque()  # given before, the one let go first in front
        self._held: set[int] = set()
        self.given = 0  # in all, each time anew
        self.refused = 0

    @property
    def left(self) -> int:
        """How many ids are not in use."""
        return self._largest - len(self._held)

    def take(self) -> int:
        """Return an id that nothing has, or 0 when all are in use, which is counted."""
        if self._next <= self._largest:
            taken = self._next
            self._next += 1
        elif self._free:
            taken = self._free.popleft()
        else:
            self.refused += 1
            return 0
        self._held.add(taken)
        self.given += 1
        return taken

    def keep(self, ids: Collection[int]) -> None:
        """Hold ids that somebody else chose; of a fresh pool, before anything is taken."""
        highest = max(ids, default=0)
        self._held = set(ids)
        self._free.extend(i for i in range(1, highest + 1) if i not in self._held)
        self._next = highest + 1
        self.given = len(self._held)

    def release(self, given: int) -> None:
        """Let an id go; nothing happens where it is not held."""
        if given in self._held:
            self._held.remove(given)
            self._free.append(given)

    def release_all_but(self, ids: Iterable[int]) -> int:
        """Let go of every id that is not among these; return how many."""
        gone = sorted(self._held.difference(ids))
        for i in gone:
            self.release(i)
        return len(gone)

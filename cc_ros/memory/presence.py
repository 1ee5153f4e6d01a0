"""Whether objects that are not tracked are still where they were: present, or absent from a place that is seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from cc_ros.memory.store import Known
from cc_ros.memory.views import Expected, Overlay, numbers_in

SMALLEST = 60  # pixels of a view that an object must fill to be judged
STILL_THERE, GONE = 0.5, 0.2  # share of its pixels that look as before: from here on it is there; up to here it is not
AROUND = 0.5  # share of all pixels that must look as before: the view is laid right, in the same light
COVERED = 0.3  # share of its place that another object may cover
SIGHTS, SPAN = 3, 2.0  # how often, and over how many seconds, an object must be missing


class Presence:
    """Collects where known objects are missed in the running episode."""

    def __init__(self) -> None:
        self.new_episode()

    def new_episode(self) -> None:
        """Forget what was missed."""
        self._missed: defaultdict[int, list[float]] = defaultdict(list)

    def judge(
        self, expected: Expected, shown: np.ndarray, there: Collection[int], known: Mapping[int, Known], stamp: float
    ) -> dict[int, str]:
        """Return what is known now of objects that this picture was expected to show: number -> state.

        :param shown: hxw int32, the numbers of the objects that are now in the picture; not 0 where any is.
        :param there: numbers of the objects that are tracked in it.
        :param stamp: seconds.
        """
        states: dict[int, str] = {}
        for number in there:
            self._missed.pop(number, None)
        laid_right = [one for one in expected.overlays if one.shown.any() and one.same[one.shown].mean() >= AROUND]
        for number in frozenset[int]().union(*(one.whole for one in laid_right)) - set(there):
            views = [one for one in laid_right if number in one.whole and (one.labels == number).sum() >= SMALLEST]
            if number not in known or not views:
                continue
            masks = [one.labels == number for one in views]
            same = [float(one.same[mask].mean()) for one, mask in zip(views, masks, strict=True)]
            if max(same) >= STILL_THERE:
                states[number] = "present"
                self._missed.pop(number, None)
            elif max(same) <= GONE and all(
                _covered(one, shown, mask) <= COVERED for one, mask in zip(views, masks, strict=True)
            ):
                missed = self._missed[number]
                missed.append(stamp)
                if len(missed) >= SIGHTS and stamp - missed[0] >= SPAN:
                    states[number] = "absent"
        return states


def _covered(one: Overlay, shown: np.ndarray, mask: np.ndarray) -> float:
    """Return the share of a mask that something may stand before now: not what stood behind it, and still does."""
    behind = [i for i in numbers_in(one.labels) if one.same[one.labels == i].mean() >= STILL_THERE]
    return float(((shown[mask] != 0) & ~np.isin(shown[mask], behind)).mean())

"""Places of tracks, fused in a thread of its own: callbacks do not wait for it."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cc_ros.errors import CCError
from cc_ros.geometry.places import PlaceMap
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.camera import View
from cc_ros.place import Place
from cc_ros.tracking.base import Tracked

WAITING = 8  # frames; of more, those that come are left out and counted


@dataclass(frozen=True, slots=True)
class _Job:
    places: PlaceMap
    stamp: float
    tracked: Tracked
    view: View


class Fusing:
    """Fuses the places of an episode's tracks.

    :param node: is told what cannot be used.
    :param number: what a track is called, as for :class:`PlaceMap`.
    """

    def __init__(self, node: BaseNode, number: Callable[[int, float], int]) -> None:
        self._node = node
        self._number = number
        self._places = PlaceMap(number)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="places", daemon=True)
        self._thread.start()

    def clear(self) -> None:
        """Forget everything: a new episode. Frames under way go into the old one."""
        self._places = PlaceMap(self._number)

    def add(self, stamp: float, tracked: Tracked, view: View) -> None:
        """Take the next tracked frame; see :meth:`PlaceMap.add`. Returns at once."""
        if view.intrinsics is None or view.pose is None:
            return
        try:
            self._jobs.put_nowait(_Job(self._places, stamp, tracked, view))
        except queue.Full:
            self._node.count("frames_without_places_machine_too_slow")

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        """Return the place of each track that has one, by its number.

        :param ids: only of these numbers; None = of all.
        """
        return self._places.places(ids)

    def close(self) -> None:
        """Stop, after the frame under way."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                break
        self._jobs.put(None)
        self._thread.join(10)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            view, tracked = job.view, job.tracked
            try:
                job.places.add(
                    *(job.stamp, tracked.labels, view.depth, view.intrinsics, view.pose),
                    *(tracked.first_seen, view.distortion, tracked.confidences),
                )
            except CCError as error:
                self._node.fault("bad_places", f"the places of a frame were not taken: {error}")
            except Exception as error:  # a defect met in one frame must not end the others
                self._node.fault("errors", f"places: {error!r}\n{traceback.format_exc()}")

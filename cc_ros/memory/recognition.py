"""Know objects of earlier episodes again: by place, by the view around them, by appearance; else they are new."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from cc_ros.memory.store import Known
from cc_ros.memory.types import TrackKey
from cc_ros.memory.views import Expected
from cc_ros.tracking.flow import constants as flow
from cc_ros.tracking.objects.descriptors import descriptors
from cc_ros.tracking.objects.network import ObjectNetwork

LOOKS = 6  # at a track, before it counts as a new object
NEEDED = 2.0  # votes for an object, more than for any other
OVERLAP, SURE_OVERLAP = 0.35, 0.6  # IoU of a mask with where an object was; the higher one is two votes
LOOKS_SAME = 0.3  # share of the common pixels that look as they did: a place alone proves nothing where a pose drifts
REACH, REACH_OF_RANGE = 0.4, 0.06  # metres from a known place, and as much more for each metre from the camera
RIVAL = 2.0  # times as far away must the next object be that is as much like it
ALIKE = 0.72  # least cosine of two descriptors where the poses' world may be another than last time
AGREEING = 2  # objects in one picture that must lie where they lay before such a world is believed
MAP = "map"  # the frame in which a robot is localised, by REP 105: it goes on over restarts


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame to recognise objects in.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW uint16, the tracker's ids.
    :param keys: id -> track.
    :param points: id -> place in ``world``, metres, where depth and pose give one.
    :param ranges: id -> metres from the camera.
    :param small: hxw int32, the ids at the size of ``expected``.
    """

    image: np.ndarray
    labels: np.ndarray
    keys: Mapping[int, TrackKey]
    points: Mapping[int, np.ndarray]
    ranges: Mapping[int, float]
    small: np.ndarray
    world: str


@dataclass(slots=True)
class _Track:
    looks: int = 0
    votes: Counter[int] = field(default_factory=Counter)


class Describer:
    """Describes objects by the features of the tracker's network, which is loaded when first needed."""

    def __init__(self) -> None:
        self._network: ObjectNetwork | None = None

    def __call__(self, image: np.ndarray, labels: np.ndarray, ids: Sequence[int]) -> dict[int, np.ndarray]:
        """Return the descriptors (c float32, unit vectors) of objects in a picture (HxWx3 uint8 BGR) by id."""
        if not ids:
            return {}
        if self._network is None:
            self._network = ObjectNetwork()
        masks = np.stack([labels == i for i in ids])
        return dict(zip(ids, descriptors(self._network(image).features, masks), strict=True))


class Recogniser:
    """Collects evidence, frame by frame, for which known object each new track is.

    :param known: the objects by number; changes with the memory.
    :param near: returns the numbers of the objects near a point of a world, within a reach in metres.
    """

    def __init__(
        self, known: Mapping[int, Known], near: Callable[[np.ndarray, float, str], list[int]], describe: Describer
    ) -> None:
        self._known = known
        self._near = near
        self._describe = describe
        self.new_episode()

    def new_episode(self) -> None:
        """Forget the tracks."""
        self._tracks: defaultdict[TrackKey, _Track] = defaultdict(_Track)
        self.elsewhere: set[int] = set()  # objects that were known again away from their places
        self.same_world = False  # whether places of earlier episodes were found again in a world that is no map

    def look(self, seen: Seen, expected: Expected, pending: Sequence[int], taken: Collection[int]) -> dict[int, int]:
        """Return the tracks that are decided now: id -> number of the known object, 0 = it is a new one.

        :param expected: what earlier views say of this picture.
        :param pending: ids of the tracks that are not decided.
        :param taken: numbers of the objects that other tracks of this picture are: nothing is in two places.
        """
        described = self._describe(seen.image, seen.labels, pending)
        claims = self._by_place(seen, pending, described, taken)
        for pair, votes in self._by_view(seen, expected, pending, described, taken).items():
            claims[pair] = max(claims.get(pair, 0.0), votes)
        looks_like = {
            pair: votes
            for pair, votes in self._by_appearance(pending, described, taken).items()
            if not any(i == pair[0] or number == pair[1] for i, number in claims)
        }
        claims |= looks_like
        decided: dict[int, int] = {}
        for i in pending:
            track = self._tracks[seen.keys[i]]
            track.looks += 1
            for (claimant, number), votes in claims.items():
                if claimant == i:
                    track.votes[number] += votes  # type: ignore[assignment]
            (best, most), (_, next_most) = (*track.votes.most_common(2), (0, 0), (0, 0))[:2]
            if most >= NEEDED and most >= 2 * next_most and best not in decided.values():
                decided[i] = best
                if (i, best) in looks_like:
                    self.elsewhere.add(best)
            elif track.looks >= LOOKS:
                decided[i] = 0
        for i in decided:
            del self._tracks[seen.keys[i]]
        return decided

    def _by_place(
        self, seen: Seen, pending: Sequence[int], described: Mapping[int, np.ndarray], taken: Collection[int]
    ) -> dict[tuple[int, int], float]:
        """Return votes for objects that were where the tracks are now."""
        found: dict[tuple[int, int], float] = {}
        trusted = seen.world == MAP or self.same_world
        least = flow.DIFFERENT_COSINE if trusted else ALIKE
        for i in pending:
            if i not in seen.points:
                continue
            point, reach = seen.points[i], REACH + REACH_OF_RANGE * seen.ranges[i]
            near = []
            for number in self._near(point, RIVAL * reach, seen.world):
                known = self._known.get(number)
                if known is None or known.place is None or known.descriptor is None or number in taken:
                    continue
                if described[i] @ known.descriptor >= least:
                    near.append((float(np.linalg.norm(known.place - point)), number))
            near.sort()
            if near and near[0][0] <= reach and (len(near) == 1 or near[1][0] > RIVAL * near[0][0]):
                found[i, near[0][1]] = 2.0 if trusted and near[0][0] < reach / 2 else 1.0
        found = _one_to_one(found)
        if not trusted:
            if len(found) < AGREEING:
                return {}
            self.same_world = True
        return found

    def _by_view(
        self,
        seen: Seen,
        expected: Expected,
        pending: Sequence[int],
        described: Mapping[int, np.ndarray],
        taken: Collection[int],
    ) -> dict[tuple[int, int], float]:
        """Return votes for objects whose masks in earlier views fall onto the tracks."""
        found: dict[tuple[int, int], float] = {}
        for i in pending:
            mask = (seen.small == i) & expected.seen
            there = expected.labels[mask]
            for number in np.unique(there[there > 0]).tolist():
                known = self._known.get(number)
                if known is None or number in taken:
                    continue
                other = expected.labels == number
                both = mask & other
                overlap = both.sum() / (mask | other).sum()
                cosine = 1.0 if known.descriptor is None else float(described[i] @ known.descriptor)
                alike = expected.same[both].mean() >= LOOKS_SAME or cosine >= flow.SAME_COSINE
                if overlap >= OVERLAP and cosine >= flow.DIFFERENT_COSINE and alike:
                    found[i, number] = 2.0 if overlap >= SURE_OVERLAP and cosine >= ALIKE else 1.0
        return _one_to_one(found)

    def _by_appearance(
        self, pending: Sequence[int], described: Mapping[int, np.ndarray], taken: Collection[int]
    ) -> dict[tuple[int, int], float]:
        """Return votes for objects that are gone from their places and look just like the tracks: they were moved.

        The rule of the tracker (``TrackTable.known_again``): the one that is most alike, by a lead over every other
        that is known, and only where its old place was seen without it.
        """
        known = [one for one in self._known.values() if one.descriptor is not None]
        if not known or not pending:
            return {}
        cosine = np.stack([described[i] for i in pending]) @ np.stack([one.descriptor for one in known]).T  # type: ignore[misc]
        found = {}
        for row, i in enumerate(pending):
            best = int(cosine[row].argmax())
            lead = cosine[row, best] - np.delete(cosine[row], best).max(initial=-1.0)
            one = known[best]
            clear = cosine[row, best] > flow.SAME_COSINE and lead > flow.SAME_COSINE_LEAD
            if clear and one.state == "absent" and one.number not in taken:
                found[i, one.number] = 1.0
        return _one_to_one(found)


def _one_to_one(votes: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Return the pairs of a track and an object that together have most votes, none of them twice."""
    from scipy.optimize import linear_sum_assignment  # not for all who read a memory: it loads for 0.2 s

    tracks, numbers = (sorted({pair[side] for pair in votes}) for side in (0, 1))
    table = np.zeros((len(tracks), len(numbers)))
    for (i, number), count in votes.items():
        table[tracks.index(i), numbers.index(number)] = count
    chosen = zip(*linear_sum_assignment(-table), strict=True)
    return {(tracks[r], numbers[c]): float(table[r, c]) for r, c in chosen if table[r, c]}


def small_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a map (HxW uint16) at another size, hxw int32."""
    return cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)

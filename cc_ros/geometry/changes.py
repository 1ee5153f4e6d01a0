"""What changed, in an episode or by the memory: marks that came, that are gone, that moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cc_ros.geometry.scene import SceneMap
from cc_ros.keyframes.types import MarkedKeyframe, RememberedObject

MOVED = 0.3  # metres: less may be another part of the object that was seen
SURE = 3.0  # standard deviations
EDGE = 0.1  # of the picture's width and height, in which an object may be cut off


@dataclass(frozen=True, slots=True)
class Moved:
    """A mark that is at another place than before.

    :param mark: its id.
    :param before: (x, y, z) in metres, world of the poses; None = not known.
    :param now: likewise.
    """

    mark: int
    before: tuple[float, float, float] | None
    now: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What the later keyframes show differently from the earlier ones.

    :param new: marks that no earlier keyframe shows.
    :param absent: marks that later keyframes do not show although they look at their place; something may hide them.
    :param unseen: marks that no later keyframe shows, and of whose place it is not known that one looks there.
    :param moved: marks that were seen at two places.
    :param since: the time that they are later than, seconds since 1970.
    :param remembered: whether the memory was asked, so that "earlier" reaches back over restarts.
    """

    new: tuple[int, ...]
    absent: tuple[int, ...]
    unseen: tuple[int, ...]
    moved: tuple[Moved, ...]
    since: float = 0.0
    remembered: bool = False


def changes(keyframes: Sequence[MarkedKeyframe], cutoff: float) -> Changes:
    """Compare the keyframes from ``cutoff`` on with those before it.

    :param keyframes: of one episode, in any order.
    :param cutoff: seconds, as the keyframes' stamps.
    :raises GeometryError: a keyframe's intrinsics are unusable.
    """
    before = SceneMap.from_keyframes(frame for frame in keyframes if frame.stamp < cutoff)
    after = SceneMap.from_keyframes(frame for frame in keyframes if frame.stamp >= cutoff)
    gone = [mark for mark in before.ids if mark not in after.places]
    absent = tuple(mark for mark in gone if _looked_at(before, mark, after.keyframes))
    return Changes(
        new=tuple(mark for mark in after.ids if mark not in before.places),
        absent=absent,
        unseen=tuple(mark for mark in gone if mark not in absent),
        moved=tuple(filter(None, (_moved(before, after, mark) for mark in before.ids if mark in after.places))),
        since=cutoff,
    )


def remembered_changes(objects: Sequence[RememberedObject], since: float) -> Changes:
    """Return what changed by what a memory knows of its objects.

    :param since: seconds since 1970.
    """
    new = [one.id for one in objects if one.first_seen >= since]
    before = [one for one in objects if one.first_seen < since]
    return Changes(
        new=tuple(new),
        absent=tuple(one.id for one in before if one.state == "absent" and one.changed >= since),
        unseen=tuple(one.id for one in before if one.state in ("unseen", "present") and one.last_seen < since),
        moved=tuple(Moved(one.id, None, one.place) for one in before if one.state == "moved" and one.changed >= since),
        since=since,
        remembered=True,
    )


def _moved(before: SceneMap, after: SceneMap, mark: int) -> Moved | None:
    then, now = before.places[mark].point, after.places[mark].point
    if then is None or now is None:
        return None
    distance = float(np.linalg.norm(now.xyz - then.xyz))
    if distance < max(MOVED, SURE * float(np.hypot(then.sigma, now.sigma))):
        return None
    return Moved(mark, _tuple(then.xyz), _tuple(now.xyz))


def _tuple(xyz: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in xyz)
    return x, y, z


def _looked_at(before: SceneMap, mark: int, later: Sequence[MarkedKeyframe]) -> bool:
    """Return whether the place of a mark lies well inside a later picture."""
    point = before.places[mark].point
    if point is None:
        return False
    for frame in later:
        if frame.pose is None or frame.intrinsics is None:
            continue
        x, y, z = frame.pose[:3, :3].T @ (point.xyz - frame.pose[:3, 3])
        if z <= 0:
            continue
        u, v, _ = frame.intrinsics @ (x / z, y / z, 1.0)
        if EDGE <= u / frame.width <= 1 - EDGE and EDGE <= v / frame.height <= 1 - EDGE:
            return True
    return False

"""Where marked objects are, measured from keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cc_ros.geometry import SceneMap
from cc_ros.geometry.outcome import Measured
from cc_ros.geometry.relations import direction, distance_from_robot
from cc_ros.keyframes.types import MarkedKeyframe


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mark is, as far as that was measured.

    :param mark: its id.
    :param point: (x, y, z) in ``frame``, metres; None where unknown.
    :param frame: of ``point``: that of the odometry; "" without odometry.
    :param distance: metres from the camera's newest place; None where unknown.
    :param direction: radians to the left of where the camera looks now, negative to the right; None where unknown.
    :param missing: for people: why something is unknown; "" where nothing is.
    :param sigma: standard deviation of ``point`` along its least certain direction, metres; None where unknown.
    """

    mark: int
    point: tuple[float, float, float] | None
    frame: str
    distance: float | None
    direction: float | None
    missing: str
    sigma: float | None = None


def places_in(keyframes: Sequence[MarkedKeyframe]) -> list[Place]:
    """Return where the marks of keyframes are, by mark.

    :raises GeometryError: a keyframe's intrinsics are unusable.
    """
    scene = SceneMap.from_keyframes(keyframes)
    frame = next((keyframe.world_frame for keyframe in keyframes if keyframe.pose is not None), "")
    return [_place(scene, mark, frame) for mark in scene.ids]


def _place(scene: SceneMap, mark: int, frame: str) -> Place:
    point, gap, side = scene.places[mark].point, distance_from_robot(scene, mark), direction(scene, mark)
    unknown = [found.reason for found in (gap, side) if not isinstance(found, Measured)]
    if point is None and isinstance(gap, Measured):
        unknown.append(f"the place of mark {mark} is not known ({scene.no_place(mark).reason})")
    return Place(
        mark=mark,
        point=None if point is None else (float(point.xyz[0]), float(point.xyz[1]), float(point.xyz[2])),
        frame=frame,
        distance=gap.value if isinstance(gap, Measured) else None,
        direction=side.value if isinstance(side, Measured) else None,
        missing="; ".join(unknown),
        sigma=None if point is None else point.sigma,
    )

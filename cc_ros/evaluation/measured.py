"""What is measured between the marks, in words and as a map seen from above."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from cc_ros.encodings import MARKED_QUALITY, encode_jpeg
from cc_ros.geometry import GeometryError, SceneMap
from cc_ros.geometry.pan import pan_order
from cc_ros.keyframes import MarkedKeyframe
from cc_ros.keyframes.drawing import MarkSettings, draw_marks
from cc_ros.keyframes.types import Mark

SIDE = 640  # of the map, pixels
ROOM = 0.85  # share of the map that is used


def facts(keyframes: Sequence[MarkedKeyframe]) -> str:
    """Return where each mark is, a line each; "" where nothing is measured.

    Directions are from the camera's axis in the last picture where poses are known, else from that in the first.
    """
    try:
        places = _places(SceneMap.from_keyframes(keyframes))
    except GeometryError:
        return ""
    lines = []
    for id, (angle, distance) in sorted(places.items()):
        turn = f"{abs(math.degrees(angle)):.0f} degrees to the {'left' if angle > 0 else 'right'}"
        lines.append(f"mark {id}: {turn}" + (f", {distance:.1f} m away" if distance is not None else ""))
    return "\n".join(lines)


def birds_eye(keyframes: Sequence[MarkedKeyframe], look: MarkSettings) -> MarkedKeyframe | None:
    """Return a map seen from above as one more picture, or None where nothing is measured.

    The camera is below the middle and looks up the map. A mark whose distance is not known lies on a circle.
    """
    try:
        places = _places(SceneMap.from_keyframes(keyframes))
    except GeometryError:
        return None
    if not places:
        return None
    image = np.full((SIDE, SIDE, 3), 245, np.uint8)
    far = max((distance for _, distance in places.values() if distance is not None), default=1.0)
    here = np.array([SIDE / 2, SIDE / 2])
    marks = []
    for id, (angle, distance) in sorted(places.items()):
        share = ROOM / 2 * (1.0 if distance is None else distance / far)
        x, y = here + SIDE * share * np.array([-math.sin(angle), -math.cos(angle)])
        marks.append(Mark(id, float(x), float(y), 0))
    centre = (round(here[0]), round(here[1]))
    cv2.circle(image, centre, round(SIDE * ROOM / 2), (215, 215, 215), 1, cv2.LINE_AA)
    cv2.arrowedLine(image, centre, (centre[0], centre[1] - 60), (60, 60, 60), 3, cv2.LINE_AA, tipLength=0.3)
    cv2.circle(image, centre, 9, (60, 60, 60), cv2.FILLED, cv2.LINE_AA)
    draw_marks(image, marks, None, look)
    first = keyframes[0]
    return MarkedKeyframe(-1, first.stamp - 1.0, encode_jpeg(image, MARKED_QUALITY), SIDE, SIDE, ())


def _places(scene: SceneMap) -> dict[int, tuple[float, float | None]]:
    """Return each mark's angle (radians, left positive) and distance over ground (m, None = not known)."""
    here = scene.here
    if here is None:
        return {id: (azimuth.angle, None) for id, azimuth in pan_order(scene).items()}
    ahead = math.atan2(here[1, 2], here[0, 2])
    found: dict[int, tuple[float, float | None]] = {}
    for id in scene.ids:
        azimuth, point = scene.azimuth(id, here[:3, 3]), scene.places[id].point
        if azimuth is not None:
            away = None if point is None else float(np.linalg.norm(point.xyz[:2] - here[:2, 3]))
            found[id] = (math.remainder(azimuth.angle - ahead, math.tau), away)
    return found

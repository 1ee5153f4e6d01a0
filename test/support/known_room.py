"""A room in which it is known where everything is, for questions about marks."""

from __future__ import annotations

from cc_ros.geometry import SceneMap
from support.marked_scene import looking, see

AHEAD = {
    1: (2.0, 1.5, 1.0),  # 2.5 m away, 37 degrees to the left
    2: (4.0, 0.0, 1.0),  # straight ahead
    3: (0.9, -1.2, 1.0),  # 1.5 m away, 53 degrees to the right
    4: (4.0, 4.0, 2.0),  # behind 1, and high up
    5: (6.0, 0.5, 0.4),  # behind 2, and low
    6: (2.6, -0.55, 1.0),  # between 2 and 3
}
ROOM = AHEAD | {7: (-3.0, 0.4, 1.0)}  # behind the camera, which ends at (0, 0, 1) and looks along x


def scene(objects: dict[int, tuple[float, float, float]] = ROOM, **known: bool) -> SceneMap:
    """What a robot knows that has looked all around."""
    around = [looking(0.0, 0.5 if i % 2 else -0.5, heading) for i, heading in enumerate(range(0, 360, 40))]
    return SceneMap.from_keyframes(see([*around, looking(0, 0, 0)], objects, **{"depth": True, **known}))

"""What changed between earlier and later keyframes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.marked_scene import looking, see

from cc_ros.geometry.changes import Moved, changes, remembered_changes
from cc_ros.keyframes import RememberedObject

THEN = {1: (3.0, 0.5, 0.8), 2: (3.0, -0.5, 0.8), 3: (0.0, 3.0, 1.0)}
AHEAD, LEFT = looking(0, 0, 0), looking(0, 0, 90)


def two_looks(now: dict[int, tuple[float, float, float]], **known: bool) -> list:
    """Everything is looked at before 10 s, and only what lies ahead after it."""
    earlier = see([AHEAD, LEFT], THEN, depth=True, **known)
    later = see([AHEAD, AHEAD], now, depth=True, **known)
    return [*earlier, *(replace(frame, stamp=10 + frame.stamp, index=10 + frame.index) for frame in later)]


def test_what_came_what_is_gone_and_what_moved_is_told() -> None:
    found = changes(two_looks({2: (3.0, -1.2, 0.8), 4: (2.0, 0.0, 1.0)}), 10)
    assert (found.new, found.absent, found.unseen) == ((4,), (1,), (3,))
    (moved,) = found.moved
    assert moved.mark == 2
    assert moved.before == pytest.approx((3.0, -0.5, 0.8)) and moved.now == pytest.approx((3.0, -1.2, 0.8))


def test_what_stays_has_not_changed() -> None:
    found = changes(two_looks({mark: THEN[mark] for mark in (1, 2)}), 10)
    assert (found.new, found.absent, found.moved) == ((), (), ())


def test_without_poses_nothing_is_said_to_be_absent_or_moved() -> None:
    found = changes(two_looks({2: (3.0, -1.2, 0.8)}, pose=False), 10)
    assert (found.absent, found.unseen, found.moved) == ((), (1, 3), ())


def test_before_the_first_keyframe_there_is_nothing_to_compare_with() -> None:
    found = changes(two_looks(THEN), 0)
    assert found.new == (1, 2, 3) and found.absent == found.unseen == ()


def test_what_a_memory_knows_is_compared_with_the_time_before() -> None:
    known = [
        RememberedObject(1, "present", 100.0, 500.0, 100.0),
        RememberedObject(2, "absent", 100.0, 200.0, 450.0),
        RememberedObject(3, "absent", 100.0, 200.0, 300.0),  # gone before
        RememberedObject(4, "moved", 100.0, 500.0, 450.0, (1.0, 2.0, 0.5), "map"),
        RememberedObject(5, "present", 420.0, 500.0, 420.0),
        RememberedObject(6, "unseen", 100.0, 200.0, 100.0),
    ]
    found = remembered_changes(known, 400.0)
    assert (found.new, found.absent, found.unseen) == ((5,), (2,), (6,))
    assert found.moved == (Moved(4, None, (1.0, 2.0, 0.5)),)
    assert found.remembered and found.since == 400.0

"""cc_keyframes with a memory: after a restart objects have their numbers, and what was seen before can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from cc_ros.msg import Answered, TrackedMasks
from cc_ros.srv import GetKeyframes
from sensor_msgs.msg import Image
from support.rig import Onlooker, until
from support.single_node import SECOND, T0, Start, alone, masks_of, send, small

from cc_ros.memory import MemoryReader
from cc_ros.nodes.keyframes import KeyframesNode

LATER = T0 + 86400 * SECOND


@pytest.fixture
def start() -> Iterator[Start]:
    with alone() as begin:
        yield begin


def watch(node: Any, look: Onlooker, begin: int, object_id: int, frames: int = 4) -> None:
    """Show a still scene whose object the tracker calls ``object_id``."""
    images = look.publisher(Image, "image", reliable=True)
    masks = look.node.create_publisher(TrackedMasks, "cc/masks", 5)
    for index in range(frames):
        picture = small(0, begin + index * SECOND)
        send(images, picture, lambda stamp=begin + index * SECOND: stamp in node._images)
        message = masks_of(picture, index, episode=begin)
        for track in message.tracks:
            track.id = object_id
        labels = message.labels.data
        for at in range(0, len(labels), 2):
            if labels[at]:
                labels[at] = object_id
        seen = index + 1
        send(masks, message, lambda seen=seen: node._keyframes.store.frames_seen == seen)
        assert node._memory.flush()


def get(look: Onlooker, **request: Any) -> Any:
    return look.call(GetKeyframes, "cc/get_keyframes", GetKeyframes.Request(**request))


def test_numbers_and_pictures_are_there_again_after_a_restart(start: Start, tmp_path: Path) -> None:
    given = ("-p", f"memory_dir:={tmp_path}")
    node, look = start(KeyframesNode, *given)
    watch(node, look, T0, object_id=3)
    node.destroy_node()

    node, look = start(KeyframesNode, *given)
    early = get(look, since=T0 / SECOND, until=T0 / SECOND + 2.5)  # before any picture of this episode
    assert [k.header.stamp.sec for k in early.keyframes.keyframes] == [T0 // SECOND + i for i in range(3)]
    assert [(one.id, one.state) for one in early.keyframes.objects] == [(3, "present")]
    watch(node, look, LATER, object_id=1, frames=6)
    now = get(look)
    assert {mark.id for keyframe in now.keyframes.keyframes for mark in keyframe.marks} == {3}
    assert not now.keyframes.objects
    assert [k.header.stamp.sec for k in get(look, episode=1).keyframes.keyframes] == [
        T0 // SECOND + i for i in range(4)
    ]
    none = get(look, since=T0 / SECOND + 1000, until=T0 / SECOND + 2000)
    assert not none.success and "the memory holds" in none.message
    assert node.health()[1]["memory_keyframes"] == 6


def test_what_was_asked_is_kept(start: Start, tmp_path: Path) -> None:
    _, look = start(KeyframesNode, "-p", f"memory_dir:={tmp_path}")
    answered = Answered(question="What is 3?", answer="a box", source="model", mark_ids=[3], confidence=0.5)
    answered.header.stamp.sec = T0 // SECOND
    answered.keyframes = [answered.header.stamp]
    with MemoryReader(tmp_path) as reader:
        send(look.publisher(Answered, "cc/answers", reliable=True), answered, reader.questions)
        (kept,) = reader.questions("box")
    assert (kept.question, kept.stamp, kept.marks, kept.keyframes) == ("What is 3?", T0 / SECOND, (3,), (T0 / SECOND,))


def test_without_a_memory_the_running_episode_is_asked(start: Start) -> None:
    _, look = start(KeyframesNode)
    found = get(look, since=1.0)
    assert not found.success and "memory_dir" in found.message


def test_a_memory_that_cannot_be_used_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_bytes(b"damaged" * 100)
    node, _ = start(KeyframesNode, "-p", f"memory_dir:={tmp_path}", activate=False)
    assert not node.autostart()
    until(lambda: not node.active)

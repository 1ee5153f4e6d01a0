"""cc_keyframes with a memory: after a restart objects have their numbers, and what was seen before can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import numpy as np
from cc_ros.msg import Answered, TrackedMasks
from cc_ros.srv import GetKeyframes
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image
from support.rig import Onlooker, image_of, until
from support.room import HEIGHT, INTRINSICS, WIDTH, Box, draw, looking
from support.single_node import SECOND, T0, Start, alone, masks_of, matched, odometry, send, small
from visualization_msgs.msg import Marker, MarkerArray

from cc_ros.client.places import places_in
from cc_ros.memory import MemoryReader
from cc_ros.nodes.convert.keyframes import to_keyframes
from cc_ros.nodes.keyframes import KeyframesNode
from cc_ros.reasoning import Question, Reasoner, ReasonerSettings

LATER = T0 + 86400 * SECOND
BOXES = [Box((2.0, -0.9, 0.9), (2.4, -0.4, 1.5), (40, 40, 200)), Box((2.4, 0.3, 0.8), (2.8, 0.9, 1.4), (60, 170, 60))]


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


def drive(node: Any, look: Onlooker, begin: int, ids: tuple[int, int], frames: int = 5) -> None:
    """Drive sideways past two boxes of a mapped room, which the tracker calls by these ids."""
    topics = (
        (CameraInfo, "camera_info"),
        (Image, "image"),
        (Image, "depth"),
        (Odometry, "odom"),
        (TrackedMasks, "cc/masks"),
    )
    info, image, depth, odom, masks = (matched(look.publisher(*topic, reliable=True)) for topic in topics)
    info.publish(CameraInfo(width=WIDTH, height=HEIGHT, k=INTRINSICS.ravel()))
    until(lambda: node._camera._info is not None)
    for index in range(frames):
        stamp, y = begin + index * SECOND, 0.1 * index - 0.2
        frame, which = draw(BOXES, looking((0.0, y, 1.2), 0.0, 0.0))
        picture = image_of(frame.image, stamp)
        odom.publish(odometry(stamp, 0.0, y, "map"))
        depth.publish(image_of((1000 * frame.depth).astype(np.uint16), stamp, encoding="16UC1"))
        image.publish(picture)
        until(lambda: stamp in node._images and node._camera._depths.reaches(stamp))  # noqa: B023
        until(lambda: node._camera.world_frame == "map")
        message = masks_of(picture, index, begin, np.array([0, *ids], np.uint16)[which])
        masks.publish(message)
        until(lambda: node._keyframes.store.frames_seen == index + 1)  # noqa: B023
        assert node._memory.flush()
    until(lambda: sum(place.views == frames for place in node._places.places().values()) == 2)


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


def test_over_a_restart_places_markers_answers_and_memory_go_by_the_numbers_in_marks(
    start: Start, tmp_path: Path
) -> None:
    given = ("-p", f"memory_dir:={tmp_path}", "-p", "camera.camera_z:=1.2")
    middle = {3: (2.2, -0.65, 1.2), 5: (2.6, 0.6, 1.1)}
    for begin, ids in ((T0, (3, 5)), (LATER, (5, 3))):  # the tracker gives each the other's id
        node, look = start(KeyframesNode, *given)
        drive(node, look, begin, ids)
        response = get(look)
        seen = to_keyframes(response.keyframes)
        assert seen.remembered_since == T0 / SECOND
        shown = look.listen(MarkerArray, "cc/markers")
        until(lambda: shown, 15, "no markers although somebody subscribes")  # noqa: B023
        boxes = {m.id: m.pose.position for m in shown[-1].markers if m.action == Marker.ADD and m.ns == "boxes"}
        with Reasoner(ReasonerSettings(), environ={}) as reasoner:
            answers = {mark: reasoner.ask(Question(f"Where is {mark}?"), seen.keyframes) for mark in middle}
        known = {one.id: one.place for one in to_keyframes(get(look, since=1.0).keyframes).objects}
        places = {place.mark: place.point for place in places_in(seen.keyframes)}
        assert set(places) == set(boxes) == set(known) == set(middle), "numbers that last, and no others"
        for mark, point in middle.items():
            (answer,) = answers[mark].places
            drawn = boxes[mark].x, boxes[mark].y, boxes[mark].z
            for told in (places[mark], answer.point, drawn, known[mark]):
                assert told == pytest.approx(point, abs=0.35), (begin, mark)
        node.destroy_node()


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

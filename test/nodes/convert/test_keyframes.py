"""Keyframes, their marks and looks, and requests for them, as messages and back, field by field."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from cc_ros.msg import Keyframe, MarkStyle
from cc_ros.msg import Mark as MarkMsg
from cc_ros.msg import MarkedKeyframes as MarkedKeyframesMsg
from cc_ros.msg import Place as PlaceMsg
from cc_ros.srv import GetKeyframes
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header
from support.any_values import any_of, poses

from cc_ros.errors import SettingsError
from cc_ros.frame import Distortion
from cc_ros.keyframes import KeyframeRequest, KeyframeSet, Mark, MarkedKeyframe, MarkSettings
from cc_ros.nodes.convert.keyframes import (
    get_request,
    keyframe_message,
    keyframes_message,
    style_message,
    to_keyframe,
    to_keyframes,
    to_look,
    to_request,
)
from cc_ros.nodes.convert.places import place_message, to_place
from cc_ros.nodes.convert.stamps import to_time
from cc_ros.place import Place

COLOURS = st.sampled_from(["red", "#12ab00", "by_id"])
LOOKS = any_of(MarkSettings, diameter=st.integers(1, 1000), fill=COLOURS, text=COLOURS)
INTRINSICS = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
CORNER = st.tuples(*[st.floats(-1e3, 1e3)] * 3).map(np.array)
SPREAD = st.tuples(*[st.floats(0.01, 9.0)] * 3).map(lambda axes: np.diag(axes) + 0.001)
PLACES = any_of(Place, point=CORNER, covariance=SPREAD, low=CORNER, high=CORNER)
LENSES = any_of(Distortion, model=st.sampled_from(["plumb_bob", "equidistant"]))
KEYFRAMES = any_of(
    MarkedKeyframe,
    marks=st.lists(any_of(Mark, place=st.none() | PLACES), max_size=3).map(tuple),
    distortion=st.none() | LENSES,
    stamp=st.integers(0, 10**6).map(lambda ms: ms * 1e-3),
    intrinsics=st.sampled_from([None, INTRINSICS]),
    pose=st.none() | poses(),
)


def names(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def message_names(cls: Any) -> set[str]:
    return set(cls.get_fields_and_field_types())


def same(came: MarkedKeyframe, sent: MarkedKeyframe) -> None:
    for name in names(MarkedKeyframe):
        a, b = getattr(came, name), getattr(sent, name)
        if name == "world_frame":
            assert a == (b if sent.pose is not None else "")  # a world is told with a pose
        elif name == "marks":
            assert [dataclasses.replace(mark, place=None) for mark in a] == [
                dataclasses.replace(mark, place=None) for mark in b
            ]
            for one, other in zip(a, b, strict=True):
                same_place(one.place, other.place)
        elif isinstance(b, np.ndarray):
            assert a == pytest.approx(b, abs=1e-6), name
        else:
            assert a == (pytest.approx(b, abs=1e-6) if name == "stamp" else b), name


def same_place(came: Place | None, sent: Place | None) -> None:
    if sent is None:
        assert came is None
        return
    for name in names(Place):
        assert np.array_equal(getattr(came, name), getattr(sent, name)), name


def test_a_place_that_is_none_is_not_taken() -> None:
    good = Place(np.zeros(3), np.eye(3), np.zeros(3), np.ones(3), True, 3)
    assert to_place(place_message(good)) is not None
    bad = [
        dataclasses.replace(good, covariance=-np.eye(3)),
        dataclasses.replace(good, covariance=np.zeros((3, 3))),
        dataclasses.replace(good, point=np.array([0, np.nan, 0])),
        dataclasses.replace(good, high=np.array([0, np.inf, 0])),
    ]
    assert [to_place(place_message(one)) for one in bad] == [None] * 4


def test_each_message_has_the_fields_of_its_dataclass() -> None:
    assert message_names(MarkMsg) == names(Mark) | {"has_place"}
    assert message_names(PlaceMsg) == names(Place)
    named_otherwise = {"stamp": "header", "jpeg": "image", "intrinsics": "k", "distortion": "distortion_model"}
    assert message_names(Keyframe) == {named_otherwise.get(n, n) for n in names(MarkedKeyframe)} | {"has_pose", "d"}
    assert message_names(MarkStyle) == names(MarkSettings) | {"kind"}
    assert message_names(GetKeyframes.Request) == names(KeyframeRequest) | {"blur_marks"}
    beside = {"header", "episode", "frames_seen"}
    assert (
        message_names(MarkedKeyframesMsg)
        == {{"look": "style"}.get(n, n) for n in names(KeyframeSet)} - {"grounds"} | beside
    )
    assert message_names(GetKeyframes.Response) == {"success", "message", "keyframes", "grounds"}


@given(KEYFRAMES)
def test_every_field_of_a_keyframe_and_its_marks_comes_back(keyframe: MarkedKeyframe) -> None:
    header = Header(frame_id="camera", stamp=to_time(round(keyframe.stamp * 1e9)))
    same(to_keyframe(keyframe_message(keyframe, header)), keyframe)


@given(st.lists(KEYFRAMES, max_size=3), LOOKS, st.lists(st.sampled_from("ab"), max_size=2), st.integers(0, 10**15))
def test_every_field_of_a_set_of_keyframes_comes_back(
    keyframes: list[MarkedKeyframe], look: MarkSettings, remarks: list[str], begin: int
) -> None:
    header = Header(frame_id="camera", stamp=to_time(begin))
    message = keyframes_message(
        KeyframeSet(tuple(keyframes), look, tuple(remarks)), "raw", header, begin, episode=9, frames_seen=70
    )
    assert (message.header, message.episode, message.frames_seen) == (header, 9, 70)
    assert {keyframe.header.frame_id for keyframe in message.keyframes} <= {"camera"}
    back = to_keyframes(message)
    assert (back.look, back.remarks, message.style.kind) == (look, tuple(remarks), "raw")
    for came, sent in zip(back.keyframes, keyframes, strict=True):
        same(came, dataclasses.replace(sent, stamp=sent.stamp + begin * 1e-9))


@given(LOOKS, LOOKS)
def test_every_field_of_a_look_comes_back_and_what_is_left_open_is_as_set_up(
    look: MarkSettings, own: MarkSettings
) -> None:
    assert to_look(style_message("marks", look), own) == look
    assert to_look(MarkStyle(), own) == own


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(MarkSettings) if isinstance(f.default, bool)])
def test_a_switch_is_on_off_or_left_open(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be 0"):
        to_look(MarkStyle(**{name: 3}), MarkSettings())


@given(any_of(KeyframeRequest), st.lists(st.integers(1, 65535), max_size=3))
def test_every_field_of_a_request_comes_back(request: KeyframeRequest, blur: list[int]) -> None:
    message = get_request(request, blur)
    assert to_request(message) == request
    assert list(message.blur_marks) == blur

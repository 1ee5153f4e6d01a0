"""Messages to arrays and back: every encoding, damaged data, stamps to the nanosecond."""

from __future__ import annotations

import array

import pytest

pytest.importorskip("rclpy")

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.rig import image_of, scene

from cc_ros.encodings import IMAGE_ENCODINGS
from cc_ros.errors import ImageError
from cc_ros.keyframes import Mark, MarkedKeyframe
from cc_ros.nodes.convert import (
    MessagePicture,
    enlarged,
    image_message,
    keyframe_message,
    nanoseconds,
    picture_size,
    to_bgr,
    to_depth,
    to_keyframe,
    to_labels,
    to_small_bgr,
    to_time,
    track_message,
)
from cc_ros.stamps import Order, StampOrder
from cc_ros.tracking import Track, Tracked, TrackStatus

SIZE = (64, 48)
COLOUR = (40, 160, 220)
TO = {
    "bgr8": None,
    "8UC3": None,
    "rgb8": cv2.COLOR_BGR2RGB,
    "bgra8": cv2.COLOR_BGR2BGRA,
    "8UC4": cv2.COLOR_BGR2BGRA,
    "rgba8": cv2.COLOR_BGR2RGBA,
    "mono8": cv2.COLOR_BGR2GRAY,
    "8UC1": cv2.COLOR_BGR2GRAY,
}
WIDER = {"bgr16": "bgr8", "rgb16": "rgb8", "mono16": "mono8", "16UC1": "mono8"}


def flat(colour: tuple[int, int, int] = COLOUR) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)


def encoded(encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of a plain picture in an encoding, and the picture that must come back."""
    base = WIDER.get(encoding, encoding)
    if base in TO:
        code = TO[base]
        pixels = flat() if code is None else cv2.cvtColor(flat(), code)
        expected = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else flat()
        return (pixels.astype(np.uint16) * 257 if encoding in WIDER else pixels), expected
    if encoding.startswith("bayer"):
        pattern = encoding.removeprefix("bayer_")[:4]
        mosaic = np.empty(SIZE[::-1], np.uint8)
        for i, letter in enumerate(pattern):
            mosaic[i // 2 :: 2, i % 2 :: 2] = COLOUR["bgr".index(letter)]
        return (mosaic.astype(np.uint16) * 257 if encoding.endswith("16") else mosaic), flat()
    y, u, v = (int(value) for value in cv2.cvtColor(flat(), cv2.COLOR_BGR2YUV_I420).ravel()[[0, SIZE[0] * SIZE[1], -1]])
    if encoding in ("nv12", "nv21"):
        chroma = (u, v) if encoding == "nv12" else (v, u)
        planes = np.full((SIZE[1] * 3 // 2, SIZE[0]), y, np.uint8)
        planes[SIZE[1] :, 0::2], planes[SIZE[1] :, 1::2] = chroma
        return planes, flat()
    order = (u, y, v, y) if encoding in ("uyvy", "yuv422") else (y, u, y, v)
    return np.tile(np.array(order, np.uint8), (SIZE[1], SIZE[0] // 2)), flat()


@pytest.mark.parametrize("encoding", IMAGE_ENCODINGS)
def test_every_encoding_gives_the_same_picture(encoding: str) -> None:
    pixels, expected = encoded(encoding)
    message = image_of(pixels, 0, encoding=encoding)
    message.width, message.height = SIZE
    picture = to_bgr(message)
    assert picture.shape == expected.shape
    inner = np.s_[4:-4, 4:-4]  # the border of a Bayer pattern is interpolated
    assert np.abs(picture[inner].astype(int) - expected[inner]).max() <= 3


def test_rows_may_be_padded_and_big_endian() -> None:
    padded = np.zeros((SIZE[1], SIZE[0] * 3 + 10), np.uint8)
    padded[:, : SIZE[0] * 3] = scene(0, *SIZE).reshape(SIZE[1], -1)
    message = image_of(padded, 0)
    message.width = SIZE[0]
    assert np.array_equal(to_bgr(message), scene(0, *SIZE))
    labels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    big = image_of(labels.astype(">u2"), 0, encoding="16UC1")
    big.is_bigendian = 1
    assert np.array_equal(to_labels(big), labels)
    assert np.array_equal(to_labels(image_message(Header(), labels, "16UC1")), labels)


@pytest.mark.parametrize(
    "message",
    [
        Image(),
        Image(encoding="bgr8", width=4, height=4, step=12, data=array.array("B", bytes(10))),
        Image(encoding="yuv411", width=4, height=4, step=12, data=array.array("B", bytes(48))),
        CompressedImage(format="jpeg"),
        CompressedImage(format="jpeg", data=array.array("B", b"no picture at all")),
        CompressedImage(format="16UC1; compressedDepth png", data=array.array("B", bytes(40))),
    ],
)
def test_what_is_no_picture_is_refused(message: Image | CompressedImage) -> None:
    with pytest.raises(ImageError):
        to_bgr(message)


def test_every_truncation_of_a_jpeg_is_refused() -> None:
    whole = image_of(scene(0, *SIZE), 0, compressed=True)
    for length in range(0, len(whole.data) - 1, 97):
        with pytest.raises(ImageError):
            to_bgr(CompressedImage(format="jpeg", data=whole.data[:length]))
    assert MessagePicture(whole).jpeg() == bytes(whole.data)


def test_maps_of_the_wrong_kind_or_size_are_refused() -> None:
    for message in (image_of(scene(0, *SIZE), 0), Image(encoding="16UC1", width=3, height=3, step=6), Image()):
        with pytest.raises(ImageError):
            to_labels(message)


def test_depth_in_millimetres_and_metres() -> None:
    assert to_depth(image_of(np.full((2, 2), 1500, np.uint16), 0, encoding="16UC1"))[0, 0] == 1.5
    assert np.isnan(to_depth(image_of(np.zeros((2, 2), np.float32), 0, encoding="32FC1"))).all()


def test_a_keyframe_survives_the_journey() -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = 1, 2, 3
    k = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    keyframe = MarkedKeyframe(7, 12.5, b"\xff\xd8jpeg", 640, 480, (Mark(3, 10.5, 20.25, 99, 1.5),), k, pose)
    header = Header(frame_id="camera", stamp=to_time(12_500_000_000))
    back = to_keyframe(keyframe_message(keyframe, header, "map"))
    assert (back.index, back.stamp, back.jpeg, back.marks) == (7, 12.5, keyframe.jpeg, keyframe.marks)
    assert back.intrinsics == pytest.approx(k)
    assert back.pose == pytest.approx(pose)
    bare = to_keyframe(keyframe_message(MarkedKeyframe(0, 0.0, b"", 1, 1, ()), Header(), ""))
    assert bare.intrinsics is None
    assert bare.pose is None


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_are_kept_to_the_nanosecond(instant: int) -> None:
    assert nanoseconds(to_time(instant)) == instant
    track = Track(1, TrackStatus.LOST, 0, (1.0, 2.0), (0, 0, 0, 0), 0.5, 0.0, 60.0)
    message = track_message(track, instant)
    assert nanoseconds(message.first_seen) == instant


@given(st.lists(st.integers(-3_000, 3_000), min_size=1, max_size=50))
def test_time_grows_within_an_episode_whatever_the_stamps(steps: list[int]) -> None:
    order, stamp, arrival = StampOrder(), 10**18, 0
    last = None
    for step in steps:
        stamp, arrival = stamp + step * 1_000_000, arrival + 33_000_000
        kind, instant = order.check(stamp, arrival)
        if kind is Order.LATE:
            continue
        if kind is Order.JUMPED_BACK:
            last = None
        assert last is None or instant > last
        last = instant


def test_a_stream_whose_stamps_stood_still_for_long_goes_on_in_the_same_episode() -> None:
    order = StampOrder()
    kinds = [order.check(stamp, i * 10**9)[0] for i, stamp in enumerate([5, 5, 5, 5, 5, 40_000_000])]
    assert kinds == [Order.NEXT, *[Order.STILL] * 4, Order.NEXT]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("enough", "factor"), [(64, 8), (65, 4), (200, 2), (256, 2), (257, 1), (10_000, 1)])
def test_a_picture_is_reduced_as_far_as_it_stays_wide_enough(compressed: bool, enough: int, factor: int) -> None:
    whole = cv2.GaussianBlur(scene(0, 512, 384), (0, 0), 12)
    message = image_of(whole, 0, compressed)
    picture, size = to_small_bgr(message, enough)
    assert size == picture_size(message) == (512, 384)
    assert picture.shape == (384 // factor, 512 // factor, 3)
    expected = cv2.resize(whole, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - expected).max() < 16


def test_a_jpeg_that_exif_turns_is_told_as_it_is_seen() -> None:
    jpeg = bytes(image_of(scene(0, 320, 160), 0, compressed=True).data)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turn by a quarter
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    picture, size = to_small_bgr(CompressedImage(format="jpeg", data=turned), 160)
    assert (picture.shape[:2], size) == ((160, 80), (160, 320))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 3), st.integers(0, 3))
def test_tracks_of_a_reduced_picture_fit_the_enlarged_map(width: int, height: int, x: int, y: int) -> None:
    labels = np.zeros((16, 24), np.uint16)
    labels[y : y + height, x : x + width] = 9
    centre = (x + (width - 1) / 2, y + (height - 1) / 2)
    track = Track(9, TrackStatus.NEW, width * height, centre, (x, y, width, height), 1.0, 0.0, 0.0)
    for size in ((24, 16), (48, 32), (95, 63), (96, 64)):
        large = enlarged(Tracked(labels, (track,)), size)
        assert large.labels.shape == size[::-1]
        rows, columns = np.nonzero(large.labels)
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert large.tracks[0].box == box
        assert large.tracks[0].area == pytest.approx(len(rows), rel=0.1)
        assert large.tracks[0].centre == pytest.approx((columns.mean(), rows.mean()), abs=0.6)

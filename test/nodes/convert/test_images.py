"""Image messages to arrays and back: every encoding, and damaged data."""

from __future__ import annotations

import array

import pytest

pytest.importorskip("rclpy")

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.rig import image_of, scene

from cc_ros.encodings import IMAGE_ENCODINGS
from cc_ros.errors import ImageError
from cc_ros.nodes.convert.images import (
    MessagePicture,
    image_message,
    picture_size,
    to_bgr,
    to_depth,
    to_labels,
    to_small_bgr,
)

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

"""Decoding of image messages: every layout gives back the picture it was made from, and rubbish is refused politely."""

from __future__ import annotations

import array
import contextlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cc_ros.encodings import (
    DEPTH_ENCODINGS,
    IMAGE_ENCODINGS,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
)
from cc_ros.errors import ImageError
from cc_ros.picture_header import read_header

RNG = np.random.default_rng(7)
BGR = RNG.integers(0, 256, (6, 8, 3), np.uint8)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 9)


def padded(rows: np.ndarray, padding: int = 5) -> tuple[int, bytes]:
    """Return step and data of an H x bytes array with rubbish behind every row."""
    filled = np.hstack([rows, np.full((len(rows), padding), 99, np.uint8)])
    return filled.shape[1], filled.tobytes()


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("bgr8", BGR),
        ("8UC3", BGR),
        ("rgb8", BGR[..., ::-1]),
        ("bgra8", np.dstack([BGR, BGR[..., 0]])),
        ("rgba8", np.dstack([BGR[..., ::-1], BGR[..., 0]])),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_colour_layouts_give_back_the_picture(encoding: str, pixels: np.ndarray, padding: int) -> None:
    step, data = padded(np.ascontiguousarray(pixels).reshape(6, -1), padding)
    image = decode_image(encoding, 8, 6, step, False, data)
    np.testing.assert_array_equal(image, BGR)
    assert image.flags.c_contiguous


def test_unpadded_bgr8_is_a_read_only_view() -> None:
    data = bytearray(BGR.tobytes())
    image = decode_image("bgr8", 8, 6, 24, False, data)
    data[0] ^= 255
    assert image[0, 0, 0] == data[0]
    assert not image.flags.writeable


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_data_may_be_any_buffer(container: type) -> None:
    np.testing.assert_array_equal(decode_image("bgr8", 8, 6, 24, False, container(BGR.tobytes())), BGR)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_becomes_three_equal_channels(encoding: str) -> None:
    step, data = padded(BGR[..., 0])
    np.testing.assert_array_equal(decode_image(encoding, 8, 6, step, False, data), np.dstack([BGR[..., 0]] * 3))


@pytest.mark.parametrize("big", [False, True])
def test_sixteen_bits_that_are_used_are_scaled_by_a_fixed_factor(big: bool) -> None:
    wide = np.array([[0, 257, 32768, 65535]], ">u2" if big else "<u2")
    step, data = padded(wide.view(np.uint8), 3)
    np.testing.assert_array_equal(decode_image("mono16", 4, 1, step, big, data)[0, :, 0], [0, 1, 128, 255])


def mono16(values: np.ndarray, encoding: str = "mono16") -> np.ndarray:
    return decode_image(encoding, values.shape[1], values.shape[0], 2 * values.shape[1], False, values.tobytes())


@pytest.mark.parametrize(("low", "high"), [(7000, 7200), (0, 900), (20000, 20060), (0, 4095), (29000, 36000)])
def test_a_narrow_range_of_sixteen_bits_is_seen(low: int, high: int) -> None:
    ramp = np.linspace(low, high, 64 * 48).reshape(48, 64).astype("<u2")
    grey = mono16(ramp)[..., 0].astype(int)
    assert grey.max() - grey.min() > 60
    assert (np.diff(grey.ravel()) >= 0).all()
    assert (mono16(ramp) == mono16(ramp)[..., :1]).all()


def test_thermal_pictures_may_be_called_16uc1_and_depth_is_refused() -> None:
    heat = np.linspace(7010, 9180, 64 * 48).reshape(48, 64).astype("<u2")
    np.testing.assert_array_equal(mono16(heat, "16UC1"), mono16(heat))
    png = cv2.imencode(".png", heat)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed("16UC1; png compressed ", png), mono16(heat))
    heat[:2] = 0  # as depth sensors say that they do not know
    with pytest.raises(ImageError, match=r"16UC1.*holds depth, not a picture"):
        mono16(heat, "16UC1")
    with pytest.raises(ImageError, match=r"16UC1.*holds depth, not a picture"):
        decode_compressed("16UC1; png compressed ", cv2.imencode(".png", heat)[1].tobytes())


def test_noise_and_hot_pixels_do_not_make_the_brightness_flicker() -> None:
    scene = np.linspace(7010, 7180, 64 * 48).reshape(48, 64)
    frames = [mono16((scene + RNG.normal(0, 2, scene.shape)).astype("<u2")) for _ in range(10)]
    assert np.ptp([frame.mean() for frame in frames]) < 2
    hot = scene.astype("<u2")
    hot[3, 3] = 65535
    assert abs(mono16(hot).mean() - frames[0].mean()) < 2


def test_dim_colours_of_sixteen_bits_keep_their_hue() -> None:
    dim = np.full((8, 8, 3), (500, 1000, 250), "<u2")
    dim[:4] //= 2
    image = decode_image("bgr16", 8, 8, 48, False, dim.tobytes())
    np.testing.assert_allclose(image[7, 7] / image.max(), [0.5, 1, 0.25], atol=0.01)
    assert image.max() > 200


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_deep_compressed_pictures_are_scaled_as_raw_ones(extension: str) -> None:
    thermal = np.linspace(7000, 7200, 64 * 48).reshape(48, 64).astype(np.uint16)
    data = cv2.imencode(extension, thermal)[1]
    np.testing.assert_array_equal(decode_compressed("mono16; png compressed", data), mono16(thermal.astype("<u2")))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_are_named_as_ros_names_them(pattern: str, bits: int) -> None:
    colour = {"b": 200, "g": 120, "r": 40}
    mosaic = np.tile(np.array([[colour[c] for c in pattern[:2]], [colour[c] for c in pattern[2:]]], np.uint8), (8, 8))
    if bits == 16:
        mosaic = (mosaic.astype("<u2") * 257).view(np.uint8)
    step, data = padded(mosaic)
    image = decode_image(f"bayer_{pattern}{bits}", 16, 16, step, False, data)
    np.testing.assert_array_equal(image[4:12, 4:12], np.full((8, 8, 3), (200, 120, 40), np.uint8))


def yuv(bgr: tuple[int, int, int]) -> tuple[int, int, int]:
    """BT.601, studio range: what YUV cameras send."""
    b, g, r = (c / 255 for c in bgr)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112 * b
    v = 128 + 112 * r - 93.786 * g - 18.214 * b
    return round(y), round(u), round(v)


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21"])
def test_yuv_layouts_keep_the_colour(encoding: str) -> None:
    y, u, v = yuv((180, 90, 30))
    if encoding in ("nv12", "nv21"):
        chroma = [u, v] if encoding == "nv12" else [v, u]
        rows = np.vstack([np.full((4, 8), y, np.uint8), np.tile(np.array(chroma, np.uint8), (2, 4))])
    else:
        pair = [u, y, v, y] if encoding in ("yuv422", "uyvy") else [y, u, y, v]
        rows = np.tile(np.array(pair, np.uint8), (4, 4))
    step, data = padded(rows)
    image = decode_image(encoding, 8, 4, step, False, data).astype(int)
    assert image.shape == (4, 8, 3)
    assert np.abs(image - (180, 90, 30)).max() <= 3


KINDS = [".jpg", ".png", ".tif", ".webp"]


@pytest.mark.parametrize("extension", KINDS)
@pytest.mark.parametrize("format", ["jpeg", "png", "", "bgr8; jpeg compressed bgr8"])
def test_compressed_pictures_are_known_by_their_bytes(extension: str, format: str) -> None:
    data = cv2.imencode(extension, SMOOTH)[1]
    image = decode_compressed(format, data)
    assert np.abs(image.astype(int) - SMOOTH).mean() < 3


def test_avif_is_read_where_opencv_can() -> None:
    data = cv2.imencode(".avif", SMOOTH)[1] if cv2.haveImageWriter("a.avif") else None
    if data is None:
        pytest.skip("this OpenCV has no AVIF")
    assert np.abs(decode_compressed("avif", data).astype(int) - SMOOTH).mean() < 5
    with pytest.raises(ImageError, match="truncated"):
        decode_compressed("avif", data[: len(data) // 2])


@pytest.mark.parametrize("lossless", [False, True])
def test_the_header_of_webp_gives_its_size(lossless: bool) -> None:
    data = cv2.imencode(".webp", SMOOTH, [cv2.IMWRITE_WEBP_QUALITY, 101 if lossless else 80])[1].tobytes()
    header = read_header(data)
    assert header is not None
    assert (header.width, header.height, header.complete) == (96, 64, True)


@pytest.mark.parametrize("extension", KINDS)
@pytest.mark.parametrize("keep", [0.01, 0.3, 0.9, 0.999])
def test_truncated_pictures_are_refused(extension: str, keep: float) -> None:
    data = cv2.imencode(extension, SMOOTH)[1].tobytes()
    with pytest.raises(ImageError, match=r"truncated|neither"):
        decode_compressed("jpeg", data[: int(len(data) * keep)])


def test_end_marker_of_a_thumbnail_does_not_hide_a_truncation() -> None:
    data = cv2.imencode(".jpg", SMOOTH)[1].tobytes()
    thumbnail = b"\xff\xe1" + struct.pack(">H", 6) + b"\xff\xd9\xff\xd9"
    whole = data[:2] + thumbnail + data[2:]
    assert decode_compressed("jpeg", whole + b"\0" * 64).shape == SMOOTH.shape  # padding behind the end is harmless
    with pytest.raises(ImageError, match="truncated"):
        decode_compressed("jpeg", whole[: len(whole) // 2])


def test_huge_declared_sizes_are_refused_before_decoding() -> None:
    png = bytearray(cv2.imencode(".png", SMOOTH)[1].tobytes())
    png[16:24] = struct.pack(">II", 60000, 60000)
    with pytest.raises(ImageError, match="60000x60000"):
        decode_compressed("png", bytes(png))
    jpeg = cv2.imencode(".jpg", SMOOTH)[1].tobytes()
    with pytest.raises(ImageError, match="96x64 pixels, more than the 1000 allowed"):
        decode_compressed("jpeg", jpeg, max_pixels=1000)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("big", [False, True])
def test_depth_in_millimetres(encoding: str, big: bool) -> None:
    step, data = padded(np.array([[0, 1500, 65535]], ">u2" if big else "<u2").view(np.uint8))
    depth = decode_depth(encoding, 3, 1, step, big, data)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, 1.5, 65.535]], rtol=1e-6)


@pytest.mark.parametrize("big", [False, True])
def test_depth_in_metres_knows_what_is_unknown(big: bool) -> None:
    values = np.array([[0, -1, np.inf, -np.inf, np.nan, 2.25]], ">f4" if big else "<f4")
    depth = decode_depth("32FC1", 6, 1, 24, big, values.tobytes())
    np.testing.assert_array_equal(depth, np.array([[np.nan] * 5 + [2.25]], np.float32))


def test_compressed_depth_in_millimetres() -> None:
    millimetres = RNG.integers(0, 6000, (12, 16), np.uint16)
    png = cv2.imencode(".png", millimetres)[1].tobytes()
    expected = np.where(millimetres == 0, np.nan, millimetres * 1e-3)
    for format, data in (("16UC1; compressedDepth png", bytes(12) + png), ("16UC1; png compressed", png)):
        np.testing.assert_allclose(decode_compressed_depth(format, data), expected, rtol=1e-6)


def test_compressed_depth_in_metres_is_inverse_quantised() -> None:
    a, b = 10000.0, -900.0  # as compressed_depth_image_transport: depth = a / (value - b)
    true = np.linspace(0.6, 9, 192, dtype=np.float32).reshape(12, 16)
    stored = np.round(a / true + b).astype(np.uint16)
    stored[0, 0] = 0
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", stored)[1].tobytes()
    depth = decode_compressed_depth("32FC1; compressedDepth png", data)
    assert np.isnan(depth[0, 0])
    np.testing.assert_allclose(depth.ravel()[1:], true.ravel()[1:], rtol=2e-2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: decode_image("bgr9", 8, 6, 24, False, BGR.tobytes()), "'bgr9'.*known: bgr8"),
        (lambda: decode_image("32FC1", 8, 6, 32, False, bytes(192)), "holds depth"),
        (lambda: decode_image("bgr8", 8, 6, 23, False, BGR.tobytes()), "step of 24"),
        (lambda: decode_image("bgr8", 8, 7, 24, False, BGR.tobytes()), "168 bytes, got 144"),
        (lambda: decode_image("bgr8", 8, 6, 24, False, [1, 2]), "must be bytes, got list"),
        (lambda: decode_image("uyvy", 7, 6, 24, False, BGR.tobytes()), "even width"),
        (lambda: decode_depth("bgr8", 8, 6, 24, False, BGR.tobytes()), "known: 16UC1"),
        (lambda: decode_compressed("16UC1; compressedDepth png", b""), "holds depth"),
        (lambda: decode_compressed("jpeg", b"hello there"), "neither JPEG nor PNG"),
        (lambda: decode_compressed("h264", b"\0\0\0\1g"), "packet of h264 video.*image_transport republish"),
        (lambda: decode_compressed("av1", b"\x12\0\n"), "packet of av1 video"),
        (lambda: decode_compressed("", b"\0\0\0\1g"), "packet of h264 or h265 video"),
        (
            lambda: decode_compressed_depth("16UC1; compressedDepth rvl", b""),
            "RVL.*publisher to png",
        ),
        (lambda: decode_compressed_depth("16UC1; png", cv2.imencode(".png", BGR)[1].tobytes()), "16-bit grey"),
    ],
)
def test_errors_say_what_was_wrong(call, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        call()


FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIZES = st.one_of(st.integers(-2, 12), st.integers(-(2**31), 2**32))


@FUZZ
@given(
    st.sampled_from((*IMAGE_ENCODINGS, *DEPTH_ENCODINGS, "", "nonsense")),
    SIZES,
    SIZES,
    SIZES,
    st.booleans(),
    st.binary(max_size=600),
)
def test_raw_rubbish_raises_nothing_but_image_errors(
    encoding: str, width: int, height: int, step: int, big: bool, data: bytes
) -> None:
    for decode, shape in ((decode_image, (height, width, 3)), (decode_depth, (height, width))):
        with contextlib.suppress(ImageError):
            assert decode(encoding, width, height, step, big, data).shape == shape


SEEDS = [cv2.imencode(e, SMOOTH[:16, :16])[1].tobytes() for e in KINDS]
SEEDS.append(bytes(12) + cv2.imencode(".png", RNG.integers(0, 9000, (8, 8), np.uint16))[1].tobytes())
FORMATS = ["jpeg", "png", "", "16UC1; compressedDepth png", "32FC1; compressedDepth png", "16UC1; png"]


@FUZZ
@given(st.sampled_from(FORMATS), st.sampled_from(SEEDS), st.data())
def test_compressed_rubbish_raises_nothing_but_image_errors(format: str, seed: bytes, data: st.DataObject) -> None:
    raw = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    for decode in (decode_compressed, decode_compressed_depth):
        with contextlib.suppress(ImageError):
            decode(format, bytes(raw[:cut]), max_pixels=1_000_000)

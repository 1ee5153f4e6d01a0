"""Which depth and calibration belong to an image."""

from __future__ import annotations

import numpy as np
import pytest

from cc_ros.sources.registered import NotRegisteredError, fit_depth, fit_intrinsics

DEPTH = np.arange(12, dtype=np.float32).reshape(3, 4)
K = np.array([[100.0, 0, 60], [0, 110, 40], [0, 0, 1]])


@pytest.mark.parametrize("frames", [("camera", "camera"), ("/camera", "camera"), ("", "camera"), ("camera", "")])
def test_depth_of_the_same_frame_is_brought_to_the_images_size(frames: tuple[str, str]) -> None:
    assert fit_depth(DEPTH, 4, 3, *frames) is DEPTH
    np.testing.assert_array_equal(fit_depth(DEPTH, 8, 6, *frames), DEPTH.repeat(2, 0).repeat(2, 1))


def test_depth_of_another_frame_or_view_is_refused() -> None:
    with pytest.raises(NotRegisteredError, match=r"'infra' instead of 'colour'.*must be registered") as raised:
        fit_depth(DEPTH, 4, 3, "infra", "colour")
    assert raised.value.kind == "depth of another frame than the image"
    assert fit_depth(DEPTH, 4, 3, "infra", "colour", same=True) is DEPTH
    with pytest.raises(NotRegisteredError, match="4x3 shows another view than 16x9") as raised:
        fit_depth(DEPTH, 16, 9)
    assert raised.value.kind == "depth of another shape than the image"


@pytest.mark.parametrize("size", [(1296, 968), (640, 480), (320, 240), (424, 319)])
def test_rounding_is_no_other_view(size: tuple[int, int]) -> None:
    assert fit_depth(np.zeros((480, 640), np.float32), *size).shape == size[::-1]


def test_a_calibration_is_scaled_with_its_image() -> None:
    np.testing.assert_array_equal(fit_intrinsics(K.ravel(), (120, 80), (120, 80)), K)
    np.testing.assert_array_equal(fit_intrinsics(K.ravel(), (120, 80), (60, 40))[:2], K[:2] / 2)
    np.testing.assert_array_equal(fit_intrinsics(K.ravel(), (0, 0), (60, 40)), K)


@pytest.mark.parametrize(
    ("k", "size", "frame", "kind"),
    [
        (np.zeros(9), (120, 80), "", "camera_info without a calibration"),
        (np.where(K == 110, 0, K), (120, 80), "", "camera_info without a calibration"),
        (np.where(K == 60, np.nan, K), (120, 80), "", "camera_info without a calibration"),
        (np.where(K == 100, np.inf, K), (120, 80), "", "camera_info without a calibration"),
        *((np.where(K == 100, f, K), (120, 80), "", "camera_info without a calibration") for f in (1e-9, 1e30)),
        (np.where(K == 60, 6000, K), (120, 80), "", "camera_info without a calibration"),
        (K, (120, 120), "", "camera_info of another size than the image"),
        (K, (120, 80), "other", "camera_info of another frame than the image"),
    ],
)
def test_a_calibration_that_is_none_or_anothers_is_refused(
    k: np.ndarray, size: tuple[int, int], frame: str, kind: str
) -> None:
    with pytest.raises(NotRegisteredError) as raised:
        fit_intrinsics(k, size, (120, 80), frame, "camera")
    assert raised.value.kind == kind

"""Lenses: what a CameraInfo says of them, and pixels turned back into the rays that made them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.frame import Distortion
from cc_ros.geometry.camera import GeometryError, back_project, bearings, calibration, check_distortion, undistorted
from cc_ros.geometry.scene import SceneMap
from cc_ros.keyframes.types import Mark, MarkedKeyframe

K = np.array([[320.0, 0, 322], [0, 325.0, 241], [0, 0, 1]])
LENSES = {
    "plumb_bob": (-0.28, 0.09, 0.001, -0.0008, -0.012),
    "rational_polynomial": (4.1, 1.9, 0.0003, -0.0002, 0.05, 4.45, 3.2, 0.42),
    "equidistant": (-0.012, 0.004, -0.002, 0.0003),
}


def shown(points: np.ndarray, model: str) -> np.ndarray:
    """Return the pixels of points (Nx3, optical frame) as OpenCV's models have them."""
    d, still = np.array(LENSES[model]), np.zeros(3)
    if model == "equidistant":
        return cv2.fisheye.projectPoints(points.reshape(-1, 1, 3), still, still, K, d)[0].reshape(-1, 2)
    return cv2.projectPoints(points, still, still, K, d)[0].reshape(-1, 2)


@pytest.mark.parametrize("model", LENSES)
@given(st.lists(st.tuples(st.floats(-0.8, 0.8), st.floats(-0.6, 0.6), st.floats(0.3, 20.0)), min_size=1, max_size=20))
def test_pixels_go_back_to_the_points_that_made_them(model: str, seen: list[tuple[float, float, float]]) -> None:
    plane = np.array([(x, y, 1.0) for x, y, _ in seen])
    depths = np.array([z for *_, z in seen])
    points = plane * depths[:, None]
    pixels, lens = shown(points, model), Distortion(model, LENSES[model])
    assert back_project(pixels, depths, K, lens) == pytest.approx(points, abs=2e-3 * depths.max())
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    assert bearings(pixels, K, lens) == pytest.approx(rays, abs=1e-3)


def test_a_fisheye_shows_84_degrees_to_the_side_and_nothing_is_told_of_what_is_beside_the_camera() -> None:
    lens = Distortion("equidistant", LENSES["equidistant"])
    side = np.radians(84)
    pixel = shown(np.array([[np.sin(side), 0.0, np.cos(side)]]), "equidistant")
    assert np.degrees(np.arctan(undistorted(pixel, K, lens)[0, 0])) == pytest.approx(84, abs=0.2)
    assert np.isnan(undistorted(np.array([[3000.0, 241.0]]), K, lens)).all()


def test_a_mark_beside_a_very_wide_camera_has_no_bearing_and_spoils_nothing() -> None:
    marks = (Mark(1, 3000.0, 241.0, 900), Mark(2, 322.0, 241.0, 900, 2.0))
    lens = Distortion("equidistant", LENSES["equidistant"])
    scene = SceneMap.from_keyframes([MarkedKeyframe(0, 0.0, b"", 4000, 480, marks, K, np.eye(4), distortion=lens)])
    assert scene.places[1].sightings[0].direction is None
    point = scene.places[2].point
    assert point is not None and point.xyz == pytest.approx([0, 0, 2.0], abs=1e-6)


def test_rectified_pictures_have_the_matrix_of_their_own_and_a_straight_lens() -> None:
    p = np.array([[300.0, 0, 320, -12], [0, 300, 240, 0], [0, 0, 1, 0]])
    d = LENSES["plumb_bob"]
    for topic in ("/camera/image_rect", "/left/image_rect_color", "/image_rectified"):
        matrix, lens = calibration(K.ravel(), p.ravel(), "plumb_bob", d, topic)
        assert lens is None and np.array_equal(matrix, p[:, :3])
    for topic in ("/camera/image_raw", "/direct/image", ""):
        matrix, lens = calibration(K.ravel(), p.ravel(), "plumb_bob", d, topic)
        assert lens == Distortion("plumb_bob", d) and np.array_equal(matrix, K)


def test_lenses_that_are_none_are_refused_and_straight_ones_are_none() -> None:
    assert check_distortion("plumb_bob", np.zeros(5)) is None
    assert check_distortion("", np.array([])) is None
    for model, d in (("omnidirectional", [0.1] * 4), ("equidistant", [0.1] * 5), ("plumb_bob", [0.1, np.nan, 0, 0])):
        with pytest.raises(GeometryError):
            check_distortion(model, np.array(d))

"""Which topics of a bag are taken, and that it is said: by what they hold, not by what they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import bags
from support.bags import COMPRESSED, IMAGE, K, T, camera_info, compressed, depth, header, image, odometry, transforms
from support.bags import write_bag as write

from cc_ros.errors import SourceError
from cc_ros.frame import Frame
from cc_ros.sources import Source, open_source

OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # the rotation of REP 103 from body to optical axes
STRAIGHT = (0.0, 0.0, 0.0, 1.0)


def read(path: Path, **settings: Any) -> tuple[list[Frame], Source]:
    with open_source(path, **settings) as source:
        return list(source), source


def said(source: Source) -> str:
    return "\n".join([*source.notes, *source.losses()])


def of(message: Any, frame: str) -> Any:
    return replace(message, header=replace(message.header, frame_id=frame))


def grey(stamp: float, value: int) -> Any:
    pixels = np.full((bags.HEIGHT, bags.WIDTH), value, np.uint8).ravel()
    return T[IMAGE](header(stamp), bags.HEIGHT, bags.WIDTH, "mono8", 0, bags.WIDTH, pixels)


def test_a_camera_may_be_called_depth(tmp_path: Path) -> None:
    rows = [("/depthai/rgb/image", 0, image(0, 7)), ("/depthai/stereo/image", 0, depth(0, 2.0))]
    frames, _ = read(write(tmp_path / "bag", rows))
    assert frames[0].image[0, 0, 0] == 7
    assert frames[0].depth[0, 0] == pytest.approx(2)


def test_pictures_made_of_others_are_no_camera(tmp_path: Path) -> None:
    for name in ("depth_vis", "debug_image", "a_mask"):
        rows = [("/cam/image_raw", 0, image(0, 7)), (f"/cam/{name}", 0, image(0, 200))]
        assert read(write(tmp_path / name, rows))[0][0].image[0, 0, 0] == 7


def test_depth_that_no_depth_has_is_told(tmp_path: Path) -> None:
    rows = [("/cam/image_raw", 0, image(0)), ("/cam/depth", 0, grey(0, 9))]
    assert "/cam/depth (mono8, 32x24, frame camera_optical, 1 messages) is not used" in said(
        read(write(tmp_path / "b", rows))[1]
    )


def test_depth_is_known_by_its_encoding(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.full((bags.HEIGHT, bags.WIDTH), 1500, np.uint16))[1].ravel()
    for name, data in (("16UC1; compressedDepth png", np.append(np.zeros(12, np.uint8), png)), ("16UC1; png", png)):
        rows = [("/image", 0, image(0)), ("/range/compressed", 0, T[COMPRESSED](header(0), name, data))]
        frames, _ = read(write(tmp_path / name.split()[1], rows))
        assert frames[0].depth[0, 0] == pytest.approx(1.5)


def test_depth_of_the_images_frame_wins_over_the_other(tmp_path: Path) -> None:
    rows = [
        ("/rgb/image_raw", 0, of(image(0), "rgb_camera_link")),
        ("/depth/image_raw", 0, of(depth(0, 1.0), "depth_camera_link")),
        ("/depth_to_rgb/image_raw", 0, of(depth(0, 2.0), "rgb_camera_link")),
    ]
    frames, source = read(write(tmp_path / "azure", rows))
    assert frames[0].depth[0, 0] == pytest.approx(2)
    assert "depth: /depth_to_rgb/image_raw" in said(source)


@pytest.mark.parametrize("asked", [{}, {"depth_topic": "/depth"}])
def test_depth_of_another_frame_is_not_used_and_said_once(tmp_path: Path, asked: dict[str, str]) -> None:
    rows: list[bags.Row] = []
    for i in range(4):
        rows += [("/image", i / 10, of(image(i / 10), "colour")), ("/depth", i / 10, of(depth(i / 10, 1.0), "infra"))]
    frames, source = read(write(tmp_path / "bag", rows), **asked)
    assert [frame.depth for frame in frames] == [None] * 4
    assert said(source).count("another frame than the image") == 1


def test_two_names_of_one_frame_are_one(tmp_path: Path) -> None:
    same = transforms(("colour", "aligned_depth", (0.0, 0.0, 0.0), STRAIGHT))
    apart = transforms(("colour", "aligned_depth", (0.05, 0.0, 0.0), STRAIGHT))
    for name, static, used in (("same", same, True), ("apart", apart, False)):
        rows = [
            ("/tf_static", 0, static),
            ("/image", 0, of(image(0), "colour")),
            ("/depth", 0, of(depth(0, 1.0), "aligned_depth")),
        ]
        assert (read(write(tmp_path / name, rows))[0][0].depth is not None) is used


def test_the_calibration_is_that_of_the_images_frame_and_is_scaled_with_it(tmp_path: Path) -> None:
    rows = [
        ("/rgb/image", 0, of(image(0), "rgb")),
        ("/a/camera_info", 0, of(camera_info(0, 3 * K), "other")),
        ("/b/camera_info", 0, of(camera_info(0, 2 * K, 2 * bags.WIDTH, 2 * bags.HEIGHT), "rgb")),
    ]
    frames, source = read(write(tmp_path / "bag", rows))
    np.testing.assert_allclose(frames[0].intrinsics[:2], K.reshape(3, 3)[:2])
    assert "calibration: /b/camera_info" in said(source)


def test_calibration_of_another_camera_only_is_said(tmp_path: Path) -> None:
    rows = [("/rgb/image", 0, of(image(0), "rgb")), ("/a/camera_info", 0, of(camera_info(0), "other"))]
    frames, source = read(write(tmp_path / "bag", rows))
    assert frames[0].intrinsics is None
    assert "no calibration" in said(source)


def test_the_colour_camera_is_taken_among_grey_ones(tmp_path: Path) -> None:
    rows = [
        ("/camera/color/image_raw", 0, of(image(0, 5), "color")),
        ("/camera/infra1/image_rect_raw", 0, of(grey(0, 6), "infra1")),
        ("/camera/infra2/image_rect_raw", 0, of(grey(0, 7), "infra2")),
    ]
    bag = write(tmp_path / "realsense", rows)
    frames, source = read(bag)
    assert frames[0].image[0, 0, 0] == 5
    assert "images: /camera/color/image_raw (bgr8, 32x24, frame color, 1 messages): the only camera in colour" in said(
        source
    )
    assert read(bag, image_topic="/camera/infra1/image_rect_raw")[0][0].image[0, 0, 0] == 6


def test_the_camera_that_depth_belongs_to_is_taken_of_two(tmp_path: Path) -> None:
    rows = [
        ("/left/image", 0, of(image(0, 5), "left")),
        ("/right/image", 0, of(image(0, 6), "right")),
        ("/depth", 0, of(depth(0, 1.0), "right")),
    ]
    frames, source = read(write(tmp_path / "stereo", rows))
    assert frames[0].image[0, 0, 0] == 6
    assert "the camera that depth is registered to" in said(source)


def test_what_cannot_be_decoded_gives_way(tmp_path: Path) -> None:
    packet = T[COMPRESSED](header(0), "h264", np.frombuffer(b"\0\0\0\1g" * 9, np.uint8))
    rows = [("/cam/image/h264", 0, packet), ("/cam/image", 0, image(0, 5))]
    assert read(write(tmp_path / "both", rows))[0][0].image[0, 0, 0] == 5
    with pytest.raises(SourceError, match=r"no image that can be read: .*packet of h264 video"):
        read(write(tmp_path / "one", rows[:1]))


def test_depth_alone_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no images: .*/points hold depth: record the colour images too"):
        open_source(write(tmp_path / "bag", [("/points", 0, depth(0, 1.0))]))


def test_a_thermal_camera_may_call_its_pictures_16uc1(tmp_path: Path) -> None:
    bag = write(tmp_path / "named", [("/thermal/image_raw", i, depth(i, 8.0)) for i in range(3)])
    assert len(read(bag)[0]) == 3
    bag = write(tmp_path / "asked", [("/cam/image_raw", i, depth(i, 8.0)) for i in range(3)])
    with pytest.raises(SourceError, match="a thermal camera's, name it by --topic"):
        open_source(bag)
    png = cv2.imencode(".png", np.full((bags.HEIGHT, bags.WIDTH), 8000, np.uint16))[1].ravel()
    packed = T[COMPRESSED](header(0), "16UC1; png compressed ", png)
    packed = write(tmp_path / "packed", [("/cam/image_raw/compressed", 0, packed)])
    assert len(read(packed, image_topic="/cam/image_raw")[0]) == 1
    frames, source = read(bag, image_topic="/cam/image_raw")
    assert len(frames) == 3 and "as asked for" in said(source)


@pytest.mark.parametrize(("topic", "message"), [("/depth/image", depth(0, 8.0)), ("/z", depth(0, 0.0))])
def test_depth_that_is_asked_for_as_the_image_is_refused(tmp_path: Path, topic: str, message: Any) -> None:
    bag = write(tmp_path / "bag", [(topic, 0, message), ("/image", 0, image(0))])
    with pytest.raises(SourceError, match="holds depth, not"):
        read(bag, image_topic=topic)


def test_the_reason_of_what_is_left_out_is_told_once(tmp_path: Path) -> None:
    rvl = T[COMPRESSED](header(0), "16UC1; compressedDepth rvl", np.zeros(40, np.uint8))
    rows = [("/image/compressed", i / 10, compressed(i / 10, i, cut=300 if i == 2 else None)) for i in range(4)]
    rows += [("/depth/compressedDepth", i / 10, replace(rvl, header=header(i / 10))) for i in range(4)]
    _, source = read(write(tmp_path / "bag", rows))
    losses = "\n".join(source.losses())
    assert "damaged or unsupported image (1); first: compressed image" in losses
    assert "damaged or unsupported depth (3); first:" in losses
    assert "(RVL) is not supported" in losses


def test_clocks_that_never_meet_are_told(tmp_path: Path) -> None:
    rows: list[bags.Row] = []
    for i in range(5):
        t = i / 10
        rows += [("/image", t, image(t)), ("/odom", t, odometry(t + 900, 1.0)), ("/depth", t, depth(t + 500, 1.0))]
    frames, source = read(write(tmp_path / "clocks", rows))
    assert {frame.pose is None for frame in frames} == {True}
    assert source.skipped == {"no pose near the image": 5, "no depth near the image": 5}
    assert "no image got a pose from /odom: its stamps are 1700000900.000 to" in said(source)
    assert "no image got depth from /depth" in said(source)


def test_a_mounting_that_is_not_known_is_told(tmp_path: Path) -> None:
    rows = [("/image", 0, image(0)), ("/odom", 0, odometry(0, 5.0))]
    frames, source = read(write(tmp_path / "bare", rows))
    np.testing.assert_allclose(frames[0].pose[:3, 3], [5, 0, 0], atol=1e-9)
    assert "mounting: no tf joins 'base_link' and the camera 'camera_optical'" in said(source)


def test_a_mounting_that_is_given_counts(tmp_path: Path) -> None:
    rows = [("/image", 0, image(0)), ("/odom", 0, odometry(0, 5.0))]
    rows += [("/tf_static", 0, transforms(("base_link", "camera_optical", (9.0, 0.0, 0.0), OPTICAL)))]
    frames, source = read(write(tmp_path / "bare", rows), camera_x=0.2, camera_z=1.1, camera_yaw=np.pi / 2)
    np.testing.assert_allclose(frames[0].pose[:3, 3], [5.2, 0, 1.1], atol=1e-9)
    np.testing.assert_allclose(frames[0].pose[:3, 2], [0, 1, 0], atol=1e-9)  # it looks to the left
    assert "mounting: the camera sits on 'base_link' as camera_x ... camera_yaw say" in said(source)


def test_a_camera_that_moves_on_the_robot_is_followed(tmp_path: Path) -> None:
    """A head that rises by 1 m/s, published on /tf at 10 Hz."""
    rows: list[bags.Row] = [("/tf_static", 0, transforms(("head", "camera_optical", (0.1, 0.0, 0.0), OPTICAL)))]
    for i in range(11):
        t = i / 10
        lift = transforms(("base_link", "head", (0.0, 0.0, t), STRAIGHT))
        lift.transforms[0].header.stamp = header(t).stamp
        rows += [("/tf", t, lift), ("/odom", t, odometry(t, 2.0))]
    rows += [("/image", t, image(t)) for t in (0.05, 0.52, 0.9)]
    frames, source = read(write(tmp_path / "head", rows))
    np.testing.assert_allclose([f.pose[:3, 3] for f in frames], [[2.1, 0, t] for t in (0.05, 0.52, 0.9)], atol=1e-6)
    assert "as tf (which may move) says" in said(source)


def test_a_moving_camera_is_not_made_up_where_its_place_is_not_known(tmp_path: Path) -> None:
    lift = transforms(("base_link", "camera_optical", (0.0, 0.0, 1.0), OPTICAL))
    lift.transforms[0].header.stamp = header(0).stamp
    rows: list[bags.Row] = [("/tf", 0, lift)]
    rows += [
        (topic, t, m(t)) for t in (0.0, 5.0) for topic, m in (("/image", image), ("/odom", lambda t: odometry(t, 0)))
    ]
    frames, source = read(write(tmp_path / "gap", rows))
    assert frames[0].pose is not None
    assert frames[1].pose is None
    assert source.skipped == {"no pose of the camera on the robot near the image": 1}


def test_the_odometry_whose_body_carries_the_camera_is_taken(tmp_path: Path) -> None:
    rows = [
        ("/tf_static", 0, transforms(("robot", "camera_optical", (0.0, 0.0, 1.0), OPTICAL))),
        ("/image", 0, image(0)),
        ("/odom", 0, replace(odometry(0, 1.0), child_frame_id="cart")),
        ("/vio/odometry", 0, replace(odometry(0, 2.0), child_frame_id="robot")),
    ]
    frames, _ = read(write(tmp_path / "two", rows))
    np.testing.assert_allclose(frames[0].pose[:3, 3], [2, 0, 1], atol=1e-9)


@pytest.mark.parametrize(("fixed", "world", "x"), [("", "odom", 1.5), ("map", "map", 11.5)])
def test_without_odometry_tf_tells_where_the_camera_is(tmp_path: Path, fixed: str, world: str, x: float) -> None:
    """A chain of fixed and moving links; the robot drives by 1 m/s."""
    rows: list[bags.Row] = [("/tf_static", 0, transforms(("base_link", "camera_optical", (0.5, 0.0, 0.0), OPTICAL)))]
    for i in range(21):
        t = i / 10
        links = transforms(("map", "odom", (10.0, 0.0, 0.0), STRAIGHT), ("odom", "base_link", (t, 0.0, 0.0), STRAIGHT))
        for link in links.transforms:
            link.header.stamp = header(t).stamp
        rows.append(("/tf", t + 0.3, links))  # it arrives later than the images
    rows += [("/image", t, image(t)) for t in (0.05, 1.0, 1.95)]
    frames, source = read(write(tmp_path / "tf", rows), fixed_frame=fixed)
    np.testing.assert_allclose([f.pose[:3, 3] for f in frames], [[x + t, 0, 0] for t in (-0.95, 0, 0.95)], atol=1e-6)
    np.testing.assert_allclose(frames[0].pose[:3, 2], [1, 0, 0], atol=1e-9)
    assert f"poses: of 'camera_optical' in '{world}', as tf says" in said(source)


def test_a_fixed_frame_that_tf_does_not_know_gives_no_poses(tmp_path: Path) -> None:
    rows = [("/image", 0, image(0)), ("/odom", 0, odometry(0, 5.0))]
    frames, source = read(write(tmp_path / "none", rows), fixed_frame="map")
    assert frames[0].pose is None
    assert source.skipped == {"no pose near the image": 1} and "no tf joins 'map'" in source.losses()[0]


def test_lenses_of_raw_pictures_bend_and_those_of_rectified_ones_do_not(tmp_path: Path) -> None:
    info = replace(
        camera_info(0), d=np.array([0.1, 0.01, 0, 0, 0]), p=np.array([45.0, 0, 16, 0, 0, 45, 12, 0, 0, 0, 1, 0])
    )
    for name, focal in (("image_raw", 50), ("image_rect", 45)):
        rows = [(f"/cam/{name}", 0, image(0)), ("/cam/camera_info", 0, info)]
        (frame,), _ = read(write(tmp_path / name, rows))
        assert (frame.distortion is None) == (name == "image_rect") and frame.intrinsics[0, 0] == focal
    rows = [("/cam/image", 0, image(0)), ("/cam/camera_info", 0, replace(info, distortion_model="mirror"))]
    (frame,), source = read(write(tmp_path / "mirror", rows))
    assert frame.intrinsics is None and "unknown distortion model 'mirror'" in source.losses()[0]

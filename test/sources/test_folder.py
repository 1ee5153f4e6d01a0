"""Folders as people have them: what is a frame and what is not, depth, poses, calibration; and what is said of it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cc_ros.errors import SourceError
from cc_ros.frame import Frame
from cc_ros.sources import Source, open_source

SIZE = 48, 64
K = np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
# A camera that looks along the world's y axis; z is up. Its x is right, its y is down.
LOOKS_ALONG_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def save(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), pixels)


def colour(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def deep(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full(size, value, np.uint16)


def matrix(file: Path, numbers: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(file, numbers)


def pose(x: float, rotation: np.ndarray = LOOKS_ALONG_Y) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[0, 3] = rotation, x
    return result


def read(path: Path, **settings: Any) -> tuple[list[Frame], Source]:
    with open_source(path, **settings) as source:
        return list(source), source


def values(frames: list[Frame]) -> list[int]:
    return [round(float(frame.image.mean())) for frame in frames]


def said(source: Source) -> str:
    return "\n".join([*source.notes, *source.losses()])


def test_seven_scenes(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"frame-00000{i}.color.png", colour(10 * i))
        millimetres = deep(1000 + i)
        millimetres[0, 0], millimetres[0, 1] = 65535, 0
        save(tmp_path / f"frame-00000{i}.depth.png", millimetres)
        matrix(tmp_path / f"frame-00000{i}.pose.txt", pose(i))
    matrix(tmp_path / "camera-intrinsics.txt", K)
    frames, source = read(tmp_path)
    assert values(frames) == [0, 10, 20, 30]
    for i, frame in enumerate(frames):
        assert np.isnan(frame.depth[0, :2]).all()
        np.testing.assert_allclose(frame.depth[1:], 1 + i / 1000, rtol=1e-6)
        np.testing.assert_allclose(frame.pose, pose(i))
        np.testing.assert_allclose(frame.intrinsics, K)
    assert not source.skipped
    for words in ("images: 4 frame-#.color.png", "depth: 4 frame-#.depth.png", "poses: 4 *.pose.txt", "calibration: "):
        assert words in said(source)
    frame = read(tmp_path, depth_topic="none", odom_topic="none", camera_info_topic="none")[0][0]
    assert (frame.depth, frame.pose, frame.intrinsics) == (None, None, None)


def test_registered_depth_is_preferred(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"frame-{i}.color.jpg", colour(10 * i))
        save(tmp_path / f"frame-{i}.depth.png", deep(1000))
        save(tmp_path / f"frame-{i}.depth.proj.png", deep(2000))
    frames, source = read(tmp_path)
    assert frames[0].depth[0, 0] == pytest.approx(2)
    assert source.skipped == {"further depth pictures": 3}


@pytest.mark.parametrize(
    ("down", "up"), [((0, 1, 0), "-y"), ((0, -1, 0), "y"), ((1, 0, 0), "-x"), ((0, 0, 1), "-z"), ((0, 0, -1), "z")]
)
def test_a_world_with_another_axis_up_is_turned(tmp_path: Path, down: tuple[int, int, int], up: str) -> None:
    """In 7-Scenes the world is the first camera's."""
    y = np.array(down, float)
    z = np.roll(y, 1)
    level = np.stack([np.cross(y, z), y, z], axis=1)
    for i in range(3):
        save(tmp_path / f"{i}.color.jpg", colour(0))
        matrix(tmp_path / f"{i}.pose.txt", pose(i, level))
    frames, source = read(tmp_path)
    for frame in frames:
        np.testing.assert_allclose(frame.pose[:3, 1], (0, 0, -1), atol=1e-9)  # a camera's y is down
        assert np.linalg.det(frame.pose[:3, :3]) == pytest.approx(1)
    steps = [np.linalg.norm(b.pose[:3, 3] - a.pose[:3, 3]) for a, b in itertools.pairwise(frames)]
    assert steps == pytest.approx([1, 1])
    assert (f"its axis {up} is taken for up" in said(source)) is (up != "z")


def test_scannet_as_it_is_exported(tmp_path: Path) -> None:
    for i in (0, 1, 2, 10):
        save(tmp_path / "color" / f"{i}.jpg", colour(10 * i, (968 // 8, 1296 // 8)))
        save(tmp_path / "depth" / f"{i}.png", deep(1000 + i, (60, 80)))
        lost = np.full((4, 4), -np.inf)
        matrix(tmp_path / "pose" / f"{i}.txt", lost if i == 1 else pose(i))
    k = np.eye(4)
    k[0, 0], k[1, 1], k[0, 2], k[1, 2] = 146, 146, 81, 60
    matrix(tmp_path / "intrinsic" / "intrinsic_color.txt", k)
    matrix(tmp_path / "intrinsic" / "intrinsic_depth.txt", np.eye(4))
    frames, source = read(tmp_path)
    assert values(frames) == [0, 10, 20, 100]
    assert [frame.depth.shape for frame in frames] == [(121, 162)] * 4
    assert [round(float(frame.depth[0, 0]), 3) for frame in frames] == [1.0, 1.001, 1.002, 1.01]
    assert [None if frame.pose is None else frame.pose[0, 3] for frame in frames] == [0, None, 2, 10]
    np.testing.assert_allclose(frames[0].intrinsics, k[:3, :3])
    assert source.skipped == {"no pose near the image": 1}
    assert "images: 4 #.jpg in color/" in said(source)


def test_poses_may_be_the_robots_where_the_mounting_is_given(tmp_path: Path) -> None:
    """It drives along x; its camera sits 0.2 m ahead and 1.1 m up, and looks to the left, along y."""
    for i in range(3):
        save(tmp_path / f"{i}.color.png", colour(i))
        matrix(tmp_path / f"{i}.pose.txt", pose(i, np.eye(3)))
    frames, source = read(tmp_path, camera_x=0.2, camera_z=1.1, camera_yaw=np.pi / 2)
    np.testing.assert_allclose([f.pose[:3, 3] for f in frames], pose(0)[:3, 3] + [[i + 0.2, 0, 1.1] for i in range(3)])
    np.testing.assert_allclose(frames[0].pose[:3, :3], LOOKS_ALONG_Y, atol=1e-9)
    assert "robot, with the camera where camera_x ... camera_yaw say, to world" in said(source)


def test_tum(tmp_path: Path) -> None:
    root = tmp_path / "rgbd_dataset_freiburg2_desk"
    begin = 1305031102.0
    for i in range(4):
        save(root / "rgb" / f"{begin + i / 10:.6f}.png", colour(10 * i, (480, 640)))
        if i != 2:
            save(root / "depth" / f"{begin + i / 10 + 0.01:.6f}.png", deep(5000 + 500 * i, (480, 640)))
    # stamp tx ty tz qx qy qz qw: looks along y, moves along x by 1 m/s
    quaternion = (-0.70710678, 0.0, 0.0, 0.70710678)
    lines = [f"{begin + t:.4f} {t:.4f} 0 1 {' '.join(map(str, quaternion))}" for t in np.arange(-0.05, 0.5, 0.02)]
    (root / "groundtruth.txt").write_text("# ground truth trajectory\n" + "\n".join(lines))
    frames, source = read(root)
    assert values(frames) == [0, 10, 20, 30]
    np.testing.assert_allclose([f.stamp - begin for f in frames], [0, 0.1, 0.2, 0.3], atol=1e-6)
    assert [None if f.depth is None else float(f.depth[0, 0]) for f in frames] == pytest.approx([1, 1.1, None, 1.3])
    np.testing.assert_allclose([f.pose[:3, 3] for f in frames], [[i / 10, 0, 1] for i in range(4)], atol=1e-6)
    np.testing.assert_allclose(frames[0].pose[:3, :3], LOOKS_ALONG_Y, atol=1e-6)
    assert frames[0].intrinsics[0, 0] == 520.9
    assert source.skipped == {"no depth near the image": 1}
    assert read(root, depth_scale=1000.0)[0][0].depth[0, 0] == pytest.approx(5)
    faster = read(root, fps=2.0)[0]
    assert [frame.stamp for frame in faster] == [0, 0.5, 1, 1.5]
    assert faster[3].depth[0, 0] == pytest.approx(1.3)
    np.testing.assert_allclose(faster[3].pose, frames[3].pose)
    (root / "groundtruth.txt").write_text("99.0 0 0 1 0 0 0 1\n99.1 0 0 1 0 0 0 1")
    frames, source = read(root)
    assert frames[0].pose is None
    assert "no image got a pose from groundtruth.txt: its stamps are 99.000 to 99.100 s" in said(source)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ("00000_mask.png", "masks, by their names"),
        ("mask.png", "masks, by their names"),
        ("labels/../00003-label.png", "masks, by their names"),
        ("00000_objects.png", "second pictures of the frames' numbers"),
        ("00000.png", "second pictures of the frames' numbers"),
        ("floorplan.png", "pictures without a number beside the frames"),
        ("00000_overlay.jpg", "pictures that are no frames, by their names"),
        ("00000_disp.png", "pictures that are no frames, by their names"),
    ],
)
def test_a_picture_beside_the_frames_is_no_frame(tmp_path: Path, mask: str, reason: str) -> None:
    (tmp_path / "frames" / "labels").mkdir(parents=True)
    for i in range(5):
        save(tmp_path / "frames" / f"{i:05d}.jpg", colour(10 * i))
    save(tmp_path / "frames" / mask, colour(200))
    frames, source = read(tmp_path / "frames")
    assert values(frames) == [0, 10, 20, 30, 40]
    assert source.skipped == {reason: 1}
    assert Path(mask).name in said(source)


@pytest.mark.parametrize("suffix", ["_mask.png", ".png", "_depth_vis.png", "_right.jpg"])
def test_a_picture_for_each_frame_does_not_double_them(tmp_path: Path, suffix: str) -> None:
    for i in range(5):
        save(tmp_path / f"{i:05d}.jpg", colour(10 * i))
        save(tmp_path / f"{i:05d}{suffix}", colour(200))
    frames, source = read(tmp_path)
    assert values(frames) == [0, 10, 20, 30, 40]
    assert "5" in said(source)


def test_depth_of_the_same_numbers_needs_no_name(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.jpg", colour(10 * i))
        save(tmp_path / f"{i}.png", deep(2000))
    frames, _ = read(tmp_path)
    assert values(frames) == [0, 10, 20]
    assert frames[2].depth[0, 0] == pytest.approx(2)


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "b.png", "c.png"],
        ["depth_cam_1.png", "depth_cam_2.png", "depth_cam_10.png"],
        ["mask_1.png", "mask_2.png", "mask_3.png"],
        ["walk_1.jpg", "walk_2.jpg", "turn_3.jpg"],
        ["IMG_0001.JPG", "IMG_0002.jpg", "IMG_0003.jpeg"],
        ["unmasked1.png", "unmasked2.png", "unmasked3.png"],
    ],
)
def test_nothing_is_lost_where_names_tell_nothing(tmp_path: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        save(tmp_path / name, colour(10 * i))
    frames, source = read(tmp_path)
    assert sorted(values(frames)) == [0, 10, 20]
    assert not source.skipped


def test_sixteen_bit_pictures_alone_are_frames(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"thermal{i}.tiff", np.linspace(7000, 7200, 48 * 64).reshape(SIZE).astype(np.uint16))
    frames, _ = read(tmp_path)
    assert len(frames) == 3
    assert np.ptp(frames[0].image) > 150


def test_depth_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.color.png", colour(0))
    save(tmp_path / "0.depth.png", deep(2000, (48, 48)))
    save(tmp_path / "1.depth.png", colour(9))
    frames, source = read(tmp_path)
    assert [frame.depth for frame in frames] == [None] * 3
    assert source.skipped == {
        "depth of another shape than the image": 1,
        "damaged or unsupported depth": 1,
        "no depth near the image": 1,
    }
    assert "1.depth.png is no depth picture: 16-bit or float grey is expected, got uint8" in said(source)


def test_numbers_that_do_not_match_are_told(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "rgb" / f"{i}.png", colour(0))
        save(tmp_path / "depth" / f"{100 + i}.png", deep(2000))
        matrix(tmp_path / "poses" / f"{200 + i}.txt", pose(0))
    frames, source = read(tmp_path)
    assert (frames[0].depth, frames[0].pose) == (None, None)
    assert "depth: none of 3 #.png has the number or time of an image" in said(source)
    assert "no image got a pose from 3 poses/*.txt: their numbers are not the images'" in said(source)


def test_what_is_no_pose_and_no_calibration_is_told(tmp_path: Path) -> None:
    for i, numbers in enumerate((pose(0), np.ones((4, 4)), np.ones((2, 2)))):
        save(tmp_path / f"{i}.color.png", colour(0))
        matrix(tmp_path / f"{i}.pose.txt", numbers)
    matrix(tmp_path / "camera-intrinsics.txt", np.diag([4.0, 4, 1]) @ K)
    frames, source = read(tmp_path)
    assert [frame.pose is None for frame in frames] == [False, True, True]
    assert frames[0].intrinsics is None
    assert source.skipped == {"damaged pose": 2, "calibration of another size than the image": 3}
    assert "1.pose.txt is no pose: its left part is no rotation" in said(source)
    (tmp_path / "camera-intrinsics.txt").write_text("fx=60")
    assert "camera-intrinsics.txt is not used: 3x3 or 4x4 numbers" in said(read(tmp_path)[1])


def test_a_folder_whose_pictures_lie_elsewhere_says_where(tmp_path: Path) -> None:
    save(tmp_path / "cam1" / "0.png", colour(0))
    (tmp_path / "phone.heic").touch()
    save(tmp_path / "mav0" / "cam0" / "data" / "0.png", colour(0))
    (tmp_path / "walk.mp4").touch()
    told = (
        r"its folders cam1, mav0/cam0/data have: name one; to read walk.mp4, name the file itself; \.heic are not read"
    )
    with pytest.raises(SourceError, match=f"no images .*{told}"):
        open_source(tmp_path)
    save(tmp_path / "color" / "0.png", colour(7))
    assert values(read(tmp_path)[0]) == [7]


def test_pictures_of_a_second_camera_are_no_frames(tmp_path: Path) -> None:
    for i, camera in itertools.product(range(3), range(2)):
        save(tmp_path / f"cam{camera}_{i:04d}.png", colour(10 * i + 100 * camera))
    frames, source = read(tmp_path)
    assert values(frames) == [0, 10, 20]
    assert source.skipped == {"second pictures of the frames' numbers": 3}


def test_what_is_hidden_or_no_file_is_no_frame(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"frame{i}.png", colour(10 * i))
        (tmp_path / f"._frame{i}.png").write_bytes(b"of another system")
    (tmp_path / "folder7.png").mkdir()
    os.mkfifo(tmp_path / "frame8.png")  # to read it would wait for ever
    (tmp_path / "frame9.png").symlink_to("gone.png")
    frames, source = read(tmp_path)
    assert values(frames) == [0, 10, 20]
    assert source.skipped == {"unreadable file": 2}  # the folder and what is gone; a pipe is no picture at all


def test_depth_has_the_first_number_of_its_image(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "image" / f"{i:07d}-{33333 * i:012d}.jpg", colour(0))
        save(tmp_path / "depth" / f"{i:07d}-{33366 * i:012d}.png", deep(2000 + i))
    assert [frame.depth[0, 0] for frame in read(tmp_path)[0]] == pytest.approx([2, 2.001, 2.002, 2.003])


def test_depth_that_is_not_read_is_told(tmp_path: Path) -> None:
    save(tmp_path / "rgb" / "0.png", colour(0))
    (tmp_path / "depth").mkdir()
    (tmp_path / "depth" / "0.npy").touch()
    assert "depth: .npy in depth/ are not read" in said(read(tmp_path)[1])

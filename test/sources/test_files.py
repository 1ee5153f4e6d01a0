"""Videos and image folders as sources."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cc_ros.errors import SourceError
from cc_ros.sources import open_source
from cc_ros.sources.folder.source import stamps_of_names


def picture(i: int) -> np.ndarray:
    return np.full((48, 64, 3), 20 * i, np.uint8)


def write_video(path: Path, frames: int, fps: float = 10.0, codec: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(picture(i % 12))
    writer.release()
    return path


def write_images(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for i, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), picture(i))
    return folder


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v")])
def test_video_frames_in_order_with_the_stamps_of_the_container(tmp_path: Path, suffix: str, codec: str) -> None:
    with open_source(write_video(tmp_path / f"v{suffix}", 12, codec=codec)) as source:
        assert (source.name, source.fps, source.length, source.size) == (f"v{suffix}", 10.0, 12, (64, 48))
        frames = list(source)
    np.testing.assert_allclose([f.stamp for f in frames], np.arange(12) / 10, atol=1e-6)
    np.testing.assert_allclose([f.image.mean() for f in frames], 20.0 * np.arange(12), atol=4)
    assert not source.skipped


def test_fps_replaces_the_stamps_of_a_video(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "v.avi", 5), fps=2) as source:
        assert [f.stamp for f in source] == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_truncated_video_is_read_as_far_as_it_goes_and_the_loss_counted(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.avi", 60)
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with open_source(video) as source:
        frames = list(source)
    assert 10 < len(frames) < 50
    assert source.length is None or source.skipped["frames missing at the end"] == 60 - len(frames)


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 100])
def test_unreadable_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"v\.mp4 cannot be opened as a video"):
        open_source(tmp_path / "v.mp4")


def test_a_codec_that_opencv_lacks_is_named(tmp_path: Path) -> None:
    """As AV1 is in many builds; here the file only says so."""
    video = write_video(tmp_path / "v.mp4", 5, codec="mp4v")
    video.write_bytes(video.read_bytes().replace(b"mp4v", b"av01").replace(b"esds", b"free"))
    with pytest.raises(
        SourceError, match=r"v\.mp4 (cannot be opened as a video|holds no .* codec (?i:AV01)).*ffmpeg -i"
    ):
        open_source(video)


def test_what_is_no_video_is_told_by_what_it_is(tmp_path: Path) -> None:
    for name, content, words in (
        ("a.mp4", b"", "it is empty"),
        ("b.mp4", b"hello\n" * 99, "it is a text"),
        ("c.mp4", b"\0\0\0\x18ftypisom" + bytes(99), "was cut off while it was recorded"),
        ("d.zip", b"PK", "is an archive: unpack it"),
        ("e.sens", b"\4", "ScanNet recording: export color, depth and pose"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=words):
            open_source(tmp_path / name)


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be opened|no video frame"):
        open_source(write_video(tmp_path / "v.avi", 0))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".JPG"])
def test_images_of_a_folder_in_natural_order(tmp_path: Path, suffix: str) -> None:
    names = [f"img{i}{suffix}" for i in range(12)]
    folder = write_images(tmp_path / "images", names)
    (folder / "notes.txt").write_text("not an image")
    with open_source(folder, fps=4) as source:
        frames = list(source)
        assert (source.name, source.fps, source.length, source.size) == ("images", 4, 12, (64, 48))
    np.testing.assert_allclose([f.image.mean() for f in frames], 20.0 * np.arange(12), atol=2)
    assert [f.stamp for f in frames] == [i / 4 for i in range(12)]


def test_damaged_images_are_skipped_and_keep_their_place_in_time(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", [f"{i:03d}.png" for i in range(5)])
    (folder / "001.png").write_bytes((folder / "001.png").read_bytes()[:60])
    (folder / "003.png").unlink()
    (folder / "003.png").mkdir()
    with open_source(folder, fps=1) as source:
        assert [f.stamp for f in source] == [0, 2, 4]
    assert source.skipped == {"damaged image": 1, "unreadable file": 1}


def test_a_folder_of_nothing_but_damage_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.webp").write_bytes(b"RIFF")
    with open_source(tmp_path) as source, pytest.raises(SourceError, match="none of the 2 images"):
        list(source)


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (["1305031102.175304", "1305031102.211214"], [1305031102.175304, 1305031102.211214]),
        (["0.5", "1.25"], [0.5, 1.25]),
        (["1700000000000000000", "1700000000033333333"], [1700000000.0, 1700000000.033333333]),
        (["1700000000000", "1700000000040"], [1700000000.0, 1700000000.04]),
        (["000001", "000002"], None),  # a counter
        (["0000000001", "0000000002"], None),  # a counter of ten digits
        (["1", "2", "10"], None),
        (["1700000000"], None),
        (["1700000000", "1700000000.5"], None),
        (["img1.5", "img2.5"], None),
        (["1.0", "1.00"], None),  # does not grow
    ],
)
def test_names_are_times_only_where_they_can_be_nothing_else(names: list[str], stamps: list[float] | None) -> None:
    assert stamps_of_names(names) == stamps


def test_stamps_from_names(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "tum", ["1305031102.10.png", "1305031102.20.png", "1305031102.40.png"])
    with open_source(folder) as source:
        assert source.fps == pytest.approx(2 / 0.3)
        assert [f.stamp for f in source] == [1305031102.1, 1305031102.2, 1305031102.4]
    with open_source(folder, fps=10) as source:
        assert [f.stamp for f in source] == [0, 0.1, 0.2]


def test_what_is_no_source_is_refused_with_what_is_supported(tmp_path: Path) -> None:
    (tmp_path / "old.bag").touch()
    (tmp_path / "one.png").touch()
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("nowhere", "does not exist; a source is a video file, a folder of images, or a rosbag2"),
        ("old.bag", "ROS 1 bag"),
        ("one.png", "single image"),
        ("empty", "no images"),
    ):
        with pytest.raises(SourceError, match=words):
            open_source(tmp_path / name)

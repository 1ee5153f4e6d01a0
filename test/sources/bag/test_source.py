"""Reading rosbag2: what belongs to an image is found, and what is wrong with a bag is said."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from support import bags
from support.bags import EPOCH, K, camera_info, compressed, depth, image, odometry, transforms, write_bag

from cc_ros.errors import SettingsError, SourceError
from cc_ros.frame import Frame
from cc_ros.sources import Source, open_source
from cc_ros.sources.bag.file import ros_type

MCAP = b"\x89MCAP0\r\n\x01" + (20).to_bytes(8, "little")  # up to the profile in the header


def read(path: Path, **settings: str | float) -> tuple[list[Frame], Source]:
    with open_source(path, **settings) as source:
        return list(source), source


def walk(count: int = 5) -> list[bags.Row]:
    """A robot that moves 1 m/s; depth is its x in metres, plus one."""
    rows: list[bags.Row] = []
    for i in range(count):
        t = i / 10
        rows += [
            ("/camera/image_raw", t, image(t, i)),
            ("/camera/camera_info", t, camera_info(t)),
            ("/camera/depth/image_raw", t + 0.01, depth(t + 0.002, 1 + t)),
            ("/odom", t + 0.05, odometry(t + 0.05, t + 0.05)),
        ]
    return [("/odom", 0.0, odometry(-0.05 + 0.05, 0.0)), *rows]


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("compression", [CompressionMode.NONE, CompressionMode.MESSAGE, CompressionMode.FILE])
def test_frames_come_with_depth_intrinsics_and_pose(
    tmp_path: Path, plugin: StoragePlugin, compression: CompressionMode
) -> None:
    frames, source = read(write_bag(tmp_path / "walk", walk(), plugin, compression))
    assert (source.name, source.length, source.size) == ("walk", 5, (32, 24))
    assert source.fps == pytest.approx(10, rel=0.2)
    assert not source.skipped
    for i, frame in enumerate(frames):
        assert frame.stamp == pytest.approx(EPOCH + i / 10, abs=1e-6)
        np.testing.assert_array_equal(frame.image, bags.picture(i))
        np.testing.assert_allclose(frame.depth, 1 + i / 10, rtol=1e-6)
        np.testing.assert_array_equal(frame.intrinsics, K.reshape(3, 3))
        np.testing.assert_allclose(frame.pose[:3, 3], [i / 10, 0, 0], atol=1e-6)
        np.testing.assert_allclose(frame.pose[:3, 2], [1, 0, 0], atol=1e-9)  # looks along x


def test_a_storage_file_can_be_opened_by_itself(tmp_path: Path) -> None:
    write_bag(tmp_path / "walk", walk())
    (tmp_path / "walk" / "metadata.yaml").unlink()
    assert len(read(tmp_path / "walk" / "walk.mcap")[0]) == 5


def test_depth_and_odometry_may_arrive_later_than_their_image(tmp_path: Path) -> None:
    rows: list[bags.Row] = []
    for i in range(6):
        t = i / 10
        rows += [("/image", t, image(t, i)), ("/depth", t + 0.3, depth(t, 1 + i)), ("/odom", t + 0.4, odometry(t, t))]
    frames, source = read(write_bag(tmp_path / "late", rows))
    assert [frame.depth[0, 0] for frame in frames] == [1 + i for i in range(6)]
    assert [round(float(frame.pose[0, 3]), 6) for frame in frames] == [i / 10 for i in range(6)]
    assert not source.skipped


def test_images_do_not_wait_for_a_depth_camera_that_died(tmp_path: Path) -> None:
    rows: list[bags.Row] = [("/depth", 0.0, depth(0.0, 2.0))]
    rows += [("/image", i / 100, image(i / 100, i % 256)) for i in range(300)]
    frames, source = read(write_bag(tmp_path / "died", rows))
    assert len(frames) == 300
    assert frames[0].depth is not None
    assert frames[-1].depth is None
    assert source.skipped["no depth near the image"] == 294  # the first six are within 0.05 s


def test_depth_further_than_the_tolerance_is_not_taken(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "far", [("/image", 0.0, image(0.0)), ("/depth", 0.1, depth(0.1, 2.0))])
    assert read(bag)[0][0].depth is None
    assert read(bag, depth_tolerance=0.2)[0][0].depth is not None


def test_depth_of_half_the_size_is_enlarged_and_of_another_shape_refused(tmp_path: Path) -> None:
    half = write_bag(tmp_path / "half", [("/image", 0, image(0)), ("/depth", 0, depth(0, 2.0, (12, 16)))])
    assert read(half)[0][0].depth.shape == (24, 32)
    other = write_bag(tmp_path / "other", [("/image", 0, image(0)), ("/depth", 0, depth(0, 2.0, (24, 24)))])
    frames, source = read(other)
    assert frames[0].depth is None
    assert source.skipped["depth of another shape than the image"] == 1


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (camera_info(0, np.zeros(9)), "camera_info without a calibration"),
        (camera_info(0, width=640, height=360), "camera_info of another size than the image"),
    ],
)
def test_intrinsics_that_cannot_be_of_this_image_are_not_used(tmp_path: Path, info: object, reason: str) -> None:
    frames, source = read(write_bag(tmp_path / "k", [("/image", 0, image(0)), ("/camera_info", 0, info)]))
    assert frames[0].intrinsics is None
    assert source.skipped[reason] == 1


def test_static_transforms_put_the_camera_on_the_robot(tmp_path: Path) -> None:
    optical = (-0.5, 0.5, -0.5, 0.5)  # the rotation of REP 103 from body to optical axes
    static = transforms(
        ("base_link", "mast", (0.1, 0.0, 1.2), (0.0, 0.0, 0.0, 1.0)),
        ("mast", "camera_optical", (0.0, 0.2, 0.0), optical),
        ("mast", "broken", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    )
    rows = [("/tf_static", 0.0, static), ("/image", 1.0, image(1.0)), ("/odom", 1.0, odometry(1.0, 5.0))]
    pose = read(write_bag(tmp_path / "mast", rows))[0][0].pose
    np.testing.assert_allclose(pose[:3, 3], [5.1, 0.2, 1.2], atol=1e-9)
    np.testing.assert_allclose(pose[:3, 2], [1, 0, 0], atol=1e-9)


def test_a_header_without_stamp_is_replaced_by_the_time_of_recording(tmp_path: Path) -> None:
    rows = [("/image", t, image(-1.0)) for t in (0.5, 0.6)]
    stamps = [frame.stamp for frame in read(write_bag(tmp_path / "bare", rows))[0]]
    np.testing.assert_allclose(stamps, [EPOCH + 0.5, EPOCH + 0.6], atol=1e-6)


def test_disorder_is_skipped_and_a_recording_that_looped_is_kept(tmp_path: Path) -> None:
    stamps = [0.0, 0.2, 0.1, 0.15, 0.3, 5.0, 0.0, 0.1]
    frames, source = read(write_bag(tmp_path / "loop", [("/image", i, image(t)) for i, t in enumerate(stamps)]))
    np.testing.assert_allclose([f.stamp - EPOCH for f in frames], [0.0, 0.2, 0.3, 5.0, 0.0, 0.1], atol=1e-6)
    assert source.skipped["image out of order"] == 2


def test_stamps_that_stand_still_go_by_the_time_of_recording(tmp_path: Path) -> None:
    rows: list[bags.Row] = []
    for i in range(20):
        rows += [("/image", i / 10, image(5.0, i)), ("/depth", i / 10 + 0.01, depth(5.0, 1 + i))]
    frames, source = read(write_bag(tmp_path / "still", rows))
    np.testing.assert_allclose([f.stamp - EPOCH for f in frames], [5 + i / 10 for i in range(20)], atol=1e-6)
    assert [float(f.depth[0, 0]) for f in frames] == [1 + i for i in range(20)]
    assert not source.skipped
    assert "stamps of /image stand still or repeat: going by the time of recording where they do" in source.notes


def test_stamps_of_whole_seconds_keep_the_pace_of_the_recording(tmp_path: Path) -> None:
    rows = [("/image", i / 10, image(float(i // 10), i)) for i in range(35)]
    frames, _ = read(write_bag(tmp_path / "coarse", rows))
    np.testing.assert_allclose([f.stamp - EPOCH for f in frames], np.arange(35) / 10, atol=1e-6)


def test_a_recording_that_looped_keeps_its_depth_and_poses(tmp_path: Path) -> None:
    rows: list[bags.Row] = []
    for lap in range(2):
        for i in range(30):
            at, t = lap * 3 + i / 10, i / 10
            rows += [("/image", at, image(t)), ("/depth", at + 0.01, depth(t, 1 + lap))]
            rows += [("/odom", at + 0.02, odometry(t, lap))]
    frames, _ = read(write_bag(tmp_path / "laps", rows))
    assert [float(frame.depth[0, 0]) for frame in frames] == [1.0] * 30 + [2.0] * 30
    assert [float(frame.pose[0, 3]) for frame in frames] == [0.0] * 30 + [1.0] * 30


def test_depth_without_images_does_not_pile_up(tmp_path: Path) -> None:
    rows: list[bags.Row] = [("/image", i / 10, image(i / 10)) for i in range(5)]
    rows += [("/depth", i / 10, depth(i / 10, 1.0)) for i in range(300)]
    with open_source(write_bag(tmp_path / "alone", rows)) as source:
        assert len(list(source)) == 5
        assert len(source._depths) < 10


def test_damaged_images_are_skipped(tmp_path: Path) -> None:
    rows = [("/image/compressed", i / 10, compressed(i / 10, i, cut=300 if i == 2 else None)) for i in range(5)]
    frames, source = read(write_bag(tmp_path / "damaged", rows))
    assert len(frames) == 4
    assert source.skipped == {"damaged or unsupported image": 1}


def test_a_bag_whose_images_all_fail_says_why(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "h264", [("/image", 0, image(0, encoding="h264"))])
    with pytest.raises(SourceError, match="encoding 'h264' is not supported"):
        read(bag)


def test_raw_is_preferred_unless_it_was_recorded_with_gaps(tmp_path: Path) -> None:
    jpegs: list[bags.Row] = [("/cam/image/compressed", i / 10, compressed(i / 10, 200)) for i in range(40)]
    raw: list[bags.Row] = [("/cam/image", i / 10, image(i / 10, 100)) for i in range(40)]
    assert read(write_bag(tmp_path / "both", raw + jpegs))[0][0].image[0, 0, 0] == 100
    assert len(read(write_bag(tmp_path / "gaps", raw[::2] + jpegs))[0]) == 40


def test_own_pictures_in_the_bag_are_no_camera(tmp_path: Path) -> None:
    rows = [("/image", 0, image(0)), ("/cc/overlay", 0, image(0, 9))]
    assert read(write_bag(tmp_path / "own", rows))[0][0].image[0, 0, 0] == 0


def test_several_cameras_need_a_choice(tmp_path: Path) -> None:
    rows = [
        ("/left/image", 0, image(0, 1)),
        ("/right/image", 0, image(0, 2)),
        ("/right/camera_info", 0, camera_info(0)),
    ]
    bag = write_bag(tmp_path / "stereo", rows)
    with pytest.raises(SourceError, match=r"several cameras, choose one by image_topic: /left/image .*/right/image"):
        open_source(bag)
    left, right = (read(bag, image_topic=topic)[0][0] for topic in ("left/image", "/right/image"))
    assert (left.image[0, 0, 0], right.image[0, 0, 0]) == (1, 2)
    assert right.intrinsics is not None


def test_topics_can_be_named_or_left_out(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "walk", walk())
    frame = read(bag, depth_topic="none", odom_topic="none", camera_info_topic="none")[0][0]
    assert (frame.depth, frame.pose, frame.intrinsics) == (None, None, None)
    with pytest.raises(SourceError, match=r"/elsewhere is not in the bag; the bag has /camera/camera_info"):
        open_source(bag, odom_topic="/elsewhere")
    with pytest.raises(SourceError, match=r"/odom is nav_msgs/msg/Odometry, not sensor_msgs/msg/Image or"):
        open_source(bag, image_topic="/odom")
    with pytest.raises(SettingsError, match="unknown setting 'image'"):
        open_source(bag, image="/odom")


def test_a_bag_without_images_says_what_it_has(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "blind", [("/odom", 0, odometry(0, 0))])
    with pytest.raises(SourceError, match=r"no images.*it has /odom \(nav_msgs/msg/Odometry, 1 messages\)"):
        open_source(bag)
    with pytest.raises(SourceError, match=r"no images.*no messages at all"):
        open_source(write_bag(tmp_path / "empty", []))


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "walk", walk())
    (bag / "metadata.yaml").unlink()
    with pytest.raises(SourceError, match=r"lacks metadata.yaml: open walk.mcap itself, or run `ros2 bag reindex`"):
        open_source(bag)


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("keep", [0, 7, 0.3, 0.7, 0.98])
def test_truncated_recordings_raise_source_errors(tmp_path: Path, plugin: StoragePlugin, keep: float) -> None:
    bag = write_bag(tmp_path / "cut", walk(40), plugin)
    storage = next(file for file in bag.iterdir() if file.suffix in (".mcap", ".db3"))
    data = storage.read_bytes()
    storage.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(SourceError, match="cannot be read"):
        read(bag)


@pytest.mark.parametrize("text", ["", "rosbag2_bagfile_information: {version: 9}", "[", "a: 1", "- 1"])
def test_damaged_metadata_raises_source_errors(tmp_path: Path, text: str) -> None:
    bag = write_bag(tmp_path / "meta", walk())
    (bag / "metadata.yaml").write_text(text)
    with pytest.raises(SourceError, match="cannot be read"):
        open_source(bag)


def test_flipped_bytes_raise_nothing_but_source_errors(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "flip", walk(8), compression=CompressionMode.STORAGE)
    storage = bag / "flip.mcap"
    data = storage.read_bytes()
    rng = np.random.default_rng(3)
    outcomes = set()
    for _ in range(80):
        damaged = bytearray(data)
        for at in rng.integers(8, len(data), 3):
            damaged[at] ^= int(rng.integers(1, 256))
        storage.write_bytes(damaged)
        try:
            read(bag)
            outcomes.add("read")
        except SourceError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    rows: list[bags.Row] = []
    for i in range(2000):
        rows += [("/image", i / 100, image(i / 100)), ("/depth", i / 100, depth(i / 100, 1.0))]
        rows += [("/odom", i / 100, odometry(i / 100, 0.0))]
    with open_source(write_bag(tmp_path / "long", rows)) as source:
        most = 0
        for _ in source:
            most = max(most, len(source._depths))
    assert most < 20


def packed(file: Path, target: Path) -> Path:
    """Compress as ``zstd`` does; the library is whichever rosbags brings."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        with contextlib.suppress(ImportError):
            target.write_bytes(importlib.import_module(name).compress(file.read_bytes()))
            return target
    raise AssertionError("no zstd")


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_compressed_file_can_be_opened_by_itself(tmp_path: Path, plugin: StoragePlugin) -> None:
    storage = next(file for file in write_bag(tmp_path / "walk", walk(), plugin).iterdir() if file.suffix != ".yaml")
    file = packed(storage, tmp_path / f"{storage.name}.zstd")
    frames, source = read(file)
    assert len(frames) == 5
    assert source.name == file.name
    misnamed = packed(storage, tmp_path / storage.name)
    with pytest.raises(SourceError, match=rf"it is compressed; name it {storage.name}\.zstd"):
        open_source(misnamed)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SourceError, match="does not unpack as zstd"):
        read(file)


def test_a_file_whose_messages_are_compressed_can_be_opened_by_itself(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "walk", walk(), StoragePlugin.SQLITE3, CompressionMode.MESSAGE)
    assert len(read(bag / "walk.db3")[0]) == 5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.mcap",
            MCAP + b"\4\0\0\0ros1" + bytes(40),
            "of profile 'ros1', not a recording of ROS 2: .*rosbags-convert",
        ),
        ("a.mcap", MCAP + b"\0\0\0\0" + bytes(40), "without a profile, not a recording of ROS 2: .*protobuf, JSON"),
        ("a.mcap", b"SQLite format 3\0", "is no MCAP file"),
        ("a.mcap", b"", "is empty, nothing was recorded"),
        ("a.db3", b"\x89MCAP0\r\n", "is no SQLite file"),
    ],
)
def test_an_intact_file_of_another_kind_is_told_by_what_it_is(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=words) as raised:
        open_source(tmp_path / name)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 9", "version: 99", "version 99 not supported"),
        ("storage_identifier: sqlite3", "storage_identifier: other", "'other' not supported"),
        ("serialization_format: cdr", "serialization_format: protobuf", "'protobuf'.* is not supported"),
        ("- walk.db3", "- gone.db3", "gone.db3"),
    ],
)
def test_what_is_not_supported_is_not_called_damaged(tmp_path: Path, old: str, new: str, words: str) -> None:
    metadata = write_bag(tmp_path / "walk", walk(), StoragePlugin.SQLITE3) / "metadata.yaml"
    assert old in metadata.read_text()
    metadata.write_text(metadata.read_text().replace(old, new))
    with pytest.raises(SourceError, match=words) as raised:
        open_source(tmp_path / "walk")
    assert "truncated" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "sensor_msgs/msg/Image",
        "sensor_msgs/Image",
        "sensor_msgs.msg.Image",
        "sensor_msgs::msg::Image",
        "sensor_msgs::msg::dds_::Image_",
    ],
)
def test_types_are_known_in_every_spelling(tmp_path: Path, name: str) -> None:
    assert ros_type(name) == "sensor_msgs/msg/Image"
    bag = write_bag(tmp_path / "bag", [("/image", 0.0, image(0, 9))], StoragePlugin.SQLITE3)
    with contextlib.closing(sqlite3.connect(bag / "bag.db3")) as database, database:
        database.execute("UPDATE topics SET type = ?", (name,))
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("sensor_msgs/msg/Image", name))
    for path in (bag, bag / "bag.db3"):
        assert read(path)[0][0].image[0, 0, 0] == 9


@pytest.mark.parametrize("name", ["Image", "a/b/c/d", "", "std_msgs/msg/String", "my.pkg/msg/Thing", "proto.v1.Image"])
def test_other_types_are_left_as_they_are(name: str) -> None:
    assert ros_type(name) == name


def test_a_message_that_is_none_says_so(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [("/image", i / 10, image(i / 10)) for i in range(3)], StoragePlugin.SQLITE3)
    with contextlib.closing(sqlite3.connect(bag / "bag.db3")) as database, database:
        database.execute("UPDATE messages SET data = x'00010000ffff' WHERE id = 2")
    frames, source = read(bag)
    assert len(frames) == 2
    assert source.losses()[0].startswith("damaged message (1); first: 6 bytes on /image are no sensor_msgs/msg/Image")

"""What is written to a memory is read back, survives kills, stays within its bounds, and goes for good."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.remembered import BEGIN, candidate, fill, plain, scenery
from support.rig import environment

from cc_ros.keyframes import KeyframeRequest
from cc_ros.memory import Asked, Memory, MemoryFault, MemoryReader, MemorySettings, database
from cc_ros.memory.forgetting import compact, export, forget
from cc_ros.memory.writing import WAITING


def rows(path: Path, query: str) -> list[tuple]:
    with sqlite3.connect(path / database.FILE) as db:
        return db.execute(query).fetchall()


def test_a_keyframe_comes_back_with_masks_pose_and_depths(tmp_path: Path) -> None:
    image, labels = scenery()[:, :320].copy(), np.zeros((240, 320), np.uint16)
    labels[50:100, 60:120] = 5
    pose, depth = np.eye(4), np.full((240, 320), 2.5, np.float32)
    pose[:3, 3] = 1, 2, 3
    memory = Memory(MemorySettings(memory_dir=str(tmp_path)))
    memory.new_episode("camera")
    memory.offer(candidate(7, 0.5, image, labels, pose=pose, depth=depth), BEGIN, "map")
    memory.note(Asked(BEGIN + 1, "What is 5?", "a box", source="model", marks=(5,), keyframes=(BEGIN + 0.5,)))
    memory.close()
    with MemoryReader(tmp_path) as reader:
        (frame,) = reader.frames(KeyframeRequest(since=1.0), 8)
        (known,) = reader.objects()
        (episode,) = reader.episodes()
        assert [one.question for one in reader.questions("box")] == ["What is 5?"]
        assert reader.questions("cupboard") == [] and reader.questions('"OR (') == []
    assert np.array_equal(frame.labels(), labels) and frame.stamp == BEGIN + 0.5 and frame.index == 7
    assert np.abs(frame.image().astype(int) - image).mean() < 3
    assert frame.depths == {5: 2.5} and np.array_equal(frame.pose, pose)
    assert known.id == 5 and known.state == "present" and known.first_seen == known.last_seen == BEGIN + 0.5
    x, y = labels.nonzero()[1].mean(), labels.nonzero()[0].mean()
    expected = (1 + 2.5 * (x - 160) / 260, 2 + 2.5 * (y - 120) / 260, 5.5)
    assert known.place == pytest.approx(expected, abs=1e-3) and known.world_frame == "map"
    assert (episode.source, episode.world, episode.keyframes, episode.objects) == ("camera", "map", 1, 1)


def test_a_keyframe_whose_objects_were_detected_is_waited_for(tmp_path: Path) -> None:
    memory = Memory(MemorySettings(memory_dir=str(tmp_path), memory_period=1.0))
    memory.new_episode("camera")
    for i, carried in enumerate([False, *[True] * 10, False, *[True] * 18]):
        one = candidate(i, i / 10, scenery()[:, :320].copy(), np.zeros((240, 320), np.uint16))
        memory.offer(dataclasses.replace(one, carried=carried), BEGIN)
    memory.close()
    with MemoryReader(tmp_path) as reader:
        assert [frame.index for frame in reader.frames(KeyframeRequest(since=1.0), 8)] == [0, 11, 26]


def test_only_its_owner_can_look_into_it(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    fill(path, 2)
    for entry in (path, *path.rglob("*")):
        assert entry.stat().st_mode & 0o077 == 0, entry


def test_ten_kills_lose_no_second_and_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.remembered", str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    offered = [float(line) for line in done.stdout.split()]
    assert len(offered) == 10, done.stderr
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    with MemoryReader(tmp_path) as reader:
        for last in offered:
            kept = reader.keyframes(KeyframeRequest(since=last - 500, until=last + 1))
            assert last - kept[-1][1] <= 1.0
        assert all(reader.frame(row) is not None for row, *_ in reader.keyframes())


def test_beyond_the_bound_the_old_is_thinned_evenly_and_not_cut_off(tmp_path: Path) -> None:
    fill(tmp_path, 1500, memory_megabytes=1.0)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    with MemoryReader(tmp_path) as reader:
        stamps = np.array([stamp for _, stamp, _ in reader.keyframes()]) - BEGIN
        for begin in range(0, 1500, 250):  # a question about any span is answered from pictures of that span
            window = KeyframeRequest(since=BEGIN + begin, until=BEGIN + begin + 249)
            frames = reader.frames(window, 4)
            drawn = [int(frame.image()[-4, 40].mean()) for frame in frames]
            expected = [frame.index % 256 for frame in frames]
            assert len(frames) == 4 and np.abs(np.subtract(drawn, expected)).max() < 12
            assert begin <= frames[0].stamp - BEGIN < begin + 60 and frames[-1].stamp - BEGIN > begin + 180
    gaps = np.diff(stamps)
    old = stamps[1:] < 800
    assert 200 < len(stamps) < 1400 and size < 1.3e6
    assert stamps[0] < 16 and stamps[-1] == 1499
    assert gaps[old].max() <= 2.5 * np.median(gaps[old]) and np.median(gaps[-100:]) <= np.median(gaps[old])


def test_what_is_older_than_the_days_is_forgotten(tmp_path: Path) -> None:
    fill(tmp_path, 5, begin=BEGIN - 3 * 86400)
    fill(tmp_path, 40, memory_days=2.0)
    with MemoryReader(tmp_path) as reader:
        assert min(stamp for _, stamp, _ in reader.keyframes()) >= BEGIN
    assert len(list((tmp_path / "pictures").rglob("*.jpg"))) == 40


def test_frames_that_the_disk_is_too_slow_for_are_counted(tmp_path: Path) -> None:
    memory = Memory(MemorySettings(memory_dir=str(tmp_path)))
    memory.new_episode()
    memory.offer(plain(0, 0.0), BEGIN)
    assert memory.flush()
    other = sqlite3.connect(tmp_path / database.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # a disk that does not get on
    for index in range(1, 2 * WAITING + 5):
        memory.offer(plain(index, float(index)), BEGIN)
    dropped = memory.health()[1]["memory_frames_dropped_disk_too_slow"]
    other.execute("ROLLBACK")
    other.close()
    memory.close()
    with MemoryReader(tmp_path) as reader:
        kept = len(reader.keyframes())
    assert isinstance(dropped, int) and dropped >= WAITING and kept == 2 * WAITING + 5 - dropped


def test_a_memory_of_a_newer_version_is_refused_and_an_older_one_brought_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 3)
    own = max(database.MIGRATIONS)
    newer = {
        **database.MIGRATIONS,
        own + 1: "CREATE TABLE rooms (id INTEGER PRIMARY KEY);\nINSERT INTO rooms VALUES (9);",
    }
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", newer)
        with MemoryReader(tmp_path) as reader:
            assert len(reader.keyframes()) == 3
        assert rows(tmp_path, "PRAGMA user_version") == [(own + 1,)]
        assert rows(tmp_path, "SELECT id FROM rooms") == [(9,)]
    with pytest.raises(MemoryFault, match=f"is of version {own + 1}, newer than {own}"):
        MemoryReader(tmp_path)


def test_a_folder_without_a_memory_or_with_a_damaged_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(MemoryFault, match="there is no memory"):
        MemoryReader(tmp_path)
    (tmp_path / database.FILE).write_bytes(b"something else" * 100)
    with pytest.raises(MemoryFault, match="move the folder away"):
        Memory(MemorySettings(memory_dir=str(tmp_path)))
    with pytest.raises(MemoryFault, match="cannot be made"):
        Memory(MemorySettings(memory_dir=str(tmp_path / database.FILE / "below")))


def test_what_is_forgotten_leaves_no_trace_in_any_file(tmp_path: Path) -> None:
    memory = Memory(MemorySettings(memory_dir=str(tmp_path)))
    memory.new_episode()
    for index in range(12):
        memory.offer(plain(index, float(index), (1, 2) if index < 6 else (1,)), BEGIN)
        assert memory.flush()
    memory.note(Asked(BEGIN + 3, "Where is the xylophone?", "by 2", marks=(2,)))
    memory.note(Asked(BEGIN + 9, "Where is the lamp?", "by 1", marks=(1,)))
    assert memory.flush()
    gone = forget(tmp_path, KeyframeRequest(), objects=[2])  # while it is written
    assert (gone.keyframes, gone.objects, gone.questions) == (6, 1, 1) and gone.bytes > 0
    memory.offer(plain(12, 12.0, (1,)), BEGIN)
    memory.close()
    with MemoryReader(tmp_path) as reader:
        assert [known.id for known in reader.objects()] == [1]
        assert [stamp - BEGIN for _, stamp, _ in reader.keyframes()] == [*range(6, 13)]
    assert len(list((tmp_path / "pictures").rglob("*.*"))) == 14
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"xylophone" not in everything and b"lamp" in everything
    assert forget(tmp_path, KeyframeRequest()).keyframes == 7
    assert not list((tmp_path / "pictures").rglob("*.*"))


def test_compact_removes_what_no_row_leads_to_and_export_writes_what_there_is(tmp_path: Path) -> None:
    path, out = tmp_path / "memory", tmp_path / "out"
    fill(path, 6)
    stray = path / "pictures" / "000000" / "000000003.jpg"
    with sqlite3.connect(path / database.FILE) as db:
        db.execute("DELETE FROM keyframes WHERE id = 3")
    db.close()
    compact(path)
    assert not stray.exists() and len(list(path.rglob("*.jpg"))) == 5
    assert export(path, out, KeyframeRequest(until=BEGIN + 3.5)) == 3
    assert len(list((out / "pictures").iterdir())) == len(list((out / "labels").iterdir())) == 3
    assert '"objects"' in (out / "memory.json").read_text()

"""Forget for good, make smaller, and take out: what ``cc-ros memory`` does besides reading."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cc_ros.errors import CCError
from cc_ros.keyframes.keyframes import KeyframeRequest
from cc_ros.memory import files
from cc_ros.memory.database import MemoryFault, Progress, open_database, transaction
from cc_ros.memory.reading import MemoryReader

_AT_ONCE = 500  # keyframes between two reports of progress


@dataclass(frozen=True, slots=True)
class Gone:
    """How much was forgotten."""

    keyframes: int
    objects: int
    questions: int
    bytes: int


def forget(
    path: Path, request: KeyframeRequest, *, objects: Iterable[int] = (), progress: Progress | None = None
) -> Gone:
    """Forget a window of time, an episode, objects, or all: pictures, maps, rows, words, and their traces in the file.

    :param request: of its fields, since, until and episode; with none of them and no objects, everything goes.
    :param objects: numbers; every keyframe that shows one of them goes with it, since it is in the picture.
    :raises MemoryFault: it cannot be opened or written.
    """
    with _changing(path) as db:
        before = _size(path)
        wanted = list(objects)
        rows = _rows(db, request, wanted)
        for at in range(0, len(rows), _AT_ONCE):
            part = rows[at : at + _AT_ONCE]
            files.remove(path, part)  # before the rows: should this be killed, the rows lead to what is left
            with transaction(db):
                db.executemany("DELETE FROM keyframes WHERE id = ?", [(row,) for row in part])
            if progress is not None:
                progress(min(at + _AT_ONCE, len(rows)), len(rows))
        with transaction(db):
            gone = _forget_objects(db, request, wanted)
            asked = _forget_questions(db, request, wanted)
            db.execute("DELETE FROM episodes WHERE NOT EXISTS (SELECT 1 FROM keyframes WHERE episode = episodes.id)")
            db.execute("INSERT INTO words (words) VALUES ('rebuild')")  # its index keeps words that were deleted
        _shrink(db, path)
        return Gone(len(rows), gone, asked, max(before - _size(path), 0))


def compact(path: Path) -> int:
    """Give unused space back, and remove files that no row leads to; return the bytes.

    :raises MemoryFault: it cannot be opened or written.
    """
    with _changing(path) as db:
        before = _size(path)
        known = {row for (row,) in db.execute("SELECT id FROM keyframes")}
        newest = max(known, default=0)  # what is newer is only just being written
        files.remove(path, [row for row in files.stored(path) if row not in known and row < newest])
        _shrink(db, path)
        return before - _size(path)


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    db = open_database(path)
    try:
        yield db
    except sqlite3.Error as error:
        raise MemoryFault(f"the memory in {path} could not be changed: {error}") from error
    finally:
        db.close()


def export(path: Path, out: Path, request: KeyframeRequest, progress: Progress | None = None) -> int:
    """Write keyframes as JPEG and 16-bit PNG maps, and all that is known of them as ``memory.json``; return how many.

    :param out: a folder that is made, or empty.
    :raises CCError: it cannot be written, or holds something.
    """
    import cv2

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CCError(f"{out} is not empty: name another folder")
    try:
        for part in ("pictures", "labels"):
            (out / part).mkdir(parents=True, exist_ok=True)
        with MemoryReader(path) as reader:
            rows, told = reader.keyframes(request), []
            for done, (row, stamp, episode) in enumerate(rows, 1):
                frame = reader.frame(row)
                if frame is None:
                    continue
                (out / "pictures" / f"{row:09d}.jpg").write_bytes(frame.jpeg)
                (out / "labels" / f"{row:09d}.png").write_bytes(cv2.imencode(".png", frame.labels())[1].tobytes())
                k, pose = (None if a is None else a.tolist() for a in (frame.intrinsics, frame.pose))
                shown = [{"id": i, "area": area, "depth": frame.depths.get(i)} for i, area in frame.areas.items()]
                told.append({"row": row, "stamp": stamp, "episode": episode, "k": k, "pose": pose, "objects": shown})
                if progress is not None:
                    progress(done, len(rows))
            content = {
                "keyframes": told,
                "objects": [asdict(one) for one in reader.objects(request)],
                "questions": [asdict(one) for one in reader.questions("", request.since, request.until, limit=10**6)],
                "episodes": [asdict(one) for one in reader.episodes()],
            }
        (out / "memory.json").write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise CCError(f"{out} cannot be written: {error.strerror or error}") from error
    return len(told)


def _rows(db: sqlite3.Connection, request: KeyframeRequest, objects: list[int]) -> list[int]:
    where, values = "stamp BETWEEN ? AND ?", [request.since, request.until or math.inf]
    if request.episode:
        where += " AND episode = ?"
        values.append(request.episode)
    if objects:
        where += (
            " AND id IN (SELECT keyframe FROM sightings JOIN tracks ON tracks.id = sightings.track WHERE object IN "
            f"({', '.join('?' * len(objects))}))"
        )
        values += objects
    return [row for (row,) in db.execute(f"SELECT id FROM keyframes WHERE {where}", values)]


def _forget_objects(db: sqlite3.Connection, request: KeyframeRequest, objects: list[int]) -> int:
    """Forget the objects that were named, else those of which no keyframe is left."""
    before = db.total_changes
    if objects and not (request.since or request.until or request.episode):
        cursor = db.executemany("DELETE FROM objects WHERE id = ?", [(number,) for number in objects])
        return max(cursor.rowcount, 0) if db.total_changes > before else 0
    db.execute("DELETE FROM tracks WHERE NOT EXISTS (SELECT 1 FROM sightings WHERE track = tracks.id)")
    return db.execute("DELETE FROM objects WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE object = objects.id)").rowcount


def _forget_questions(db: sqlite3.Connection, request: KeyframeRequest, objects: list[int]) -> int:
    """Forget the questions of the window, and those whose answers are about an object that goes."""
    if objects:
        named = f"EXISTS (SELECT 1 FROM json_each(marks) WHERE value IN ({', '.join('?' * len(objects))}))"
        return db.execute(f"DELETE FROM questions WHERE {named}", objects).rowcount
    since, until = request.since, request.until or math.inf
    if request.episode:
        span = db.execute("SELECT begin, end FROM episodes WHERE id = ?", (request.episode,)).fetchone()
        since, until = span or (math.inf, 0.0)
    return db.execute("DELETE FROM questions WHERE stamp BETWEEN ? AND ?", (since, until)).rowcount


def _shrink(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files.remove_empty_folders(path)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

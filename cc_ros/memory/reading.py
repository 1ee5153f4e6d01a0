"""Read a memory: frames of a window, what is known of objects, questions asked before."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from cc_ros.keyframes.keyframes import KeyframeRequest
from cc_ros.keyframes.store import KeptFrame, evenly_spaced
from cc_ros.keyframes.types import RememberedObject
from cc_ros.memory import files
from cc_ros.memory.captions import Vector, fitting
from cc_ros.memory.database import folder, open_database
from cc_ros.memory.types import Asked, Caption, Episode

MOST_OBJECTS = 500  # told at once, those seen last
_REFERENCES, _LOOKED_AT, _EACH = 96, 400, 3  # views to recognise by: how many, of how many, how often each object
_OBJECT = "id, state, first_seen, last_seen, changed, x, y, z, world"
_ASKED = "stamp, question, answer, message, status, kind, source, model, confidence, marks, keyframes"


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    stamp: float


class MemoryReader(AbstractContextManager["MemoryReader"]):
    """Reads a memory, also while another process or thread writes it. Thread-safe.

    :param path: of its folder.
    :raises MemoryFault: there is none, or it cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = folder(path)
        self._db = open_database(self.path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- an Archive of earlier episodes alone

    def numbered(self, frame: KeptFrame) -> KeptFrame:
        """Return the frame: what this reads has its lasting numbers."""
        return frame

    def number(self, id: int, first_seen: float) -> int:
        """Return the id: what this reads has its lasting numbers."""
        return id

    def frames(self, request: KeyframeRequest, count: int, vector: Vector | None = None) -> list[KeptFrame]:
        """Return up to ``count`` frames of the window of a request, with the objects' numbers.

        Up to half of them have captions that fit the words of the request; the others are drawn uniformly. Their stamps
        are seconds since 1970.

        :param vector: of the words of the request.
        """
        where, values = _window(request)
        with self._lock:
            rows = self._db.execute(f"SELECT id, stamp FROM keyframes WHERE {where} ORDER BY stamp", values)
            pool = [_Row(*row) for row in rows]
            if request.last_seconds and pool:
                pool = [row for row in pool if row.stamp >= pool[-1].stamp - request.last_seconds]
            chosen: dict[int, float] = {}
            if request.words and pool:
                within = f"{where} AND stamp >= ?", (*values, pool[0].stamp)
                chosen = fitting(self._db, request.words, vector, *within, (count + 1) // 2)
            others = [row for row in pool if row.id not in chosen]
            if count > len(chosen):
                chosen |= {row.id: row.stamp for row in evenly_spaced(others, count - len(chosen))}
            loaded = [load_frame(self.path, self._db, row) for row in sorted(chosen, key=lambda row: chosen[row])]
        return [frame for frame in loaded if frame is not None]

    def missing(self, request: KeyframeRequest) -> str:
        """Return for people what there are no keyframes of, and what the memory holds instead."""
        return f"no keyframes {_told(request)}: {self.told_span()}"

    def objects(self, request: KeyframeRequest = KeyframeRequest()) -> tuple[RememberedObject, ...]:
        """Return the objects that were seen in the window of a request, or whose state changed in it, by number.

        With no window those known last, at most :data:`MOST_OBJECTS`.
        """
        where, values = "1", list[float]()
        if request.since or request.until:
            since, until = request.since, request.until or math.inf
            within = "SELECT object FROM tracks WHERE last_seen >= ? AND first_seen <= ?"
            where = f"(id IN ({within}) OR changed BETWEEN ? AND ?)"
            values = [since, until, since, until]
        if request.episode:
            where += " AND id IN (SELECT object FROM tracks WHERE episode = ?)"
            values.append(request.episode)
        if request.near:
            where += " AND id = ?"
            values.append(request.near)
        with self._lock:
            (begin,) = self._db.execute("SELECT COALESCE(MAX(begin), 0) FROM episodes").fetchone()
            rows = self._db.execute(
                f"SELECT {_OBJECT} FROM objects WHERE {where} ORDER BY last_seen DESC LIMIT ?", (*values, MOST_OBJECTS)
            ).fetchall()
        return tuple(sorted((_remembered(row, begin) for row in rows), key=lambda one: one.id))

    def since(self) -> float:
        """Return when its oldest keyframe was taken, seconds since 1970; 0 = it has none."""
        span = self.span()
        return 0.0 if span is None else span[0]

    # -- more, for people

    def span(self) -> tuple[float, float] | None:
        """Return the first and last instant of its keyframes, seconds since 1970; None where it has none."""
        with self._lock:
            first, last = self._db.execute("SELECT MIN(stamp), MAX(stamp) FROM keyframes").fetchone()
        return None if first is None else (first, last)

    def told_span(self) -> str:
        """Return for people what there is."""
        span = self.span()
        return "the memory is empty" if span is None else f"the memory holds {_time(span[0])} to {_time(span[1])}"

    def episodes(self) -> list[Episode]:
        """Return every episode, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, begin, end, source, world, (SELECT COUNT(*) FROM keyframes WHERE episode = episodes.id), "
                "(SELECT COUNT(DISTINCT object) FROM tracks WHERE episode = episodes.id), "
                "(SELECT COALESCE(SUM(bytes), 0) FROM keyframes WHERE episode = episodes.id) FROM episodes ORDER BY id"
            ).fetchall()
        return [Episode(*row) for row in rows]

    def changes(self, number: int) -> list[tuple[float, str, str]]:
        """Return when the state of an object changed: seconds since 1970, the new state, the one before."""
        with self._lock:
            return self._db.execute(
                "SELECT stamp, state, before FROM changes WHERE object = ? ORDER BY stamp", (number,)
            ).fetchall()

    def questions(self, words: str = "", since: float = 0.0, until: float = 0.0, limit: int = 50) -> list[Asked]:
        """Return questions with their answers, the newest first.

        :param words: that question or answer must hold; "" = any.
        """
        where, values = "stamp BETWEEN ? AND ?", [since, until or math.inf]
        if words.strip():
            where += " AND id IN (SELECT rowid FROM words WHERE words MATCH ?)"
        match = [" ".join('"' + word.replace('"', '""') + '"' for word in words.split())] if words.strip() else []
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_ASKED} FROM questions WHERE {where} ORDER BY stamp DESC LIMIT ?", (*values, *match, limit)
            ).fetchall()
        named = [dict(zip(_ASKED.split(", "), row, strict=True)) for row in rows]
        return [Asked(**row | {name: tuple(json.loads(row[name])) for name in ("marks", "keyframes")}) for row in named]

    def captions(self, words: str = "", request: KeyframeRequest = KeyframeRequest(), limit: int = 50) -> list[Caption]:
        """Return what a model said of the keyframes of a window: what fits the words best first, or the newest first.

        :param words: that captions are searched for; "" = any.
        """
        where, values = _window(request)
        with self._lock:
            wanted = list(fitting(self._db, words, None, where, values, limit)) if words.strip() else None
            rows = self._db.execute(
                "SELECT keyframe, stamp, caption, model FROM captions JOIN keyframes ON keyframes.id = keyframe "
                f"WHERE {where} ORDER BY stamp DESC LIMIT ?",
                (*values, limit if wanted is None else -1),
            ).fetchall()
        captions = {row[0]: Caption(*row) for row in rows}
        return list(captions.values()) if wanted is None else [captions[row] for row in wanted]

    def keyframes(self, request: KeyframeRequest = KeyframeRequest()) -> list[tuple[int, float, int]]:
        """Return row, stamp and episode of every keyframe in a window, oldest first."""
        where, values = _window(request)
        with self._lock:
            return self._db.execute(
                f"SELECT id, stamp, episode FROM keyframes WHERE {where} ORDER BY stamp", values
            ).fetchall()

    def frame(self, row: int) -> KeptFrame | None:
        """Return a keyframe by its row; None where it is not there any more."""
        with self._lock:
            return load_frame(self.path, self._db, row)


def load_frame(path: Path, db: sqlite3.Connection, row: int) -> KeptFrame | None:
    """Return a keyframe with the objects' numbers in its map; None where it, or one of its files, has gone."""
    found = db.execute("SELECT stamp, number, width, height, k, pose FROM keyframes WHERE id = ?", (row,)).fetchone()
    if found is None:
        return None
    try:
        jpeg, packed = files.picture_path(path, row).read_bytes(), files.map_path(path, row).read_bytes()
    except OSError:
        return None
    stamp, index, width, height, k, pose = found
    sights = db.execute(
        "SELECT tracks.track, object, area, confidence, depth "
        "FROM sightings JOIN tracks ON tracks.id = sightings.track WHERE keyframe = ?",
        (row,),
    ).fetchall()
    frame = KeptFrame(
        index,
        stamp,
        jpeg,
        packed,
        (width, height),
        {track: area for track, _, area, _, _ in sights},
        {track: confidence for track, _, _, confidence, _ in sights},
        {},
        {track: depth for track, _, _, _, depth in sights if depth is not None},
        None if k is None else np.frombuffer(k).reshape(3, 3),
        None if pose is None else np.frombuffer(pose).reshape(4, 4),
    )
    try:
        return frame.renumbered({track: number for track, number, *_ in sights})
    except (zlib.error, ValueError):  # cut short, when the machine lost its power
        return None


def reference_frames(path: Path, db: sqlite3.Connection, running: int) -> Iterator[tuple[KeptFrame, str]]:
    """Yield frames to recognise objects by, with the names of their worlds, the oldest first.

    Of the newest ones, spread over time, those that show what the ones after them do not show often enough.

    :param running: the episode that is written, whose objects have no certain numbers yet.
    """
    rows = db.execute(
        "SELECT id, stamp, world FROM keyframes WHERE episode != ? ORDER BY stamp DESC LIMIT 5000", (running,)
    ).fetchall()
    worlds = {row[0]: row[2] for row in rows}
    pool = evenly_spaced([_Row(*row[:2]) for row in reversed(rows)], _LOOKED_AT)
    often: Counter[int] = Counter()
    chosen: list[int] = []
    for row in reversed(pool):
        shown = db.execute(
            "SELECT object FROM sightings JOIN tracks ON tracks.id = sightings.track WHERE keyframe = ?", (row.id,)
        )
        numbers = {number for (number,) in shown}
        if any(often[number] < _EACH for number in numbers) and len(chosen) < _REFERENCES:
            often.update(numbers)
            chosen.append(row.id)
    for one in reversed(chosen):
        frame = load_frame(path, db, one)
        if frame is not None:
            yield frame, worlds[one]


def _window(request: KeyframeRequest) -> tuple[str, list[float]]:
    where, values = "stamp BETWEEN ? AND ?", [request.since, request.until or math.inf]
    if request.episode:
        where += " AND episode = ?"
        values.append(request.episode)
    if request.near:
        where += (
            " AND id IN (SELECT keyframe FROM sightings JOIN tracks ON tracks.id = sightings.track WHERE object = ?)"
        )
        values.append(request.near)
    return where, values


def _remembered(row: tuple, begin: float) -> RememberedObject:
    number, state, first_seen, last_seen, changed, x, y, z, world = row
    if state != "absent" and (state != "moved" or changed < begin):
        state = "present" if last_seen >= begin else "unseen"
    return RememberedObject(
        number, state, first_seen, last_seen, changed, None if x is None else (x, y, z), "" if x is None else world
    )


def _told(request: KeyframeRequest) -> str:
    parts = [
        f"from {_time(request.since)} on" if request.since else "",
        f"up to {_time(request.until)}" if request.until else "",
        f"of episode {request.episode}" if request.episode else "",
        f"that show mark {request.near}" if request.near else "",
    ]
    return " ".join(part for part in parts if part) or "at all"


def _time(stamp: float) -> str:
    return datetime.fromtimestamp(stamp).isoformat(" ", "seconds")

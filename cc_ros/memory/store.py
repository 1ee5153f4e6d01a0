"""What is written to a memory: keyframes, objects, tracks, questions, and what goes to stay within the bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cc_ros.keyframes.store import KeptFrame
from cc_ros.memory import files
from cc_ros.memory.database import open_database, transaction
from cc_ros.memory.types import Asked, TrackKey

RECENT = 600.0  # seconds in which nothing is forgotten for having been seen briefly
NEWEST = 4  # one in so many keyframes, the newest, are not thinned
BATCH = 16  # keyframes that go at once
ROOM = 0.97  # share of the bound that is left after thinning
BRIEF = 5  # objects in fewer keyframes are forgotten with the last of them
PRUNE_EVERY = 1000  # keyframes between two searches for such objects
_TOP_LEVEL = 24


@dataclass(slots=True)
class Known:
    """One object of the memory.

    :param number: that lasts.
    :param descriptor: c float32 unit vector, its appearance; None = not described yet.
    :param place: 3 float64, metres in ``world``; None = unknown.
    :param changed: since when the state is so, seconds since 1970.
    :param described: how many descriptors went into ``descriptor``, as far as counted.
    """

    number: int
    first_seen: float
    last_seen: float
    state: str = "present"
    changed: float = 0.0
    seen: int = 0
    place: np.ndarray | None = None
    world: str = ""
    descriptor: np.ndarray | None = None
    described: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """One object in one keyframe: its track's row, pixels, 0..1, metres or None, and its box in pixels."""

    track: int
    area: int
    confidence: float
    depth: float | None
    box: tuple[float, float, float, float]


class MemoryStore:
    """One writer of a memory; for one thread.

    :param path: of the folder; made where missing.
    :param megabytes: bound of all that is kept.
    :param days: what was seen longer ago is forgotten; 0 = nothing.
    :raises MemoryFault: it cannot be used.
    """

    def __init__(self, path: Path, megabytes: float, days: float = 0.0) -> None:
        self.path = path
        self._bound = megabytes * 1e6
        self._days = days
        self.db = open_database(path, create=True)
        self._files, self._count = self._totals()
        self._since_pruned = 0
        self._version = self._data_version()
        self.thinned = 0

    def bytes(self) -> int:
        """Return the size of all that is kept."""
        pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return self._files + (pages - free) * size

    def changed_by_others(self) -> bool:
        """Whether another process has written, such as ``cc-ros memory forget``, since this was last asked."""
        before, self._version = self._version, self._data_version()
        if before != self._version:
            self._files, self._count = self._totals()
        return before != self._version

    # -- what is known

    def known(self) -> dict[int, Known]:
        """Return every object by its number."""
        rows = self.db.execute(
            "SELECT id, first_seen, last_seen, state, changed, seen, x, y, z, world, descriptor FROM objects"
        )
        return {
            row[0]: Known(
                *(row[0], row[1], row[2], row[3], row[4], row[5]),
                None if row[6] is None else np.array(row[6:9]),
                row[9],
                None if row[10] is None else np.frombuffer(row[10], np.float32),
                row[5],
            )
            for row in rows
        }

    def near(self, point: np.ndarray, reach: float, world: str) -> list[int]:
        """Return the objects whose places are within a box of ``2 reach`` metres about a point of a world."""
        low, high = point - reach, point + reach
        rows = self.db.execute(
            "SELECT objects.id FROM places JOIN objects ON objects.id = places.object WHERE x1 >= ? AND x0 <= ? AND "
            "y1 >= ? AND y0 <= ? AND z1 >= ? AND z0 <= ? AND world = ?",
            (low[0], high[0], low[1], high[1], low[2], high[2], world),
        )
        return [row[0] for row in rows]

    # -- writing

    def begin_episode(self, stamp: float, source: str) -> int:
        """Begin an episode and return its number."""
        return self._insert(
            "INSERT INTO episodes (begin, end, source, world) VALUES (?, ?, ?, '')", stamp, stamp, source
        )

    def add_track(self, episode: int, key: TrackKey, stamp: float, number: int) -> int:
        """Return the row of a new track."""
        return self._insert(
            "INSERT INTO tracks (episode, track, named, first_seen, last_seen, object) VALUES (?, ?, ?, ?, ?, ?)",
            *(episode, key.id, key.first_seen, stamp, stamp, number),
        )

    def give_track(self, track: int, number: int) -> None:
        """Say that a track is another object; one that has no track left is gone."""
        (before,) = self.db.execute("SELECT object FROM tracks WHERE id = ?", (track,)).fetchone() or (number,)
        self.db.execute("UPDATE tracks SET object = ? WHERE id = ?", (number, track))
        self.db.execute(
            "DELETE FROM objects WHERE id = ? AND NOT EXISTS (SELECT 1 FROM tracks WHERE object = objects.id)",
            (before,),
        )

    def add_keyframe(self, episode: int, stamp: float, frame: KeptFrame, world: str, sights: Iterable[Sight]) -> int:
        """Write a keyframe and return its row.

        :param stamp: seconds since 1970.
        :raises MemoryFault: its files cannot be written.
        """
        width, height = frame.size
        k, pose = (None if a is None else np.asarray(a, np.float64).tobytes() for a in (frame.intrinsics, frame.pose))
        values = (episode, stamp, frame.index, width, height, k, pose, world if pose is not None else "")
        row = self._insert(
            "INSERT INTO keyframes (episode, stamp, number, level, bytes, width, height, k, pose, world) "
            "VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
            *values,
        )
        size = files.write(self.path, row, frame.jpeg, frame.packed_labels)
        level = min((row & -row).bit_length() - 1, _TOP_LEVEL)  # how often it can be halved: half of all are of level 0
        self.db.execute("UPDATE keyframes SET level = ?, bytes = ? WHERE id = ?", (level, size, row))
        sights = list(sights)
        self.db.executemany(
            "INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row, s.track, s.area, s.confidence, s.depth, *s.box) for s in sights],
        )
        self.db.executemany("UPDATE tracks SET last_seen = ? WHERE id = ?", [(stamp, s.track) for s in sights])
        self.db.execute(
            "UPDATE episodes SET end = ?, world = CASE WHEN world = '' THEN ? ELSE world END WHERE id = ?",
            (stamp, values[-1], episode),
        )
        self._files += size
        self._count += 1
        self._since_pruned += 1
        return row

    def put(self, known: Known) -> None:
        """Write an object as it is now known."""
        place = [None] * 3 if known.place is None else [float(value) for value in known.place]
        descriptor = None if known.descriptor is None else known.descriptor.astype(np.float32).tobytes()
        self.db.execute(
            "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "last_seen = excluded.last_seen, seen = excluded.seen, state = excluded.state, changed = excluded.changed, "
            "x = excluded.x, y = excluded.y, z = excluded.z, world = excluded.world, descriptor = excluded.descriptor",
            (
                *(known.number, known.first_seen, known.last_seen, known.seen, known.state, known.changed, *place),
                *(known.world, descriptor),
            ),
        )
        if known.place is not None:
            x, y, z = place
            self.db.execute(
                "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?, ?, ?)", (known.number, x, x, y, y, z, z)
            )

    def note_change(self, number: int, stamp: float, state: str, before: str) -> None:
        """Keep that the state of an object changed."""
        self.db.execute(
            "INSERT INTO changes (stamp, object, state, before) VALUES (?, ?, ?, ?)", (stamp, number, state, before)
        )

    def add_question(self, asked: Asked) -> None:
        """Keep a question with its answer."""
        self._insert(
            "INSERT INTO questions (stamp, question, answer, message, status, kind, source, model, confidence, marks, "
            "keyframes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(asked.stamp, asked.question, asked.answer, asked.message, asked.status, asked.kind, asked.source),
            *(asked.model, asked.confidence, json.dumps(asked.marks), json.dumps(asked.keyframes)),
        )

    # -- staying within the bounds

    def bound(self, now: float, batches: int = 1) -> int:
        """Remove what goes beyond the bounds; return how many keyframes went.

        All but the newest quarter is thinned evenly: every second keyframe goes, the oldest first, then every second of
        the rest.

        :param now: seconds since 1970, of the stream.
        :param batches: at most so many times :data:`BATCH` keyframes: a call takes milliseconds.
        """
        gone = 0
        for _ in range(batches):
            rows = self._too_old(now) or self._too_many()
            if not rows:
                break
            self.remove(rows)
            gone += len(rows)
        self.thinned += gone
        if self._since_pruned >= PRUNE_EVERY:
            self._since_pruned = 0
            self._prune(now)
        return gone

    def remove(self, rows: list[int]) -> None:
        """Remove keyframes: their files first, so that none is left behind should this process be killed."""
        marks = ", ".join("?" * len(rows))
        size = self.db.execute(f"SELECT COALESCE(SUM(bytes), 0) FROM keyframes WHERE id IN ({marks})", rows).fetchone()
        files.remove(self.path, rows)
        with transaction(self.db):
            self.db.execute(f"DELETE FROM keyframes WHERE id IN ({marks})", rows)
        self._files -= int(size[0])
        self._count -= len(rows)

    def close(self) -> None:
        """Fold the log of the database into its file and close it."""
        try:
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.db.close()

    def _too_old(self, now: float) -> list[int]:
        if not self._days:
            return []
        before = now - self._days * 86400
        self.db.execute("DELETE FROM questions WHERE stamp < ?", (before,))
        rows = self.db.execute("SELECT id FROM keyframes WHERE stamp < ? ORDER BY stamp LIMIT ?", (before, BATCH))
        return [row[0] for row in rows]

    def _too_many(self) -> list[int]:
        if self.bytes() <= self._bound * ROOM:
            return []
        newest = self.db.execute(
            "SELECT stamp FROM keyframes ORDER BY stamp DESC LIMIT 1 OFFSET ?", (self._count // NEWEST,)
        ).fetchone()
        if newest is None:
            return []
        (level,) = self.db.execute("SELECT MIN(level) FROM keyframes WHERE stamp <= ?", newest).fetchone()
        rows = self.db.execute(
            "SELECT id FROM keyframes WHERE level = ? AND stamp <= ? ORDER BY stamp LIMIT ?", (level, *newest, BATCH)
        )
        return [row[0] for row in rows]

    def _prune(self, now: float) -> None:
        """Forget objects that were seen briefly and are in no keyframe now, and tracks and episodes without any."""
        old = now - RECENT
        with transaction(self.db):
            self.db.execute(
                "DELETE FROM tracks WHERE last_seen < ? AND NOT EXISTS "
                "(SELECT 1 FROM sightings WHERE track = tracks.id)",
                (old,),
            )
            self.db.execute(
                "DELETE FROM objects WHERE last_seen < ? AND (seen < ? OR last_seen < ?) AND NOT EXISTS "
                "(SELECT 1 FROM tracks WHERE object = objects.id)",
                (old, BRIEF, now - self._days * 86400 if self._days else 0.0),
            )
            self.db.execute(
                "DELETE FROM episodes WHERE end < ? AND NOT EXISTS "
                "(SELECT 1 FROM keyframes WHERE episode = episodes.id)",
                (old,),
            )

    def _insert(self, statement: str, *values: object) -> int:
        row = self.db.execute(statement, values).lastrowid
        assert row is not None
        return row

    def _totals(self) -> tuple[int, int]:
        """Return the bytes of all keyframes' files, and how many keyframes there are."""
        size, count = self.db.execute("SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM keyframes").fetchone()
        return size, count

    def _pragma(self, name: str) -> int:
        return int(self.db.execute(f"PRAGMA {name}").fetchone()[0])

    def _data_version(self) -> int:
        return self._pragma("data_version")

"""The SQLite file of a memory: its schema, its versions, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from cc_ros.errors import CCError

FILE = "memory.db"
BUSY = 10.0  # seconds to wait for another process that writes

_TABLES = """
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, begin REAL NOT NULL, end REAL NOT NULL,
    source TEXT NOT NULL, world TEXT NOT NULL
);
CREATE TABLE keyframes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    episode INTEGER NOT NULL REFERENCES episodes ON DELETE CASCADE,
    stamp REAL NOT NULL, number INTEGER NOT NULL, level INTEGER NOT NULL, bytes INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, k BLOB, pose BLOB, world TEXT NOT NULL
);
CREATE INDEX keyframes_by_stamp ON keyframes (stamp);
CREATE INDEX keyframes_by_level ON keyframes (level, stamp);
CREATE INDEX keyframes_by_episode ON keyframes (episode, stamp);
CREATE TABLE objects (
    id INTEGER PRIMARY KEY, first_seen REAL NOT NULL, last_seen REAL NOT NULL, seen INTEGER NOT NULL,
    state TEXT NOT NULL, changed REAL NOT NULL, x REAL, y REAL, z REAL, world TEXT NOT NULL, descriptor BLOB
);
CREATE INDEX objects_by_last_seen ON objects (last_seen);
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    episode INTEGER NOT NULL REFERENCES episodes ON DELETE CASCADE,
    track INTEGER NOT NULL, named REAL NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
    object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE
);
CREATE INDEX tracks_by_object ON tracks (object);
CREATE INDEX tracks_by_episode ON tracks (episode);
CREATE TABLE sightings (
    keyframe INTEGER NOT NULL REFERENCES keyframes ON DELETE CASCADE,
    track INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
    area INTEGER NOT NULL, confidence REAL NOT NULL, depth REAL,
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,
    PRIMARY KEY (keyframe, track)
) WITHOUT ROWID;
CREATE INDEX sightings_by_track ON sightings (track, keyframe);
CREATE VIRTUAL TABLE places USING rtree (object, x0, x1, y0, y1, z0, z1);
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN DELETE FROM places WHERE object = old.id; END;
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stamp REAL NOT NULL,
    object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE, state TEXT NOT NULL, before TEXT NOT NULL
);
CREATE INDEX changes_by_stamp ON changes (stamp);
CREATE INDEX changes_by_object ON changes (object);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stamp REAL NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    message TEXT NOT NULL, status INTEGER NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL,
    confidence REAL NOT NULL, marks TEXT NOT NULL, keyframes TEXT NOT NULL
);
CREATE INDEX questions_by_stamp ON questions (stamp);
CREATE VIRTUAL TABLE words USING fts5 (question, answer, content='questions', content_rowid='id');
CREATE TRIGGER questions_new AFTER INSERT ON questions BEGIN
    INSERT INTO words (rowid, question, answer) VALUES (new.id, new.question, new.answer); END;
CREATE TRIGGER questions_gone AFTER DELETE ON questions BEGIN
    INSERT INTO words (words, rowid, question, answer) VALUES ('delete', old.id, old.question, old.answer); END;
"""
_CAPTIONS = """
CREATE TABLE captions (
    keyframe INTEGER PRIMARY KEY REFERENCES keyframes ON DELETE CASCADE,
    caption TEXT NOT NULL, model TEXT NOT NULL, embedding BLOB, embedder TEXT NOT NULL
);
CREATE VIRTUAL TABLE captioned USING fts5 (
    caption, content='captions', content_rowid='keyframe', tokenize='porter unicode61'
);
CREATE TRIGGER captions_new AFTER INSERT ON captions BEGIN
    INSERT INTO captioned (rowid, caption) VALUES (new.keyframe, new.caption); END;
CREATE TRIGGER captions_gone AFTER DELETE ON captions BEGIN
    INSERT INTO captioned (captioned, rowid, caption) VALUES ('delete', old.keyframe, old.caption); END;
"""
MIGRATIONS: Mapping[int, str] = {1: _TABLES, 2: _CAPTIONS}
"""What leads to each version of the schema from the one before."""


class MemoryFault(CCError):
    """The memory cannot be read or written: its folder, a newer version, or damage."""


def folder(path: str | Path) -> Path:
    """Return a memory's folder."""
    return Path(path).expanduser()


def make_private(path: Path) -> None:
    """Make a folder that only its owner can look into.

    :raises MemoryFault: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise MemoryFault(f"the memory folder {path} cannot be made or used: {error.strerror or error}") from error


def open_database(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the memory in a folder, and bring it to the present version.

    :param create: make what is missing.
    :raises MemoryFault: there is none, it is damaged, or of a newer version.
    """
    file = path / FILE
    if create:
        make_private(path)
    elif not file.is_file():
        raise MemoryFault(f"there is no memory in {path} (it has no {FILE}): was it written with another memory_dir?")
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its other files the same mode
        db = sqlite3.connect(file, timeout=BUSY, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise MemoryFault(f"the memory {file} cannot be opened: {error}") from error
    try:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        _migrate(db, file)
    except sqlite3.Error as error:
        db.close()
        raise MemoryFault(f"the memory {file} cannot be used: {error}; move the folder away to begin anew") from error
    except MemoryFault:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, file: Path) -> None:
    newest = max(MIGRATIONS)
    if _version(db) == newest:
        return
    with transaction(db):  # of two processes, the second finds it done
        version = _version(db)
        if version > newest:
            raise MemoryFault(f"the memory {file} is of version {version}, newer than {newest}: update cc_ros")
        for number in range(version + 1, newest + 1):
            for statement in _statements(MIGRATIONS[number]):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {newest}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Return the statements of a script; ``executescript`` would end the transaction."""
    statements, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements


class transaction:
    """Everything within is written, or nothing of it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


Progress = Callable[[int, int], None]
"""Told how long work gets on: how much is done, of how much."""

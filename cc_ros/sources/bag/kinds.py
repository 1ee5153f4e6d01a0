"""Recognise recordings by name and first bytes, without the rosbags library."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cc_ros.errors import SourceError

BAG_SUFFIXES = (".mcap", ".db3")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20  # bytes that are unpacked at a time
_PACKED_SUFFIXES = (".zstd", ".zst")
_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"


def is_bag(path: Path) -> bool:
    """Whether ``path`` looks like a rosbag2: a folder with its metadata or storage files, or such a file itself."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or bool(storage_files(path))
    return _storage_suffix(path) is not None


def storage_files(path: Path) -> list[Path]:
    """Return the storage files of a bag's folder, compressed ones as well."""
    with suppress(OSError):
        return sorted(file for file in path.iterdir() if _storage_suffix(file) and not file.is_dir())
    return []


def check_bag_file(path: Path, shown: Path | None = None) -> None:
    """Refuse a storage file that is intact but no recording of ROS 2, by what it is.

    :param shown: the path for people, where ``path`` was unpacked from it.
    :raises SourceError: another profile, another kind of file, or empty.
    """
    shown = shown or path
    if path.suffix not in BAG_SUFFIXES:
        return
    try:
        with path.open("rb") as file:
            begin = file.read(256)
    except OSError as error:
        raise SourceError(f"{shown} cannot be read: {error.strerror or error}") from error
    if not begin:
        raise SourceError(f"{shown} cannot be read: it is empty, nothing was recorded")
    if begin.startswith(ZSTD_MAGIC):
        raise SourceError(f"{shown} cannot be read: it is compressed; name it {shown.name}.zstd")
    if path.suffix == ".db3" and not begin.startswith(_SQLITE_MAGIC):
        raise SourceError(f"{shown} cannot be read: it is no SQLite file, it begins with {begin[:8]!r}")
    if path.suffix != ".mcap":
        return
    if not begin.startswith(_MCAP_MAGIC):
        raise SourceError(f"{shown} cannot be read: it is no MCAP file, it begins with {begin[:8]!r}")
    profile = _mcap_profile(begin)
    if profile not in (None, "ros2"):
        what = f"of profile {profile!r}" if profile else "without a profile"
        hint = (
            "convert the ROS 1 bag it was made of by `rosbags-convert`"
            if profile == "ros1"
            else "only recordings of `ros2 bag record` (profile 'ros2', CDR messages) can be read; protobuf, JSON and "
            "the like have to be converted"
        )
        raise SourceError(f"{shown} is an MCAP file {what}, not a recording of ROS 2: {hint}")


def unpack(packed: Path, target: Path) -> None:
    """Decompress a zstd file.

    :raises SourceError: it is damaged or cannot be written.
    """
    try:
        with packed.open("rb") as source, target.open("wb") as sink:
            sink.writelines(_plain(iter(partial(source.read, _PIECE), b"")))
    except Exception as error:  # the three libraries have three errors
        raise SourceError(f"{packed} cannot be read: it does not unpack as zstd ({error})") from error


def unpacked(raw: bytes) -> bytes:
    """Return what a zstd frame holds.

    :raises SourceError: it is damaged.
    """
    try:
        return b"".join(_plain([raw]))
    except Exception as error:  # as above
        raise SourceError(f"a compressed message does not unpack as zstd ({error})") from error


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what zstd frames that come in pieces hold."""
    frame = None
    for piece in pieces:
        left = piece
        while left:
            frame = frame or _zstd_frame()
            yield frame.decompress(left)
            left, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError("it ends early")


def _zstd_frame() -> Any:
    """Return a decompressor of one frame, of whichever zstd there is: Python's own (3.14), or what rosbags brings."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return importlib.import_module(name).ZstdDecompressor()
    return importlib.import_module("zstandard").ZstdDecompressor().decompressobj()


def _storage_suffix(path: Path) -> str | None:
    name = path.with_suffix("") if path.suffix in _PACKED_SUFFIXES else path
    return name.suffix if name.suffix in BAG_SUFFIXES else None


def _mcap_profile(begin: bytes) -> str | None:
    """Return the profile of an MCAP file by its header record, None where that is damaged."""
    with suppress(struct.error, UnicodeDecodeError):
        opcode, _, length = struct.unpack_from("<BQI", begin, len(_MCAP_MAGIC))
        profile = begin[len(_MCAP_MAGIC) + 13 :][:length]
        if opcode == 1 and len(profile) == length:
            return profile.decode()
    return None

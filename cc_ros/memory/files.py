"""Pictures and maps of a memory: two files a keyframe, in folders of a thousand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cc_ros.memory.database import MemoryFault, make_private

PICTURES = "pictures"
_PER_FOLDER = 1000


def picture_path(folder: Path, keyframe: int) -> Path:
    """Return where the picture of a keyframe lies: JPEG, as the camera saw it."""
    return folder / PICTURES / f"{keyframe // _PER_FOLDER:06d}" / f"{keyframe:09d}.jpg"


def map_path(folder: Path, keyframe: int) -> Path:
    """Return where its instance map lies: the rows of an HxW uint16 array, by zlib."""
    return picture_path(folder, keyframe).with_suffix(".map.z")


def write(folder: Path, keyframe: int, jpeg: bytes, packed_map: bytes) -> int:
    """Write both files and return their bytes.

    :raises MemoryFault: the disk is full, or does not let us.
    """
    path = picture_path(folder, keyframe)
    if not path.parent.is_dir():
        make_private(path.parent.parent)
        make_private(path.parent)
    try:
        for file, content in ((path, jpeg), (map_path(folder, keyframe), packed_map)):
            with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as out:
                out.write(content)
    except OSError as error:
        remove(folder, [keyframe])
        raise MemoryFault(f"{path} cannot be written: {error.strerror or error}") from error
    return len(jpeg) + len(packed_map)


def remove(folder: Path, keyframes: Iterable[int]) -> None:
    """Remove the files of keyframes; what is not there is no fault."""
    for keyframe in keyframes:
        for path in (picture_path(folder, keyframe), map_path(folder, keyframe)):
            path.unlink(missing_ok=True)


def stored(folder: Path) -> Iterator[int]:
    """Yield the keyframes that there are files of."""
    for path in (folder / PICTURES).glob("*/*.jpg"):
        if path.stem.isdigit():
            yield int(path.stem)


def remove_empty_folders(folder: Path) -> None:
    """Remove the folders in which nothing is left."""
    for path in (folder / PICTURES).glob("*"):
        if path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path, ignore_errors=True)

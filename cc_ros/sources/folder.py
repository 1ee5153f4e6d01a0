"""Folders of images."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from cc_ros.errors import ImageError, SourceError
from cc_ros.frame import Frame
from cc_ros.sources.base import DEFAULT_FPS, Source
from cc_ros.sources.encodings import decode_compressed

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_CHECKED = (".jpg", ".jpeg", ".png")  # those whose header and end are looked at before decoding

# Digits of a Unix time in seconds, milli-, micro- and nanoseconds (years 2001 to 2286) -> units in a second.
_UNIX_DIGITS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}


class FolderSource(Source):
    """The images of a folder in natural order (``img2`` before ``img10``).

    File names that can only be times give the stamps: all of them decimal fractions of seconds
    (``1305031102.175304.png``), or all of them Unix times of 10, 13, 16 or 19 digits. Otherwise the n-th file has the
    stamp n / fps.

    :param path: the folder; images in its subfolders are not looked for.
    :param fps: frames per second; above 0, names are not taken for times.
    :raises SourceError: the folder cannot be listed or has no image.
    """

    def __init__(self, path: Path, fps: float = 0.0) -> None:
        try:
            files = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        except OSError as error:
            raise SourceError(f"{path} cannot be listed: {error.strerror}") from error
        if not files:
            raise SourceError(f"{path} has no images ({', '.join(IMAGE_SUFFIXES)})")
        self._path = path
        self._files = sorted(files, key=lambda file: _natural(file.name))
        stamps = None if fps > 0 else stamps_of_names([file.stem for file in self._files])
        if stamps is not None:
            fps = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        super().__init__(path.resolve().name, fps if fps > 0 else DEFAULT_FPS, len(files))
        self._stamps = stamps

    def __iter__(self) -> Iterator[Frame]:
        period = 1.0 / (self.fps or DEFAULT_FPS)
        for index, file in enumerate(self._files):
            try:
                image = _read(file)
            except ImageError:
                self.skipped["damaged image"] += 1
                continue
            except OSError:
                self.skipped["unreadable file"] += 1
                continue
            self.size = self.size or (image.shape[1], image.shape[0])
            yield Frame(image, self._stamps[index] if self._stamps else index * period)
        if self.size is None:
            raise SourceError(f"none of the {len(self._files)} images in {self._path} can be decoded")

    def close(self) -> None:
        """Nothing is held open between frames."""


def stamps_of_names(names: Sequence[str]) -> list[float] | None:
    """Return the stamps in seconds that file names without suffix spell, or None where they may be mere counters."""
    if len(names) < 2:
        return None
    if all(re.fullmatch(r"\d+\.\d+", name) for name in names):
        stamps = [float(name) for name in names]
    elif all(name.isascii() and name.isdigit() for name in names) and len({len(name) for name in names}) == 1:
        unit = _UNIX_DIGITS.get(len(names[0]))
        if unit is None or names[0].startswith("0"):
            return None
        stamps = [int(name) / unit for name in names]
    else:
        return None
    return stamps if all(a < b for a, b in itertools.pairwise(stamps)) else None


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _read(file: Path) -> np.ndarray:
    raw = file.read_bytes()
    if file.suffix.lower() in _CHECKED:
        return decode_compressed("", raw)
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if image is None:
        raise ImageError(f"{file} is damaged")
    return image

"""Folders of images, with depth, poses and calibration that lie beside them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from cc_ros.encodings import decode_compressed
from cc_ros.errors import ImageError, SourceError
from cc_ros.frame import Frame
from cc_ros.sources.base import DEFAULT_FPS, NONE, Source, SourceSettings
from cc_ros.sources.folder.groups import IMAGE_SUFFIXES, Key, describe, key_of, pictures_in, sort_out
from cc_ros.sources.folder.poses import find_intrinsics, find_poses
from cc_ros.sources.registered import NotRegisteredError, fit_depth

_COLOUR_FOLDERS = ("color", "colour", "rgb", "image", "images", "frames", "left", "data")
_DEPTH_FOLDERS = ("depth", "depths")
_UNREADABLE = (".heic", ".heif", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".gif", ".ppm", ".pgm", ".exr")
_RECORDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".bag", ".mcap", ".db3", ".svo", ".sens")
_UNKNOWN = 65535  # what 7-Scenes has for no measurement

# Digits of a Unix time in seconds, milli-, micro- and nanoseconds (years 2001 to 2286) -> units in a second.
_UNIX_DIGITS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}


class FolderSource(Source):
    """The images of a folder in natural order (``img2`` before ``img10``), or of its folder ``color`` or ``rgb``.

    Masks, depth and second pictures of the same numbers are no frames. Depth pictures of the frames' numbers or times,
    poses and a calibration in the layouts of 7-Scenes, TUM and ScanNet's export become part of the frames.

    File names that can only be times give the stamps: all of them decimal fractions of seconds
    (``1305031102.175304.png``), or all of them Unix times of 10, 13, 16 or 19 digits. Otherwise the n-th file has the
    stamp n / fps.

    :param path: the folder.
    :param settings: ``fps`` above 0: names are not taken for times; ``depth_topic`` and ``odom_topic`` 'none': do
        without depth and poses.
    :raises SourceError: the folder cannot be listed or has no image.
    """

    def __init__(self, path: Path, settings: SourceSettings = SourceSettings()) -> None:
        self._path = path
        try:
            own = pictures_in(path)
            folder = path if own else _folder_of(path, _COLOUR_FOLDERS)
            files = own or (pictures_in(folder) if folder else [])
        except OSError as error:
            raise SourceError(f"{path} cannot be listed: {error.strerror}") from error
        if not files or folder is None:
            raise SourceError(_no_images(path))
        roles = sort_out(files)
        self._files = roles.frames
        self._times = times = stamps_of_names([file.stem for file in self._files])
        fps = settings.fps
        if times is not None and not fps > 0:
            fps = (len(times) - 1) / (times[-1] - times[0])
        super().__init__(path.resolve().name, fps if fps > 0 else DEFAULT_FPS, len(self._files))
        self._own_stamps = times is not None and not settings.fps > 0
        for reason, dropped in roles.left_out.items():
            self.leave_out(reason, dropped[0].name, len(dropped))
        self._all_depths: list[Path] = []
        self._depths: dict[Path, Path] = {}
        self._find_depth(path, roles.depths, settings)
        self._poses = find_poses(path, settings.base_to_camera()) if settings.odom_topic != NONE else None
        calibrated = settings.camera_info_topic != NONE
        self._intrinsics, self._calibration = find_intrinsics(path) if calibrated else (None, "")
        self._matched = False
        self._tell(folder, settings)

    def __iter__(self) -> Iterator[Frame]:
        period = 1.0 / (self.fps or DEFAULT_FPS)
        for index, file in enumerate(self._files):
            try:
                image = _read(file)
            except ImageError as error:
                self.leave_out("damaged image", f"{file.name}: {error}")
                continue
            except OSError as error:
                self.leave_out("unreadable file", f"{file.name}: {error.strerror or error}")
                continue
            height, width = image.shape[:2]
            self.size = self.size or (width, height)
            time = self._times[index] if self._times else index * period
            yield Frame(
                image,
                time if self._own_stamps else index * period,
                self._depth_of(file, width, height),
                self._intrinsics_for(width, height),
                self._pose_of(file, time),
            )
        if self.size is None:
            first_loss = "".join(f": {loss}" for loss in self.losses()[-1:])
            raise SourceError(f"none of the {len(self._files)} images in {self._path} can be decoded{first_loss}")
        if self._poses and not self._matched:
            self.note(f"no image got a pose from {self._poses.source}: {self._pose_times()}")

    def close(self) -> None:
        """Nothing is held open between frames."""

    def _find_depth(self, root: Path, beside: list[Path], settings: SourceSettings) -> None:
        """Pair the frames with depth pictures, by time where names are times, else by their numbers."""
        folder = _folder_of(root, _DEPTH_FOLDERS)
        files = beside or (pictures_in(folder) if folder else [])
        if not files:
            self._tell_unread_depth(root)
        tum = any((root / name).is_file() for name in ("groundtruth.txt", "depth.txt", "associations.txt"))
        self._depth_scale = settings.depth_scale or (5000.0 if tum else 1000.0)
        if not files:
            return
        if settings.depth_topic == NONE:
            self.note(f"depth: {describe(files)} not used, as asked for")
            return
        times = stamps_of_names([file.stem for file in files]) if self._times else None
        if times and self._times:
            at = np.array(times)
            for file, stamp in zip(self._files, self._times, strict=True):
                nearest = int(np.abs(at - stamp).argmin())
                if abs(times[nearest] - stamp) <= settings.depth_tolerance:
                    self._depths[file] = files[nearest]
        else:
            self._depths = _paired(self._files, files, key_of)
            if 2 * len(self._depths) < len(self._files):  # SUN3D: a number and a time, and the times differ
                self._depths = _paired(self._files, files, lambda file: key_of(file)[:1]) or self._depths
        self._all_depths = files

    def _tell_unread_depth(self, root: Path) -> None:
        """Say so where depth lies in files that are not read, and not in pictures."""
        for child in sorted(root.iterdir()):
            if child.name.lower() in _DEPTH_FOLDERS and child.is_dir():
                kinds = sorted({file.suffix for file in child.iterdir() if file.suffix})
                if kinds:
                    self.note(f"depth: {', '.join(kinds)} in {child.name}/ are not read: 16-bit PNG in millimetres is")

    def _tell(self, folder: Path, settings: SourceSettings) -> None:
        where = "" if folder == self._path else f" in {folder.name}/"
        self.note(f"images: {describe(self._files)}{where}")
        if self._depths:
            used = list(self._depths.values())
            self.note(
                f"depth: {describe(used)}, {self._depth_scale:g} units a metre, taken to be registered to the images "
                "(7-Scenes' own is not: distances are off near edges)"
            )
        elif self._all_depths:
            self.note(f"depth: none of {describe(self._all_depths)} has the number or time of an image")
        if self._poses:
            turned = f"; its axis {self._poses.up} is taken for up" if self._poses.up not in ("", "z") else ""
            self.note(f"poses: {self._poses.source}, {self._poses.of} to world{turned}")
        if self._intrinsics is not None:
            self.note(f"calibration: {self._calibration}")
        elif self._calibration:
            self.note(f"calibration: {self._calibration} is not used: 3x3 or 4x4 numbers or fx fy cx cy are expected")
        elif self._depths or self._poses:
            self.note("no calibration: directions and distances are unknown (camera-intrinsics.txt with 3x3 numbers)")

    def _depth_of(self, file: Path, width: int, height: int) -> np.ndarray | None:
        if not self._depths:
            return None
        depth = self._depths.get(file)
        if depth is None:
            self.leave_out("no depth near the image", file.name)
            return None
        try:
            return fit_depth(read_depth(depth, self._depth_scale), width, height)
        except NotRegisteredError as error:
            self.leave_out(error.kind, error)
        except ImageError as error:
            self.leave_out("damaged or unsupported depth", error)
        return None

    def _pose_of(self, file: Path, time: float) -> np.ndarray | None:
        if self._poses is None:
            return None
        try:
            pose = self._poses.at(file, time)
        except SourceError as error:
            self.leave_out("damaged pose", error)
            return None
        if pose is None:
            self.leave_out("no pose near the image", file.name)
        self._matched |= pose is not None
        return pose

    def _pose_times(self) -> str:
        span = self._poses.span if self._poses else None
        if span is None:
            return "their numbers are not the images', or tracking was lost"
        images = f"{self._times[0]:.3f} to {self._times[-1]:.3f} s" if self._times else "no times, only numbers"
        return f"its stamps are {span[0]:.3f} to {span[1]:.3f} s, the images' {images}"

    def _intrinsics_for(self, width: int, height: int) -> np.ndarray | None:
        k = self._intrinsics
        if k is None:
            return None
        # A calibration in a text file has no size; its principal point tells one that cannot be of this image.
        if not (0.25 < k[0, 2] / width < 0.75 and 0.25 < k[1, 2] / height < 0.75):
            self.leave_out(
                "calibration of another size than the image",
                f"{self._calibration} has its centre at ({k[0, 2]:g}, {k[1, 2]:g}), the image is {width}x{height}",
            )
            return None
        return k


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


def read_depth(file: Path, scale: float) -> np.ndarray:
    """Return a depth picture as HxW float32 metres, NaN where unknown.

    :param scale: units a metre of 16-bit pictures; pictures of floats are metres.
    :raises ImageError: it cannot be read or is no depth picture.
    """
    try:
        raw = np.fromfile(file, np.uint8)
    except OSError as error:
        raise ImageError(f"{file.name} cannot be read: {error.strerror or error}") from error
    image = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if raw.size else None
    if image is None:
        raise ImageError(f"{file.name} is damaged")
    if image.ndim != 2 or image.dtype not in (np.uint16, np.float32):
        raise ImageError(
            f"{file.name} is no depth picture: 16-bit or float grey is expected, got {image.dtype} {image.shape}"
        )
    depth = image.astype(np.float32)
    if image.dtype == np.uint16:
        depth /= scale
        depth[image == _UNKNOWN] = np.nan
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def _folder_of(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first of these folders that has pictures."""
    found = {child.name.lower(): child for child in root.iterdir() if child.is_dir()}
    return next((found[name] for name in names if name in found and pictures_in(found[name])), None)


def _no_images(path: Path) -> str:
    text = f"{path} has no images ({', '.join(IMAGE_SUFFIXES)})"
    children = sorted(path.iterdir())
    full = _with_pictures(path)
    if full:
        text += f"; its folders {', '.join(full[:5])} have: name one"
    recordings = [child.name for child in children if child.suffix.lower() in _RECORDINGS]
    if recordings:
        text += f"; to read {', '.join(recordings[:3])}, name the file itself"
    other = sorted({child.suffix.lower() for child in children} & set(_UNREADABLE))
    if other:
        text += f"; {', '.join(other)} are not read: convert them to JPEG or PNG"
    return text


def _with_pictures(path: Path, depth: int = 3) -> list[str]:
    """Return the folders within that hold pictures, the outermost of each branch."""
    found = []
    for child in sorted(path.iterdir()):
        with suppress(OSError):
            if not child.is_dir() or child.is_symlink():
                continue
            if pictures_in(child):
                found.append(child.name)
            elif depth > 1:
                found += [f"{child.name}/{name}" for name in _with_pictures(child, depth - 1)]
    return found


def _paired(files: Sequence[Path], others: Sequence[Path], key: Callable[[Path], Key]) -> dict[Path, Path]:
    by_key = {key(file): file for file in others}
    return {file: by_key[key(file)] for file in files if key(file) in by_key} if len(by_key) == len(others) else {}


def _read(file: Path) -> np.ndarray:
    raw = file.read_bytes()
    if file.suffix.lower() != ".bmp":
        return decode_compressed("", raw)
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if image is None:
        raise ImageError(f"{file.name} is damaged")
    return image

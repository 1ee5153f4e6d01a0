"""Open a source of frames: a video, a folder of images, a bag, a camera or a stream."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from cc_ros.errors import SourceError
from cc_ros.settings import Scalar, checked
from cc_ros.sources.bag.kinds import is_bag
from cc_ros.sources.base import Source, SourceSettings
from cc_ros.sources.folder.groups import IMAGE_SUFFIXES

_SUPPORTED = (
    "a video file, a folder of images, or a rosbag2 (its folder, .mcap or .db3); live, a camera (/dev/video0) or a "
    "stream (rtsp://, http://)"
)
_SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt")
# Recordings of other tools -> what leads to frames.
_EXPORTS = {
    ".bag": "is a ROS 1 bag (or a RealSense recording): convert it by `rosbags-convert`",
    ".sens": "is a ScanNet recording: export color, depth and pose by its SensReader, and name their folder",
    ".svo": "is a ZED recording: export a video by ZED_SVO_Editor",
    ".svo2": "is a ZED recording: export a video by ZED_SVO_Editor",
    ".oni": "is an OpenNI recording: export its images",
    ".klg": "is an ElasticFusion log: export its images",
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"), "is an archive: unpack it"),
}


def is_stream(source: str | Path) -> bool:
    """Whether a source is named by an address or is a device, and not a file."""
    text = str(source)
    return urlsplit(text).scheme in _SCHEMES or _is_number(text) or Path(text).is_char_device()


def source_name(source: str | Path) -> str:
    """Return what people call a source, as a name for a folder; without user, password and query of an address."""
    if urlsplit(str(source)).scheme in _SCHEMES:
        parts = urlsplit(str(source))
        return re.sub(r"[^\w.-]+", "_", f"{parts.hostname or ''}{parts.path}").strip("_.") or "stream"
    return f"camera{source}" if _is_number(str(source)) else Path(source).resolve().stem


def open_source(path: str | Path, **settings: Scalar) -> Source:
    """Open a recording or a live stream by what it is.

    >>> with open_source("walk.mp4") as frames:  # doctest: +SKIP
    ...     for frame in frames:
    ...         print(frame.stamp, frame.image.shape)

    :param path: a video file, a folder of images, a rosbag2, a camera (``/dev/video0``, ``0``) or an address.
    :param settings: by the names of :class:`SourceSettings`: ``image_topic="/camera/image_raw"``, ``fps=10``.
    :raises SourceError: it is none of these, or it cannot be read.
    :raises SettingsError: a setting is unknown or out of range.
    """
    chosen = checked(SourceSettings, settings)
    if is_stream(path):
        from cc_ros.sources.live import open_stream

        return open_stream(str(path), chosen.fps)
    if "://" in str(path):
        raise SourceError(f"{path} is of a scheme that is not known; a source is {_SUPPORTED}")
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path} does not exist; a source is {_SUPPORTED}{_hint(path)}")
    if path.suffix.lower() in _EXPORTS and path.is_file():
        raise SourceError(f"{path} {_EXPORTS[path.suffix.lower()]}; a source is {_SUPPORTED}")
    from cc_ros.sources.folder.source import FolderSource

    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        raise SourceError(f"{path} is a single image: name its folder; a source is {_SUPPORTED}")
    if is_bag(path):
        try:
            from cc_ros.sources.bag.source import BagSource
        except ImportError as error:
            raise SourceError(f"{path} is a bag, and rosbags is missing ({error}): pip install rosbags") from error
        return BagSource(path, chosen)
    if path.is_dir():
        return FolderSource(path, chosen)
    from cc_ros.sources.video import VideoSource

    return VideoSource(path, chosen.fps)


def _hint(path: Path) -> str:
    if str(path).startswith("/dev/video"):
        return "; is the camera connected?"
    if path.is_absolute() and not path.parent.exists():
        return "; for a live ROS topic use `cc-ros up --remap image:=TOPIC` and `cc-ros ask`"
    return ""


def _is_number(text: str) -> bool:
    """Whether it is the number of a camera, and no file of that name."""
    return text.isascii() and text.isdigit() and not Path(text).exists()

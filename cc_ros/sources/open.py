"""Open whatever holds the frames: a video, a folder of images, a bag."""

from __future__ import annotations

from pathlib import Path

from cc_ros.errors import SourceError
from cc_ros.settings import Scalar, checked
from cc_ros.sources.base import Source, SourceSettings

_SUPPORTED = "a video file, a folder of images, or a rosbag2 (its folder, .mcap or .db3)"


def open_source(path: str | Path, **settings: Scalar) -> Source:
    """Open a recording by what it is.

    >>> with open_source("walk.mp4") as frames:  # doctest: +SKIP
    ...     for frame in frames:
    ...         print(frame.stamp, frame.image.shape)

    :param path: a video file, a folder of images, or a rosbag2.
    :param settings: by the names of :class:`SourceSettings`: ``image_topic="/camera/image_raw"``, ``fps=10``.
    :raises SourceError: it is none of these, or it cannot be read.
    :raises SettingsError: a setting is unknown or out of range.
    """
    chosen = checked(SourceSettings, settings)
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path} does not exist; a source is {_SUPPORTED}")
    if path.suffix == ".bag":
        raise SourceError(f"{path} is a ROS 1 bag: convert it by `rosbags-convert`; a source is {_SUPPORTED}")
    from cc_ros.sources.folder import IMAGE_SUFFIXES, FolderSource

    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        raise SourceError(f"{path} is a single image: name its folder; a source is {_SUPPORTED}")
    from cc_ros.sources.bag_file import is_bag

    if is_bag(path):
        from cc_ros.sources.bag import BagSource

        return BagSource(path, chosen)
    if path.is_dir():
        return FolderSource(path, chosen.fps)
    from cc_ros.sources.video import VideoSource

    return VideoSource(path, chosen.fps)

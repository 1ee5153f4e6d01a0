"""A run as a recording for the Rerun viewer: pictures, tracks, keyframes, the camera and the places of the marks."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from cc_ros.encodings import encode_jpeg
from cc_ros.errors import SettingsError
from cc_ros.frame import Frame
from cc_ros.geometry import SceneMap
from cc_ros.keyframes.drawing import BY_ID, colour
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.tracking import Tracked

QUALITY = 80
CAMERA = "world/camera"
TIMELINE = "stamp"  # seconds, those of the frames


class RerunLog(AbstractContextManager["RerunLog"]):
    """Writes FILE.rrd as the run goes on; `rerun FILE.rrd` shows it.

    :param path: of the file, which is replaced.
    :param name: of the recording.
    :raises SettingsError: rerun is not installed, or the file cannot be written.
    """

    def __init__(self, path: Path, name: str) -> None:
        if importlib.util.find_spec("rerun") is None:
            raise SettingsError("--rerun needs the package rerun-sdk: pip install 'cc_ros[rerun]'")
        import rerun

        self._rerun = rerun
        self._stream = rerun.RecordingStream("cc_ros", recording_id=None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream.save(path)
        except (OSError, RuntimeError) as error:  # rerun raises the latter where it cannot write
            raise SettingsError(f"{path} cannot be written: {error}") from error
        self._stream.send_recording_name(name)
        self._stream.log("world", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def frame(self, frame: Frame, tracked: Tracked) -> None:
        """Log a frame with its tracks."""
        rerun, stream = self._rerun, self._stream
        stream.set_time(TIMELINE, duration=frame.stamp)
        self._camera(frame.pose, frame.intrinsics, frame.image.shape[1], frame.image.shape[0])
        jpeg = encode_jpeg(frame.image, QUALITY)
        stream.log(f"{CAMERA}/image", rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        stream.log(f"{CAMERA}/image/objects", rerun.SegmentationImage(tracked.labels, opacity=0.5))
        seen = [track for track in tracked.tracks if track.area]
        boxes = rerun.Boxes2D(
            array=np.array([track.box for track in seen], np.float32).reshape(-1, 4),
            array_format=rerun.Box2DFormat.XYWH,
            labels=[f"{track.id}" for track in seen],
            class_ids=[track.id for track in seen],
        )
        stream.log(f"{CAMERA}/image/tracks", boxes)

    def keyframes(self, keyframes: Sequence[MarkedKeyframe]) -> None:
        """Log the marked keyframes at their times, and the places of the marks for all times.

        :raises GeometryError: a keyframe's intrinsics are unusable.
        """
        rerun, stream = self._rerun, self._stream
        for keyframe in keyframes:
            stream.set_time(TIMELINE, duration=keyframe.stamp)
            stream.log("keyframe", rerun.EncodedImage(contents=keyframe.jpeg, media_type="image/jpeg"))
        known = [(id, place.point) for id, place in SceneMap.from_keyframes(keyframes).places.items()]
        placed = [(id, point) for id, point in known if point is not None]
        if placed:
            points = rerun.Points3D(
                [point.xyz for _, point in placed],
                radii=[max(point.sigma, 0.03) for _, point in placed],
                labels=[f"{id}" for id, _ in placed],
                colors=[colour(BY_ID, id)[::-1] for id, _ in placed],
            )
            stream.log("world/marks", points, static=True)

    def _camera(self, pose: np.ndarray | None, intrinsics: np.ndarray | None, width: int, height: int) -> None:
        rerun, stream = self._rerun, self._stream
        if pose is not None:
            stream.log(CAMERA, rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        if intrinsics is not None:
            lens = rerun.Pinhole(
                image_from_camera=intrinsics, resolution=[width, height], camera_xyz=rerun.ViewCoordinates.RDF
            )
            stream.log(CAMERA, lens)

    def __exit__(self, *_: object) -> None:
        self._stream.flush()
        self._stream.disconnect()

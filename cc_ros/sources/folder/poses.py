"""Poses and calibration beside the pictures of a folder: 7-Scenes, ScanNet's export, TUM."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from cc_ros.errors import CCError, SourceError
from cc_ros.geometry.poses import PoseTrack, camera_pose
from cc_ros.sources.folder.groups import Key, key_of

_POSE_FOLDERS = ("pose", "poses")
_CALIBRATIONS = (
    "intrinsic/intrinsic_color.txt",
    "intrinsics/intrinsic_color.txt",
    "intrinsic_color.txt",
    "camera-intrinsics.txt",
    "camera_intrinsics.txt",
    "intrinsics.txt",
    "intrinsic.txt",
    "K.txt",
    "cam_K.txt",
    "calibration.txt",
    "_info.txt",
)
# fx, fy, cx, cy of the colour cameras, as the TUM benchmark publishes them, for 640x480.
_TUM = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
_SAMPLES = 50  # poses that tell which way is up


class FolderPoses:
    """Camera poses of a folder, one file a picture or one trajectory; turned so that z is up.

    :param mounting: 4x4 pose of the camera on the robot whose poses these are; None = they are the camera's own.
    :ivar source: what they were read from, for people.
    :ivar of: whose they are, for people.
    :ivar up: the world's axis that was taken for up, such as ``-y``; "" without poses.
    :ivar span: (first, last) stamps of a trajectory.
    """

    def __init__(
        self,
        source: str,
        files: dict[Key, Path],
        track: PoseTrack | None,
        samples: Sequence[np.ndarray],
        mounting: np.ndarray | None,
    ) -> None:
        self.source = source
        self.of = "camera" if mounting is None else "robot, with the camera where camera_x ... camera_yaw say,"
        self._files = files
        self._track = track
        self._mounting = np.eye(4) if mounting is None else mounting
        self.up, self._turn = _upright([sample @ self._mounting for sample in samples])
        self.span: tuple[float, float] | None = None

    def at(self, image: Path, stamp: float) -> np.ndarray | None:
        """Return the 4x4 pose of a picture, or None where there is none.

        :raises SourceError: its file is no pose.
        """
        if self._track is not None:
            pose = self._track.at(stamp)
        else:
            file = self._files.get(key_of(image))
            pose = None if file is None else _read_pose(file)
        return None if pose is None else self._turn @ pose @ self._mounting


def find_poses(root: Path, mounting: np.ndarray | None = None) -> FolderPoses | None:
    """Return the poses that lie in or beside a folder of pictures; None where there are none.

    Read are ``*.pose.txt`` beside the pictures (7-Scenes), ``pose/*.txt`` (ScanNet), each 4x4 or 3x4 camera to world,
    and ``groundtruth.txt`` (TUM: stamp, position, quaternion of the camera).

    :param mounting: 4x4 pose of the camera on the robot, where the poses are the robot's.
    :raises SourceError: a trajectory cannot be read.
    """
    files = {key_of(file): file for file in root.glob("*.txt") if "pose" in re.findall("[a-z]+", file.stem.lower())}
    files.pop((), None)  # without a number
    pattern = "*.pose.txt"
    for name in _POSE_FOLDERS:
        if not files and (root / name).is_dir():
            files, pattern = {key_of(file): file for file in (root / name).glob("*.txt")}, f"{name}/*.txt"
    if files:
        samples = []
        for file in list(files.values())[:: max(1, len(files) // _SAMPLES)]:
            with suppress(SourceError):
                pose = _read_pose(file)
                if pose is not None:
                    samples.append(pose)
        return FolderPoses(f"{len(files)} {pattern}", files, None, samples, mounting)
    return _read_trajectory(root / "groundtruth.txt", mounting) if (root / "groundtruth.txt").is_file() else None


def find_intrinsics(root: Path) -> tuple[np.ndarray | None, str]:
    """Return the 3x3 matrix of the colour camera, None where nothing says it, and what it is from or would be.

    Read are a 3x3 or 4x4 matrix or ``fx fy cx cy`` in one of the usual files, ``_info.txt`` of ScanNet, and what TUM
    publishes of its three rooms.
    """
    for name in _CALIBRATIONS:
        if (root / name).is_file():
            return _matrix_of((root / name).read_text(errors="replace")), name
    for room, (fx, fy, cx, cy) in _TUM.items():
        if room in root.resolve().name:
            return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), f"TUM's {room}"
    return None, ""


def _matrix_of(text: str) -> np.ndarray | None:
    named = re.search(r"m_calibrationColorIntrinsic\s*=\s*([^\n]*)", text)
    text = re.sub(r"#[^\n]*", "", named[1] if named else text)
    try:
        numbers = [float(part) for part in re.split(r"[\s,;\[\]]+", text) if part]
    except ValueError:
        return None
    if len(numbers) in (9, 16):
        side = 3 if len(numbers) == 9 else 4
        k = np.array(numbers).reshape(side, side)[:3, :3].copy()
    elif len(numbers) >= 4:
        fx, fy, cx, cy = numbers[:4]
        k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    else:
        return None
    return k if np.isfinite(k).all() and k[0, 0] > 0 and k[1, 1] > 0 and np.allclose(k[2], (0, 0, 1)) else None


def _read_pose(file: Path) -> np.ndarray | None:
    """Return a 4x4 camera-to-world pose; None where it says that tracking was lost (not finite).

    :raises SourceError: it is no pose.
    """
    try:
        numbers = [float(part) for part in file.read_text().split()]
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} is no pose: {error}") from error
    if len(numbers) not in (12, 16):
        raise SourceError(f"{file} is no pose: 4x4 or 3x4 numbers are expected, got {len(numbers)}")
    pose = np.eye(4)
    pose[:3] = np.array(numbers[:12]).reshape(3, 4)
    if not np.isfinite(pose).all():
        return None
    if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=0.02) or np.linalg.det(pose[:3, :3]) < 0:
        raise SourceError(f"{file} is no pose: its left part is no rotation")
    return pose


def _read_trajectory(file: Path, mounting: np.ndarray | None) -> FolderPoses:
    rows: list[list[float]] = []
    try:
        for line in file.read_text().splitlines():
            parts = re.split(r"[\s,]+", line.partition("#")[0].strip())
            if len(parts) >= 8:
                rows.append([float(part) for part in parts[:8]])
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} is no trajectory (stamp tx ty tz qx qy qz qw): {error}") from error
    track = PoseTrack(size=max(len(rows), 1))
    poses = []
    for stamp, *numbers in sorted(rows):
        with suppress(CCError):  # a quaternion of zeros: lost
            poses.append(camera_pose(numbers[:3], numbers[3:], np.eye(4)))
            track.add(stamp, poses[-1])
    if not poses:
        raise SourceError(f"{file} is no trajectory: no line of stamp tx ty tz qx qy qz qw")
    result = FolderPoses(file.name, {}, track, poses[:: max(1, len(poses) // _SAMPLES)], mounting)
    result.span = min(row[0] for row in rows), max(row[0] for row in rows)
    return result


def _upright(samples: Sequence[np.ndarray]) -> tuple[str, np.ndarray]:
    """Return the axis of the world that cameras have upwards most, and the 4x4 turn that makes it z."""
    turn = np.eye(4)
    if not len(samples):
        return "", turn
    up = -np.mean([pose[:3, 1] for pose in samples], axis=0)  # a camera's y is down
    axis = int(np.argmax(np.abs(up)))
    sign = 1.0 if up[axis] > 0 else -1.0
    name = f"{'' if sign > 0 else '-'}{'xyz'[axis]}"
    unit = np.zeros(3)
    unit[axis] = sign
    if name == "-z":
        turn[:3, :3] = np.diag([1.0, -1.0, -1.0])
    elif name != "z":
        x, y, z = np.cross(unit, (0.0, 0.0, 1.0))
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn[:3, :3] = np.eye(3) + cross + cross @ cross
    return name, turn

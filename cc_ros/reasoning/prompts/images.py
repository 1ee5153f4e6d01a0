"""Pictures as a model gets them: scaled to its limits and encoded, once for each keyframe."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.encodings import encode_jpeg
from cc_ros.errors import ImageError
from cc_ros.keyframes.types import MarkedKeyframe

KEPT_BYTES = 64 * 1024 * 1024
SCALING_THREADS = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture.

    :param digest: of the keyframe's JPEG; equal for equal pictures.
    :param url: data URL, base64.
    :param width: pixels as sent.
    :param height: pixels as sent.
    """

    digest: bytes
    url: str
    width: int
    height: int


class PictureStore:
    """Encodes keyframes and keeps the newest results. Thread-safe.

    :param max_side: pixels; larger pictures are scaled down, others are sent as they are.
    :param quality: JPEG quality of what is scaled down.
    """

    def __init__(self, max_side: int, quality: int) -> None:
        self._max_side = max_side
        self._quality = quality
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()
        self._size = 0

    def get_all(self, keyframes: Sequence[MarkedKeyframe]) -> list[Picture]:
        """Return the keyframes' pictures in order.

        :raises ImageError: a JPEG is damaged.
        """
        if max((max(frame.width, frame.height) for frame in keyframes), default=0) <= self._max_side:
            return [self._get(frame) for frame in keyframes]
        with ThreadPoolExecutor(SCALING_THREADS) as pool:  # OpenCV works outside the interpreter lock
            return list(pool.map(self._get, keyframes))

    def _get(self, keyframe: MarkedKeyframe) -> Picture:
        digest = hashlib.blake2b(keyframe.jpeg, digest_size=16).digest()
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest]
        picture = self._encode(keyframe, digest)
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = picture
                self._size += len(picture.url)
            while self._size > KEPT_BYTES and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1].url)
        return picture

    def _encode(self, keyframe: MarkedKeyframe, digest: bytes) -> Picture:
        jpeg, width, height = keyframe.jpeg, keyframe.width, keyframe.height
        scale = self._max_side / max(width, height)
        if scale < 1:
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
            if image is None:
                raise ImageError(f"keyframe {keyframe.index} is not a JPEG that can be read")
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            jpeg = encode_jpeg(small, self._quality)
        elif not jpeg.startswith(b"\xff\xd8"):
            raise ImageError(f"keyframe {keyframe.index} is not a JPEG")
        return Picture(digest, "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"), width, height)

"""Chain optical flow over many frames: move a label map from an earlier frame to now at constant cost."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.auto import constants as const
from cc_ros.tracking.optical_flow import DisFlow, Motion, sources


class FlowChain:
    """The motion from the newest frame back to a frame in the past, put together frame by frame.

    A map is sampled once however many frames lie between: its outlines do not wear off.

    :param start: HxW uint8 grey, the frame in the past; the motion is found in images of this size.
    """

    def __init__(self, start: np.ndarray) -> None:
        self._start = start
        self._back: np.ndarray = np.zeros((*start.shape, 3), np.float32)  # dx, dy; 1 where the chain is known
        self._back[..., 2] = 1.0
        self._corrected = 0  # frames of the chain at the last correction
        self.frames = 0

    def extend(self, motion: Motion) -> None:
        """Append the next frame: ``motion`` leads from it to the one before."""
        back: np.ndarray = cv2.remap(
            self._back, *sources(motion.flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        back[..., :2] += motion.flow
        back[..., 2] *= motion.reliable
        self._back = back
        self.frames += 1

    def correct_drift(self, now: np.ndarray, optical_flow: DisFlow) -> None:
        """Remove, now and then, the drift of the chained flow, by the flow to the past frame itself.

        :param now: HxW uint8 grey, the newest frame.
        """
        if self.frames - self._corrected < const.CORRECT_EVERY:
            return
        direct = optical_flow.motion(self._start, now, self._back[..., :2])
        near = np.abs(direct.flow - self._back[..., :2]).max(axis=2) < const.DRIFT * now.shape[1]
        known = direct.reliable & near & (self._back[..., 2] > 0.5)
        self._back[known, :2] = direct.flow[known]
        self._corrected = self.frames

    def carry(self, labels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the map of the past frame as it is now, and which pixels show what was in view then.

        :param labels: HxW uint16, of any size.
        :param size: height and width of what is returned: uint16, 0 where not in view; and bool.
        """
        height, width = size
        if not self.frames:
            return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.ones(size, bool)
        full = cv2.resize(self._back, (width, height), interpolation=cv2.INTER_LINEAR)
        x = full[..., 0] * np.float32(labels.shape[1] / self._back.shape[1])
        y = full[..., 1] * np.float32(labels.shape[0] / self._back.shape[0])
        x += (np.arange(width, dtype=np.float32) + 0.5) * np.float32(labels.shape[1] / width) - 0.5
        y += (np.arange(height, dtype=np.float32)[:, None] + 0.5) * np.float32(labels.shape[0] / height) - 0.5
        seen = full[..., 2] > 0.5
        carried = cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        carried[~seen] = 0
        return carried, seen

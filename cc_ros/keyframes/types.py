"""Marked keyframes: what the keyframe step hands to whoever asks a model or draws a report."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cc_ros.frame import Distortion
from cc_ros.place import Place


@dataclass(frozen=True, slots=True)
class Mark:
    """One numbered mark in one keyframe.

    :param id: the instance id, equal in every keyframe that shows the object.
    :param x: column of the mask's centre in pixels (appendix C of the paper), to the right.
    :param y: row of the mask's centre in pixels, downwards.
    :param area: pixels of the mask in this keyframe; 0 for a mark given by hand.
    :param depth: metres along the optical axis, median over the mask; NaN when unknown.
    :param place: of the object, fused from all frames that showed it; None when unknown.
    """

    id: int
    x: float
    y: float
    area: int
    depth: float = math.nan
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MarkedKeyframe:
    """One kept frame with its marks drawn.

    :param index: number of the frame in the episode, from 0.
    :param stamp: seconds.
    :param jpeg: the picture with its marks, JPEG.
    :param width: pixels.
    :param height: pixels.
    :param marks: the marks, by id.
    :param intrinsics: 3x3 float64 in pixels of this picture, or None.
    :param pose: 4x4 float64 camera (x right, y down, z forward) to world (z up), metres, or None.
    :param world_frame: name of that world, where there is one.
    :param distortion: of the lens; None when there is none, or the picture is rectified.
    """

    index: int
    stamp: float
    jpeg: bytes
    width: int
    height: int
    marks: tuple[Mark, ...]
    intrinsics: np.ndarray | None = None
    pose: np.ndarray | None = None
    world_frame: str = ""
    distortion: Distortion | None = None


@dataclass(frozen=True, slots=True)
class RememberedObject:
    """What a memory knows of one object, over all episodes.

    :param id: the number of its mark, the same in every episode.
    :param state: "present", "moved", "absent" (its place was seen without it) or "unseen" (in this episode).
    :param first_seen: seconds since 1970, and so ``last_seen`` and ``changed``, since when the state is so.
    :param place: x, y, z in ``world_frame``, metres; None where unknown.
    """

    id: int
    state: str
    first_seen: float
    last_seen: float
    changed: float
    place: tuple[float, float, float] | None = None
    world_frame: str = ""

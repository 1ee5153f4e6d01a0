"""Settings of the flow backend."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ros.settings import knob
from cc_ros.tracking.base import BackendSettings


@dataclass(frozen=True)
class FlowSettings(BackendSettings):
    """Settings of the flow backend."""

    title = "optical flow"

    work_width: int = knob(320, "width in pixels that images are shrunk to for tracking", ge=80, le=1920)
    preset: int = knob(1, "preset of the DIS flow: 0 ultrafast, 1 fast, 2 medium", ge=0, le=2)
    propose_every: float = knob(0.1, "seconds between two detection passes; flow carries objects between", ge=0, le=60)
    min_area: float = knob(0.0015, "smallest new object, share of the image", ge=0.0001, le=0.5)
    judge_time: float = knob(0.5, "seconds over which the detections of an object are averaged", ge=0, le=60)
    max_lost: int = knob(200, "lost objects that are remembered", ge=0, le=10000)
    depth: bool = knob(True, "use the depth image, and with odometry the place of each object, where they come")
    views: int = knob(40, "views that are remembered to know objects again; 0 = none", ge=0, le=1000)
    features: int = knob(400, "ORB features a view", ge=50, le=5000)
    mask_width: int = knob(427, "width in pixels that images are shrunk to where masks are given", ge=80, le=1920)
    mask_preset: int = knob(2, "preset of the DIS flow where masks are given", ge=0, le=2)
    redraw_every: float = knob(0.08, "seconds between two frames in which given masks are drawn anew", ge=0, le=60)

    @property
    def view_width(self) -> int:
        """Width in pixels of the images that the backend works on."""
        return self.work_width

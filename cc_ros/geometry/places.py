"""Places of tracks, fused over time."""

from __future__ import annotations

from cc_ros.place import Place

__all__ = ["Place"]

"""From frames to instance maps with lasting ids."""

from cc_ros.tracking.base import Track, Tracked, Tracker, TrackStatus

__all__ = ["Track", "TrackStatus", "Tracked", "Tracker"]

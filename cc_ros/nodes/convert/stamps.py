"""Stamps as integer nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """Return a message's stamp as integer nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_time(nanoseconds: int) -> Time:
    """Return integer nanoseconds as a message; negative times become 0."""
    seconds, rest = divmod(max(0, nanoseconds), 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)

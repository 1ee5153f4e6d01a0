"""The rule of time under the name that the nodes import; see :mod:`cc_ros.stamps`."""

from __future__ import annotations

from cc_ros.stamps import Order, StampOrder

__all__ = ["Order", "StampOrder"]

"""The quality of service to play a topic with: what its publishers offered when it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rosbags.interfaces import Connection, QosDurability, QosHistory, QosReliability

DEPTH = 10
MAX_LATCHED = 1000  # messages of a latched topic kept for late subscribers


def qos_of(connections: Sequence[Connection]) -> Any:
    """Return the ``rclpy.qos.QoSProfile`` for one topic, recorded by one or several publishers.

    Best effort only where all offered no more, transient local where any did; what was not recorded is reliable,
    volatile, depth 10: reliable matches both kinds of subscribers.
    """
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    offers = [offer for connection in connections for offer in getattr(connection.ext, "offered_qos_profiles", [])]
    best_effort = bool(offers) and all(offer.reliability == QosReliability.BEST_EFFORT for offer in offers)
    latched = any(offer.durability == QosDurability.TRANSIENT_LOCAL for offer in offers)
    depth = max((offer.depth for offer in offers if offer.history == QosHistory.KEEP_LAST), default=0) or DEPTH
    if latched:  # one publisher now stands for all that were there: none of theirs may push another's out
        depth = max(depth, min(sum(connection.msgcount for connection in connections), MAX_LATCHED))
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )

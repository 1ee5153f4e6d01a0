"""Thread priority: background work gives way to frames."""

from __future__ import annotations

import os
import sys

BACKGROUND, WATCHED = 10, 5  # niceness of work that nobody waits for, and of what somebody watches


def give_way(niceness: int = BACKGROUND) -> None:
    """Let this thread, and those that it starts, run where others leave a core free; for good, and on Linux only."""
    if sys.platform == "linux":  # where threads have a priority of their own
        os.nice(niceness)

"""Thread priority: background work gives way to frames."""

from __future__ import annotations

import os
import sys

NICENESS = 10


def give_way() -> None:
    """Let this thread, and those that it starts, run where others leave a core free; for good, and on Linux only."""
    if sys.platform == "linux":  # where threads have a priority of their own
        os.nice(NICENESS)

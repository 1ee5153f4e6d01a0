"""What users set of the memory."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ros.settings import knob


@dataclass(frozen=True)
class MemorySettings:
    """Where episodes are kept over restarts, and how much of them."""

    memory_dir: str = knob(
        "", "folder that keeps keyframes, objects and answers over restarts; empty = nothing is kept"
    )
    memory_period: float = knob(1.0, "time between two keyframes of the memory, in s", ge=0.1, le=3600.0)
    memory_megabytes: float = knob(
        2000.0, "size of the memory; beyond it, older keyframes are thinned evenly, in MB", ge=1.0, le=1e7
    )
    memory_days: float = knob(
        0.0, "what was seen longer ago is forgotten, pictures and all, in days; 0 = never", ge=0.0, le=36500.0
    )

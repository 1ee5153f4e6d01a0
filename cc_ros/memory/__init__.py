"""Episodes kept over restarts: keyframes, objects with lasting numbers, questions and answers, in a folder.

:class:`Memory` writes as frames come, :class:`MemoryReader` answers what was seen when.
"""

from cc_ros.memory.database import MemoryFault
from cc_ros.memory.reading import MemoryReader
from cc_ros.memory.settings import MemorySettings
from cc_ros.memory.types import Asked, Episode
from cc_ros.memory.writing import Memory

__all__ = ["Asked", "Episode", "Memory", "MemoryFault", "MemoryReader", "MemorySettings"]

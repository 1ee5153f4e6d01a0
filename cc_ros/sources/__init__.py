"""Reading videos, image folders and bags; writing the files of a run."""

from cc_ros.sources.base import Source, SourceSettings
from cc_ros.sources.open import open_source

__all__ = ["Source", "SourceSettings", "open_source"]

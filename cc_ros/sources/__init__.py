"""Read frames from videos, image folders, bags and cameras."""

from cc_ros.sources.base import Source, SourceSettings
from cc_ros.sources.open import open_source

__all__ = ["Source", "SourceSettings", "open_source"]

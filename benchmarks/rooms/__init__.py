"""Furnished rooms drawn with exact instance ids, depth and poses: ``python -m benchmarks.rooms``."""

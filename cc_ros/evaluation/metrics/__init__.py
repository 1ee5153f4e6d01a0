"""Figures of the benchmarks, equal to their authors' implementations."""

"""Benchmarks with marks and without: load, ask, score and report."""

"""Metrics of what the whole system does, with their intervals."""

"""Answers that come from geometry, without a model."""

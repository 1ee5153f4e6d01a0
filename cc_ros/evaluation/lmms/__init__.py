"""Coarse correspondences in lmms-eval: a model that shows any endpoint tracked, marked keyframes."""

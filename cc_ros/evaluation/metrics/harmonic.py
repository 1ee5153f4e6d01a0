"""The score of SOT: the harmonic mean of the accuracy on videos as they are and on reversed ones (paper, section 4)."""

from __future__ import annotations


def harmonic_mean(forward: float, reverse: float) -> float:
    """Return the harmonic mean of two accuracies, 0 where either is 0, NaN where either is NaN.

    >>> round(harmonic_mean(71.6, 70.6), 1)
    71.1
    """
    return 2 * forward * reverse / ((forward + reverse) or 1.0)

"""What a process that works on images needs of the C libraries beneath it."""

from __future__ import annotations

import ctypes

import numpy  # noqa: F401  # loads the BLAS that is limited
from threadpoolctl import threadpool_limits

KEPT = 32 << 20  # bytes; the most that glibc takes as the size from which on it maps memory anew each time
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def prepare_process() -> None:
    """Set up this process, which is ours alone, for images: one BLAS thread, and a heap that keeps what was freed.

    OpenBLAS shares products of a few thousand numbers among threads, which then wait for the next by spinning: half of
    the processor time of tracking. glibc gives an image's memory back to the kernel, which zeroes it for the next one:
    to take a raw 640x480 image from the middleware costs 1.7 ms instead of 0.6.
    """
    threadpool_limits(1, user_api="blas")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # else it is another C library
        mallopt(_MMAP_THRESHOLD, KEPT)
        mallopt(_TRIM_THRESHOLD, KEPT)

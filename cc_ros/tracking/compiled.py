"""Loops over pixels and regions that NumPy has no function for, compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function at its first call and keep the code for later processes; it runs without the interpreter lock.

    The code is kept beside the module or in the user's cache; where neither can be written, in memory only. It is
    made anew when its own module changes, not for constants of others: delete ``__pycache__`` after editing those.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no folder that can be written
        return cast(F, numba.njit(nogil=True)(function))

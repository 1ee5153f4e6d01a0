"""Loops over pixels and regions that NumPy has no function for, compiled by numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

logger = logging.getLogger(__name__)


def compiled(function: F) -> F:
    """Compile a function at its first call and keep the code for later processes; it runs without the interpreter lock.

    The code is kept beside the module where that can be written, else in the user's cache folder, else, without a home,
    in memory only; ``NUMBA_CACHE_DIR`` names another folder. It is made anew when its own module changes, not for
    constants of others: delete ``__pycache__`` after editing those.
    """
    try:
        dispatcher = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that can be written
        return cast(F, numba.njit(nogil=True)(function))
    _forgive(dispatcher)
    return cast(F, dispatcher)


def _forgive(dispatcher: Any) -> None:
    """Let a kept file that a power cut has spoiled, or a disk that is full, cost time rather than the frame."""
    # numba lets only some errors of the system pass, and offers no other place to catch the rest.
    cache = getattr(dispatcher, "_cache", None)
    for name in ("load_overload", "save_overload"):
        if hasattr(cache, name):
            setattr(cache, name, _forgiving(cache, getattr(cache, name)))


def _forgiving(cache: Any, step: Callable[..., Any]) -> Callable[..., Any]:
    def attempt(*args: Any) -> Any:
        try:
            return step(*args)
        except Exception as error:  # whatever a file of any content can lead to
            logger.debug("compiled code was not found or kept: %r", error)
            with suppress(OSError):
                cache.flush()  # else what is spoiled would be in the way of what is made anew
            return None

    return attempt

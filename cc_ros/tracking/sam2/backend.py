"""SAM 2 as a backend: whether it can run here, and its tracker. Importable where torch is not."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from cc_ros.errors import BackendError
from cc_ros.tracking.base import BackendSettings, SlowBackend, Tracker
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.weights import why_missing

INSTALL = "pip install sam2==1.1.0 (docs/guide/backends.md says how without a GPU)"


def make(settings: Sam2Settings) -> Tracker:
    """Return the tracker; missing weights are fetched unless ``download`` is "never".

    :raises BackendError: package, device or weights cannot be used; the text says what to do.
    """
    _need_packages()
    _has_gpu(settings)
    from cc_ros.tracking.sam2.loading import load_predictor
    from cc_ros.tracking.sam2.tracker import Sam2Tracker

    return Sam2Tracker(load_predictor(settings), settings, ObjectNetwork())


def in_background(settings: BackendSettings) -> SlowBackend:
    """Return SAM 2 to run beside a faster tracker; without a GPU it is set up for few frames on half of the cores.

    :raises BackendError: it cannot run here, or its weights are missing and may not be fetched.
    """
    settings = cast(Sam2Settings, settings)
    _need_packages()
    if not _may_have_gpu(settings.device) and (reason := why_missing(settings, fetch=False)):
        raise BackendError(reason)  # before torch is loaded, which takes seconds
    gpu = _has_gpu(settings)
    if reason := why_missing(settings, fetch=gpu):
        raise BackendError(reason)
    if not gpu:
        from cc_ros.tracking.sam2.loading import CORES

        # Every frame that SAM 2 gets comes seconds after the last one, and nobody waits for the answer; the camera's
        # frames need a core as well.
        settings = replace(
            settings,
            discover="off" if settings.discover == "off" else "inline",
            discover_every=1,
            patience=min(settings.patience, const.BACKGROUND_PATIENCE),
            threads=settings.threads or max(CORES // 2, 1),
        )
    return SlowBackend("sam2", settings.title, lambda: make(settings), keeps_up=gpu)


def _need_packages() -> None:
    missing = [name for name in ("torch", "sam2") if find_spec(name) is None]
    if missing:
        raise BackendError(f"SAM 2 needs the package {missing[0]!r}: {INSTALL}")


def _may_have_gpu(device: str) -> bool:
    """Return False where torch would surely choose no GPU: there is no driver of one, NVIDIA's or AMD's."""
    if device != "auto":
        return device != "cpu"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True


def _has_gpu(settings: Sam2Settings) -> bool:
    try:
        from cc_ros.tracking.sam2.loading import choose_device
    except (ImportError, OSError, RuntimeError) as error:  # a CUDA library is missing, say, or a folder is named sam2
        raise BackendError(f"torch or sam2 cannot be imported: {error}; {INSTALL}") from error
    return choose_device(settings.device).type != "cpu"

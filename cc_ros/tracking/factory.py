"""From the name of a backend to a tracker; an implementation is imported only when it is asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.util import find_spec

from cc_ros.errors import BackendError, SettingsError
from cc_ros.settings import checked
from cc_ros.tracking.auto.tracker import AutoTracker
from cc_ros.tracking.base import Tracker
from cc_ros.tracking.fallback import Fallback
from cc_ros.tracking.flow.tracker import FlowSettings, FlowTracker
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.optical_flow import DisPropagator
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.weights import RELEASES, weights_here

BACKENDS = ("auto", "flow", "sam2")
KEYFRAME_PATIENCE = 10  # keyframes out of sight after which an object is only looked for
INSTALL = "pip install sam2==1.1.0 (docs/guide/backends.md says how without a GPU)"


def make_tracker(backend: str = "auto", flow: FlowSettings | None = None, sam2: Sam2Settings | None = None) -> Tracker:
    """Return the tracker called ``backend``.

    ``flow`` needs nothing; ``sam2`` needs torch, the sam2 package and weights; ``auto`` uses SAM 2 as far as it
    is there, and ``flow`` alone otherwise (``health()["degraded"]`` then says why).

    :param flow: None = the defaults.
    :param sam2: None = the defaults.
    :raises SettingsError: no such backend, or a setting out of its range.
    :raises BackendError: ``sam2`` cannot run here; the text says what to do.
    """
    flow = checked(FlowSettings, asdict(flow or FlowSettings()))
    sam2 = checked(Sam2Settings, asdict(sam2 or Sam2Settings()))
    if backend not in BACKENDS:
        raise SettingsError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "flow":
        return FlowTracker(flow)
    reason = _why_not(sam2, fetch=backend == "sam2")
    if backend == "sam2":
        if reason:
            raise BackendError(reason)
        return Fallback(lambda: FlowTracker(flow), primary=_make_sam2(sam2))
    if reason:
        return Fallback(lambda: FlowTracker(flow), reason=reason)
    return _make_auto(flow, sam2)


def _why_not(settings: Sam2Settings, *, fetch: bool) -> str:
    """Return why SAM 2 cannot be used and what to do, or "".

    :param fetch: whether download "auto" means that missing weights are fetched even without a GPU.
    """
    missing = [name for name in ("torch", "sam2") if find_spec(name) is None]
    if missing:
        return f"SAM 2 needs the package {missing[0]!r}: {INSTALL}"
    try:
        gpu = _has_gpu(settings)
    except BackendError as error:
        return str(error)
    return "" if fetch or weights_here(settings) else _may_not_fetch(settings, gpu)


def _may_not_fetch(settings: Sam2Settings, gpu: bool) -> str:
    if settings.weights:
        return f"weights {settings.weights!r} is no file; give SAM 2.1 weights, or '' for the official ones"
    release = RELEASES[settings.model]
    if settings.download == "never":
        return f"no SAM 2 weights at {release.path}, and download is 'never'"
    if settings.download == "auto" and not gpu:
        size = f"{release.megabytes} MB"
        return f"no GPU, and no SAM 2 weights at {release.path}; set download to 'always' to fetch them ({size})"
    return ""


def _has_gpu(settings: Sam2Settings) -> bool:
    try:
        from cc_ros.tracking.sam2.loading import choose_device
    except (ImportError, OSError, RuntimeError) as error:  # a CUDA library is missing, say, or a folder is named sam2
        raise BackendError(f"torch or sam2 cannot be imported: {error}; {INSTALL}") from error
    return choose_device(settings.device).type != "cpu"


def _make_auto(flow: FlowSettings, sam2: Sam2Settings) -> Tracker:
    from cc_ros.tracking.sam2.loading import CORES

    gpu = _has_gpu(sam2)
    if not gpu:
        # Every frame that SAM 2 sees is a keyframe, seconds after the last one, and nobody waits for the answer; the
        # camera's frames need a core as well.
        sam2 = replace(
            sam2,
            discover="off" if sam2.discover == "off" else "inline",
            discover_every=1,
            patience=min(sam2.patience, KEYFRAME_PATIENCE),
            threads=sam2.threads or max(CORES // 2, 1),
        )
    return AutoTracker(FlowTracker(flow), lambda: _make_sam2(sam2), DisPropagator(1, 25.0), wait=gpu)


def _make_sam2(settings: Sam2Settings) -> Tracker:
    from cc_ros.tracking.sam2.loading import load_predictor
    from cc_ros.tracking.sam2.tracker import Sam2Tracker

    return Sam2Tracker(load_predictor(settings), settings, ObjectNetwork())

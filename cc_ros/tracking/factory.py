"""The table of backends: from a name and settings to a tracker. An implementation is imported when it is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pkgutil import resolve_name

from cc_ros.errors import BackendError, SettingsError
from cc_ros.settings import checked
from cc_ros.tracking.auto.tracker import AutoTracker
from cc_ros.tracking.base import BackendSettings, Tracker
from cc_ros.tracking.fallback import Fallback
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.sam2.settings import Sam2Settings


@dataclass(frozen=True)
class Backend:
    """One row of the table.

    :param settings: their names, behind the backend's, are parameters of the tracker node and ``cc-ros run --set``.
    :param make: "module:callable" that makes the tracker from the settings; raises a BackendError where it cannot run.
    """

    settings: type[BackendSettings]
    make: str


BACKENDS = {
    "flow": Backend(FlowSettings, "cc_ros.tracking.flow.tracker:FlowTracker"),
    "sam2": Backend(Sam2Settings, "cc_ros.tracking.sam2.backend:make"),
}
AUTO, SIMPLE, SLOW = "auto", "flow", "sam2"  # auto runs the slow one beside the simple one, which runs everywhere
NAMES = (AUTO, *BACKENDS)
SETTINGS = {name: backend.settings for name, backend in BACKENDS.items()}


def make_tracker(backend: str = AUTO, *settings: BackendSettings) -> Tracker:
    """Return the tracker called ``backend``.

    ``flow`` needs nothing; ``sam2`` needs torch, the sam2 package and weights; ``auto`` uses SAM 2 as far as it
    is there, and ``flow`` alone otherwise (``health()["degraded"]`` then says why).

    :param settings: of any backends, such as ``FlowSettings(work_width=480)``; defaults where they are missing.
    :raises SettingsError: no such backend, or a setting out of its range.
    :raises BackendError: the backend cannot run here; the text says what to do.
    """
    if backend not in NAMES:
        raise SettingsError(f"backend must be one of {', '.join(NAMES)}, got {backend!r}")
    given = _by_name(settings)

    def make(name: str) -> Tracker:
        tracker: Tracker = resolve_name(BACKENDS[name].make)(given[name])
        return tracker

    simple = partial(make, SIMPLE)
    if backend == SIMPLE:
        return simple()
    if backend != AUTO:
        return Fallback(simple, make(backend), title=SETTINGS[backend].title)
    from cc_ros.tracking.sam2.backend import in_background

    try:
        slow = in_background(given[SLOW])
    except BackendError as error:
        return Fallback(simple, title=SETTINGS[SLOW].title, reason=str(error))
    return AutoTracker(simple(), slow)


def view_width(backend: str, *settings: BackendSettings) -> int:
    """Return the width in pixels of the images that a backend works on; wider ones may be shrunk before."""
    given = _by_name(settings)
    return max(given[name].view_width for name in (SIMPLE, SLOW if backend == AUTO else backend))


def _by_name(settings: tuple[BackendSettings, ...]) -> dict[str, BackendSettings]:
    """Return checked settings of every backend.

    :raises SettingsError: a setting is out of its range, or of no backend.
    """
    by_type = {type(one): one for one in settings}
    strangers = by_type.keys() - set(SETTINGS.values())
    if strangers:
        raise SettingsError(f"{strangers.pop().__name__} are settings of no backend")
    return {name: checked(cls, asdict(by_type.get(cls) or cls())) for name, cls in SETTINGS.items()}

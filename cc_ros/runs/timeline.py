"""When each track was visible, as a plot; the report and the live page draw the same one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from cc_ros.keyframes.drawing import BY_ID, colour
from cc_ros.runs.track_history import TrackHistory

MAX_ROWS = 40  # tracks in the plot
_TICKS = 6


def timeline(tracks: TrackHistory, marked: Collection[int], keyframes: Iterable[float]) -> dict[str, Any] | None:
    """Return what to plot, places in percent of the width; None where nothing was tracked.

    :param marked: ids that have a mark.
    :param keyframes: stamps in seconds, as those of the tracks.
    """
    rows = tracks.rows(MAX_ROWS)
    if not rows:
        return None
    span = max(tracks.end - tracks.begin, 1e-9)

    def percent(stamp: float) -> float:
        return round(100 * min(max((stamp - tracks.begin) / span, 0), 1), 3)

    return {
        "rows": [
            {
                "id": row.id,
                "colour": chip(BY_ID, row.id)["background"],
                "marked": row.id in marked,
                "frames": row.frames,
                # left and width, percent
                "bars": [(percent(first), max(percent(last) - percent(first), 0.3)) for first, last in row.intervals],
                "text": ", ".join(
                    f"{seconds(first - tracks.begin)} to {seconds(last - tracks.begin)}"
                    for first, last in row.intervals
                ),
            }
            for row in rows
        ],
        "hidden": len(tracks) - len(rows) + tracks.dropped,
        "ticks": [(percent(tracks.begin + tick), seconds(tick)) for tick in _ticks(span)],
        "keyframes": [percent(stamp) for stamp in keyframes if tracks.begin <= stamp <= tracks.end],
    }


def chip(name: str, instance: int) -> dict[str, str]:
    """Return the CSS colours of a mark: its background, and a text that can be read on it.

    :param name: of a colour, as ``MarkSettings.fill``.
    """
    b, g, r = colour(name, instance)
    bright = 0.299 * r + 0.587 * g + 0.114 * b > 150
    return {"background": f"#{r:02x}{g:02x}{b:02x}", "text": "#000" if bright else "#fff"}


def seconds(value: float) -> str:
    """Return seconds for people."""
    if abs(value) >= 120:
        return f"{int(value // 60)} min {value % 60:.0f} s"
    return f"{value:.3g} s"


def _ticks(span: float) -> list[float]:
    """Return about six round numbers from 0 to ``span``."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _TICKS >= span)
    return [index * step for index in range(math.floor(span / step + 1e-9) + 1)]

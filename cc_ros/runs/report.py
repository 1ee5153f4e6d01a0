"""Write the report of a run: one self-contained page with pictures, marks, tracks, answers, times and settings."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from cc_ros.keyframes.drawing import BY_ID, colour
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.reasoning.types import Answer
from cc_ros.runs.track_history import TrackHistory
from cc_ros.runs.writer import Timing, write_file

MAX_ROWS = 40  # tracks in the plot
_TICKS = 6


@dataclass(frozen=True)
class Report:
    """What the page shows; all texts are escaped.

    :param title: heading of the page.
    :param source: the recording.
    :param backend: name of the tracker.
    :param keyframes: the marked frames, in order of time.
    :param tracks: when each track was visible.
    :param timing: None when nothing was timed.
    :param answers: questions and answers.
    :param settings: step -> (setting -> value).
    :param skipped: reason -> how often something of the recording was left out.
    :param reading: how the recording was taken, and what exactly was left out, in sentences.
    :param counters: what the tracker counted by the end of the run, such as frames that SAM 2 skipped.
    :param notes: sentences worth reading first, such as why a backend is degraded.
    :param mark_fill: colour of the marks as drawn (``MarkSettings.fill``).
    """

    title: str
    source: str
    backend: str
    keyframes: Sequence[MarkedKeyframe] = ()
    tracks: TrackHistory = field(default_factory=TrackHistory)
    timing: Timing | None = None
    answers: Sequence[tuple[str, Answer]] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    reading: Sequence[str] = ()
    counters: Mapping[str, str | int | float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    mark_fill: str = "red"


def write_report(path: Path, report: Report) -> None:
    """Write the page; it needs neither network nor other files.

    :raises RunFilesError: the file cannot be written.
    """
    write_file(path, render_report(report).encode())


def render_report(report: Report) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = _seconds
    environment.filters["number"] = _number
    environment.filters["percent"] = _percent
    begin = report.tracks.begin if len(report.tracks) else min((k.stamp for k in report.keyframes), default=0.0)
    marked = sorted({mark.id for keyframe in report.keyframes for mark in keyframe.marks})
    mentioned = {instance for _, answer in report.answers for instance in answer.mark_ids}
    return environment.get_template("report.html.j2").render(
        report=report,
        begin=begin,
        pictures=[base64.b64encode(keyframe.jpeg).decode() for keyframe in report.keyframes],
        marked=marked,
        by_frame=[{mark.id: mark for mark in keyframe.marks} for keyframe in report.keyframes],
        chips={instance: _css(report.mark_fill, instance) for instance in {*marked, *mentioned}},
        plot=_plot(report, set(marked)),
    )


def _plot(report: Report, marked: set[int]) -> dict[str, Any] | None:
    tracks = report.tracks
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
                "colour": _css(BY_ID, row.id)["background"],
                "marked": row.id in marked,
                "frames": row.frames,
                # left and width, percent
                "bars": [(percent(first), max(percent(last) - percent(first), 0.3)) for first, last in row.intervals],
                "text": ", ".join(
                    f"{_seconds(first - tracks.begin)} to {_seconds(last - tracks.begin)}"
                    for first, last in row.intervals
                ),
            }
            for row in rows
        ],
        "hidden": len(tracks) - len(rows) + tracks.dropped,
        "ticks": [(percent(tracks.begin + tick), _seconds(tick)) for tick in _ticks(span)],
        "keyframes": [percent(k.stamp) for k in report.keyframes if tracks.begin <= k.stamp <= tracks.end],
    }


def _ticks(span: float) -> list[float]:
    """Return about six round numbers from 0 to ``span``."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _TICKS >= span)
    return [index * step for index in range(math.floor(span / step + 1e-9) + 1)]


def _css(name: str, instance: int) -> dict[str, str]:
    b, g, r = colour(name, instance)
    bright = 0.299 * r + 0.587 * g + 0.114 * b > 150
    return {"background": f"#{r:02x}{g:02x}{b:02x}", "text": "#000" if bright else "#fff"}


def _seconds(value: float) -> str:
    if abs(value) >= 120:
        return f"{int(value // 60)} min {value % 60:.0f} s"
    return f"{value:.3g} s"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _number(value: Any) -> str:
    """Write numbers as people do, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"

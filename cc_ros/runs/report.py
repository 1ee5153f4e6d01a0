"""Write the report of a run: one self-contained page with pictures, marks, tracks, answers, times and settings."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.reasoning.types import Answer
from cc_ros.runs.timeline import chip, seconds, timeline
from cc_ros.runs.track_history import TrackHistory
from cc_ros.runs.writer import Timing, write_file


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


def templates(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder; all texts are escaped."""
    loader, strict = jinja2.FileSystemLoader(folder), jinja2.StrictUndefined
    return jinja2.Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)


def render_report(report: Report) -> str:
    """Return the page as HTML."""
    environment = templates(Path(__file__).parent)
    environment.filters["seconds"] = seconds
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
    begin = report.tracks.begin if len(report.tracks) else min((k.stamp for k in report.keyframes), default=0.0)
    marked = sorted({mark.id for keyframe in report.keyframes for mark in keyframe.marks})
    mentioned = {instance for _, answer in report.answers for instance in answer.mark_ids}
    return environment.get_template("report.html.j2").render(
        report=report,
        begin=begin,
        pictures=[base64.b64encode(keyframe.jpeg).decode() for keyframe in report.keyframes],
        marked=marked,
        by_frame=[{mark.id: mark for mark in keyframe.marks} for keyframe in report.keyframes],
        chips={instance: chip(report.mark_fill, instance) for instance in {*marked, *mentioned}},
        plot=timeline(report.tracks, set(marked), [keyframe.stamp for keyframe in report.keyframes]),
    )


def _number(value: Any) -> str:
    """Write numbers as people do, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"

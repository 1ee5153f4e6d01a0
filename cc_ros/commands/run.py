"""track, mark and ask about a video, an image folder or a bag, without ROS

Feeds every frame through the classes that the ROS nodes wrap and writes a folder: labels/*.png (instance ids),
keyframes/*.jpg (marked), marks.json, timing.json and report.html. Ctrl-C ends the run early and writes what there is.

  cc-ros run walk.mp4 --out runs/walk
  cc-ros run my_bag --frames 4 --marks 5 --ask "How many different chairs are there?"
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.commands.answers import ask_all
from cc_ros.commands.options import add_settings, list_settings, parse_assignments, settings_of
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import SettingsError, SourceError

if TYPE_CHECKING:
    import numpy as np

    from cc_ros.keyframes import Keyframes
    from cc_ros.sources.base import Source
    from cc_ros.sources.run_files import RunWriter
    from cc_ros.sources.track_history import TrackHistory
    from cc_ros.tracking import Tracker

INTERRUPTED = "stopped early"


def groups() -> dict[str, type]:
    """Return every group of settings that a run has."""
    from cc_ros.keyframes import KeyframeSettings, MarkSettings
    from cc_ros.reasoning.settings import ReasonerSettings
    from cc_ros.tracking.flow import FlowSettings
    from cc_ros.tracking.sam2.settings import Sam2Settings

    return {
        "flow": FlowSettings,
        "sam2": Sam2Settings,
        "keyframes": KeyframeSettings,
        "mark": MarkSettings,
        "reasoner": ReasonerSettings,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from cc_ros.sources.base import SourceSettings
    from cc_ros.tracking.factory import BACKENDS

    parser.add_argument("source", nargs="?", type=Path, help="video file, folder of images, or rosbag2")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write; default runs/<name of the source>")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="tracking; default auto")
    parser.add_argument("--frames", type=int, metavar="M", help="keyframes (1..64); default 8")
    parser.add_argument("--marks", type=int, metavar="K", help="objects that get a mark; default 8")
    parser.add_argument("--marks-file", metavar="JSON", help="marks given by hand, laid out like marks.json")
    parser.add_argument(
        "--init-mask", type=Path, metavar="PNG", help="the objects of frame 0, by value or colour: follow just those"
    )
    parser.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop after so many frames; 0 = all")
    parser.add_argument("--no-labels", action="store_true", help="do not write labels/*.png")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    asking = parser.add_argument_group("asking")
    asking.add_argument("--ask", action="append", default=[], metavar="QUESTION", help="repeatable")
    asking.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint")
    asking.add_argument("--model", metavar="NAME", help="the model's name; the key comes from the environment")
    asking.add_argument("--preset", metavar="NAME", help="kind of server: openai, gemini, claude, vllm, ollama, ...")
    add_settings(parser.add_argument_group("reading"), SourceSettings)
    more = parser.add_argument_group("all other settings")
    more.add_argument("--set", action="append", default=[], metavar="GROUP.NAME=VALUE", help="e.g. mark.diameter=60")
    more.add_argument("--list-settings", action="store_true", help="show every GROUP.NAME with its default, and stop")


def main(options: argparse.Namespace) -> int:
    """Run; return the exit status."""
    if options.list_settings:
        print(list_settings(groups()))
        return 0
    if options.source is None:
        raise SettingsError("name a video file, a folder of images or a rosbag2; `cc-ros run --help` shows how")
    from cc_ros.keyframes import Keyframes
    from cc_ros.sources.base import SourceSettings
    from cc_ros.sources.open import open_source
    from cc_ros.sources.run_files import RunWriter
    from cc_ros.sources.track_history import TrackHistory
    from cc_ros.tracking.factory import make_tracker

    settings = _settings(options)
    reading = settings_of(SourceSettings, options)
    keyframes = Keyframes(settings["keyframes"], settings["mark"])
    tracker = make_tracker(options.backend, settings["flow"], settings["sam2"])
    history = TrackHistory()
    out = options.out or Path("runs") / options.source.resolve().stem
    try:
        with (
            open_source(options.source, **dataclasses.asdict(reading)) as source,
            RunWriter(out, source.name, source.fps, labels=not options.no_labels) as writer,
        ):
            if options.init_mask:
                tracker.seed(read_mask(options.init_mask))
            ended = _follow(options, source, tracker, keyframes, writer, history)
            marked = keyframes.marked()
            writer.keyframes(marked)
            timing = writer.finish()
            answers = ask_all(options.ask, settings["reasoner"], keyframes)
            _report(options, out, source, settings, tracker, keyframes, history, timing, answers, ended)
    finally:
        tracker.close()
    marks = len({mark.id for keyframe in marked for mark in keyframe.marks})
    print(
        f"{timing.frames} frames{f' ({ended})' if ended else ''}, {len(history)} tracks, {len(marked)} keyframes "
        f"with {marks} marks, median {timing.median or 0:.1f} ms a frame -> {out}/report.html"
    )
    return {"": 0, INTERRUPTED: 130}.get(ended, 1)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    given = parse_assignments(options.set, groups())
    for group, names in (
        ("keyframes", ("frames", "marks", "marks_file")),
        ("reasoner", ("base_url", "model", "preset")),
    ):
        given[group] |= {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    # A file waits: SAM 2 searches within a frame's turn, so that the same file always gives the same result.
    given["sam2"].setdefault("discover", "inline")
    return {group: settings_of(cls, argparse.Namespace(), given[group]) for group, cls in groups().items()}


def read_mask(path: Path) -> np.ndarray:
    """Return the objects drawn in a picture as HxW uint16: grey values are ids, colours are numbered from 1.

    :raises SettingsError: no picture, or no object in it.
    """
    import cv2
    import numpy as np

    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise SettingsError(f"the mask {path} is not a picture that can be read")
    if image.ndim == 3:
        colours = image[..., :3].reshape(-1, 3).astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
        values, numbers = np.unique(np.append(colours, 0).astype(np.uint32), return_inverse=True)
        if len(values) > 1000:
            raise SettingsError(f"the mask {path} has {len(values)} colours: it is a photograph, not a mask")
        image = numbers[:-1].reshape(image.shape[:2])
    if not image.any():
        raise SettingsError(f"the mask {path} is empty")
    return image.astype(np.uint16)


def _follow(
    options: argparse.Namespace,
    source: Source,
    tracker: Tracker,
    keyframes: Keyframes,
    writer: RunWriter,
    history: TrackHistory,
) -> str:
    """Step through the source; return why it ended early, or "".

    :raises SourceError: the source is damaged before its first frame.
    """
    from itertools import islice

    from tqdm import tqdm

    from cc_ros.keyframes import ArrayPicture, Candidate

    last = float("-inf")
    index = -1
    total = min(filter(None, (source.length, options.max_frames)), default=None)
    try:
        with stop_on_signals() as stop, tqdm(total=total, unit="frame", disable=True if options.quiet else None) as bar:
            for index, frame in enumerate(islice(source, options.max_frames or None)):
                if stop.is_set():
                    return INTERRUPTED
                begun = time.perf_counter()
                if frame.stamp < last:  # a recording of a bag that looped
                    tracker.reset()
                    keyframes.store.clear()
                last = frame.stamp
                tracked = tracker.step(frame)
                keyframes.store.offer(
                    Candidate(
                        *(index, frame.stamp, ArrayPicture(frame.image), tracked.labels),
                        *(frame.depth, frame.intrinsics, frame.pose),
                        {track.id: track.confidence for track in tracked.tracks},
                    )
                )
                writer.frame(index, tracked.labels, time.perf_counter() - begun)
                history.add(frame.stamp, [track.id for track in tracked.tracks if track.area])
                bar.update()
    except SourceError as error:
        if index < 0:
            raise
        return f"damaged after frame {index}: {error}"  # what came before the damage is kept
    for reason, count in source.skipped.items():
        print(f"left out: {reason} ({count})", file=sys.stderr)
    return ""


def _report(
    options: argparse.Namespace,
    out: Path,
    source: Source,
    settings: dict[str, Any],
    tracker: Tracker,
    keyframes: Keyframes,
    history: TrackHistory,
    timing: Any,
    answers: list[Any],
    ended: str,
) -> None:
    from cc_ros.sources.report import Report, write_report

    counters = dict(tracker.health())
    degraded = counters.pop("degraded", None)
    write_report(
        out / "report.html",
        Report(
            title=f"cc_ros: {source.name}",
            source=source.name,
            backend=options.backend,
            keyframes=keyframes.marked(),
            tracks=history,
            timing=timing,
            answers=answers,
            settings={group: dataclasses.asdict(values) for group, values in settings.items()},
            skipped=source.skipped,
            counters=counters,
            notes=[str(note) for note in (ended, degraded) if note],
            mark_fill=settings["mark"].fill,
        ),
    )

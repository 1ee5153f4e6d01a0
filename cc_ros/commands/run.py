"""track, mark and ask about a video, an image folder, a bag or a camera, without ROS

Feeds every frame through the classes that the ROS nodes wrap and writes a folder: labels/*.png (instance ids),
keyframes/*.jpg (marked), marks.json, timing.json and report.html. Ctrl-C ends the run early and writes what there is.
The exit status is 0 when all went well, 1 when frames or a question failed, 130 after Ctrl-C; files are written anyway.

  cc-ros run walk.mp4 --out runs/walk
  cc-ros run my_bag --frames 4 --marks 5 --ask "How many different chairs are there?"
  cc-ros run robot1_bag robot2_bag robot3_bag --ray auto
  cc-ros run /dev/video0 --seconds 30        (or rtsp://..., http://..., or a camera's number)
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.commands.answers import ask_all, source_of
from cc_ros.commands.options import add_settings, amount, list_settings, parse_assignments, settings_of
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError, SettingsError, SourceError
from cc_ros.settings import checked

if TYPE_CHECKING:
    import numpy as np

    from cc_ros.frame import Frame
    from cc_ros.geometry.places import PlaceMap
    from cc_ros.keyframes import Candidate, Keyframes, MarkedKeyframe
    from cc_ros.memory import Asked, Memory
    from cc_ros.reasoning import Answer
    from cc_ros.reasoning.settings import CaptionSettings
    from cc_ros.runs.rerun_log import RerunLog
    from cc_ros.runs.track_history import TrackHistory
    from cc_ros.runs.writer import RunWriter, Timing
    from cc_ros.sources.base import Source
    from cc_ros.tracking import Tracker

INTERRUPTED = "stopped early"
EARLIEST_DATE = 1e8  # seconds; smaller stamps count from the beginning of a recording


def groups() -> dict[str, type]:
    """Return every group of settings that a run has."""
    from cc_ros.keyframes import KeyframeSettings, MarkSettings
    from cc_ros.reasoning.settings import CaptionSettings, GoalSettings, ReasonerSettings
    from cc_ros.tracking.factory import SETTINGS

    return {
        **SETTINGS,
        "keyframes": KeyframeSettings,
        "mark": MarkSettings,
        "memory": CaptionSettings,
        "reasoner": ReasonerSettings,
        "goals": GoalSettings,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from cc_ros.sources.base import SourceSettings
    from cc_ros.tracking.factory import NAMES

    parser.add_argument(
        "sources", nargs="*", metavar="source", help="video file, folder of images, rosbag2, camera or stream"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write; default runs/<name of the source>; of several, a folder each below it",
    )
    parser.add_argument("--backend", choices=NAMES, default="auto", help="tracking; default auto")
    parser.add_argument("--frames", type=int, metavar="M", help="keyframes (1..64); default 8")
    parser.add_argument("--marks", type=int, metavar="K", help="objects that get a mark; default 8")
    parser.add_argument("--marks-file", metavar="JSON", help="marks given by hand, laid out like marks.json")
    parser.add_argument(
        "--init-mask", type=Path, metavar="PNG", help="the objects of frame 0, by value or colour: follow just those"
    )
    parser.add_argument("--max-frames", type=amount(int), default=0, metavar="N", help="stop after so many; 0 = all")
    parser.add_argument("--seconds", type=amount(float), default=0.0, metavar="S", help="stop after so long; 0 = all")
    parser.add_argument("--memory", metavar="DIR", help="keep the episode there, and give objects the numbers they had")
    parser.add_argument("--rerun", type=Path, metavar="FILE.rrd", help="write a recording for the Rerun viewer as well")
    parser.add_argument("--no-labels", action="store_true", help="do not write labels/*.png")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread several sources over a Ray cluster (pip install 'cc_ros[ray]'); or local",
    )
    asking = parser.add_argument_group("asking")
    asking.add_argument("--ask", action="append", default=[], metavar="QUESTION", help="repeatable")
    asking.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint")
    asking.add_argument("--model", metavar="NAME", help="the model's name; the key comes from the environment")
    asking.add_argument("--preset", metavar="NAME", help="kind of server: openai, gemini, claude, vllm, ollama, ...")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--topic", dest="image_topic", metavar="TEXT", help="short for --image-topic")
    add_settings(reading, SourceSettings)
    more = parser.add_argument_group("all other settings")
    more.add_argument("--set", action="append", default=[], metavar="GROUP.NAME=VALUE", help="e.g. mark.diameter=60")
    more.add_argument("--list-settings", action="store_true", help="show every GROUP.NAME with its default, and stop")


def main(options: argparse.Namespace) -> int:
    """Run; return the exit status."""
    if options.list_settings:
        print(list_settings(groups()))
        return 0
    if not options.sources:
        raise SettingsError(
            "name a video file, a folder of images, a rosbag2 or a camera; `cc-ros run --help` shows how"
        )
    if len(options.sources) > 1 or options.ray:
        from cc_ros.commands.fleet import run_all

        return run_all(options, options.sources, run_one)
    return run_one(options)


def run_one(options: argparse.Namespace) -> int:
    """Run the first source; return the exit status."""
    from cc_ros.geometry.places import PlaceMap
    from cc_ros.keyframes import Keyframes
    from cc_ros.process import prepare_process
    from cc_ros.runs.track_history import TrackHistory
    from cc_ros.runs.writer import RunWriter
    from cc_ros.sources.base import SourceSettings
    from cc_ros.sources.open import open_source, source_name
    from cc_ros.tracking.factory import SETTINGS, make_tracker

    prepare_process()
    settings = _settings(options)
    reading = settings_of(SourceSettings, options)
    memory = _memory(options, settings["memory"])
    keyframes = Keyframes(settings["keyframes"], settings["mark"], memory)
    places = PlaceMap(keyframes.number)
    tracker = make_tracker(options.backend, *(settings[name] for name in SETTINGS))
    history = TrackHistory()
    out = options.out or Path("runs") / source_name(options.sources[0])
    try:
        with (
            open_source(options.sources[0], **dataclasses.asdict(reading)) as source,
            RunWriter(out, source.name, source.fps, labels=not options.no_labels) as writer,
            _rerun_log(options, source) as log,
        ):
            tracker.prepare()  # what is loaded and compiled once is no frame's time
            mask = read_mask(options.init_mask) if options.init_mask else None
            if mask is not None:
                tracker.seed(mask)
            run = _Run(options, settings, source, tracker, keyframes, places, writer, history, memory, log, mask)
            ended = run.follow()
            marked = keyframes.marked()
            writer.keyframes(marked)
            if log is not None:
                log.keyframes(marked)
            timing = writer.finish()
            asked = source_of(keyframes, places, run.ground, source.remarks)
            answers, interrupted = ask_all(
                options.ask, settings["reasoner"], settings["goals"], asked, run.keep, run.clock
            )
            ended = ended or (INTERRUPTED if interrupted else "")
            run.report(marked, timing, answers, ended)
    finally:
        tracker.close()
        if memory is not None:
            memory.close()
    marks = len({mark.id for keyframe in marked for mark in keyframe.marks})
    print(
        f"{timing.frames} frames{f' ({ended})' if ended else ''}, {len(history)} tracks, {len(marked)} keyframes "
        f"with {marks} marks, median {timing.median or 0:.1f} ms a frame -> {out}/report.html"
    )
    failed = not all(answer.ok for _, answer in answers)
    return {"": int(failed), INTERRUPTED: 130}.get(ended, 1)


def _memory(options: argparse.Namespace, captions: CaptionSettings) -> Memory | None:
    if not options.memory:
        return None
    from cc_ros.memory import Memory, MemorySettings
    from cc_ros.reasoning.captions import captioning

    return Memory(MemorySettings(memory_dir=options.memory), captioning(captions))


def _rerun_log(options: argparse.Namespace, source: Source) -> AbstractContextManager[RerunLog | None]:
    if options.rerun is None:
        return nullcontext()
    from cc_ros.runs.rerun_log import RerunLog

    return RerunLog(options.rerun, source.name)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    given = parse_assignments(options.set, groups())
    for group, names in (
        ("keyframes", ("frames", "marks", "marks_file")),
        ("reasoner", ("base_url", "model", "preset")),
    ):
        given[group] |= {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    from cc_ros.sources.open import is_stream
    from cc_ros.tracking.factory import SETTINGS

    if not is_stream(options.sources[0]):  # a file waits for every frame
        for name, cls in SETTINGS.items():
            given[name] = {**cls.for_files, **given[name]}
    return {group: checked(cls, given[group]) for group, cls in groups().items()}


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


@dataclasses.dataclass
class _Run:
    """One recording on its way through the steps."""

    options: argparse.Namespace
    settings: dict[str, Any]
    source: Source
    tracker: Tracker
    keyframes: Keyframes
    places: PlaceMap
    writer: RunWriter
    history: TrackHistory
    memory: Memory | None = None
    log: RerunLog | None = None
    mask: np.ndarray | None = None  # of the first frame's objects
    now: float | None = None  # seconds since 1970 of the newest frame

    def __post_init__(self) -> None:
        from cc_ros.geometry.ground_seen import SeenGround

        self.ground = SeenGround()

    def clock(self) -> float:
        """Return seconds since 1970 that times in words go by: those of the newest frame, if it has a date."""
        return time.time() if self.now is None else self.now

    def keep(self, asked: Asked) -> None:
        """Keep a question with its answer in the memory; the stamps of its keyframes count from the beginning."""
        if self.memory is not None:
            seen = tuple(self.keyframes.begin + stamp for stamp in asked.keyframes)
            self.memory.note(dataclasses.replace(asked, keyframes=seen))

    def follow(self) -> str:
        """Step through the source; return why it ended early, or "".

        :raises CCError: nothing could be done, not even with the first frame, or the files cannot be written.
        """
        from itertools import islice

        from tqdm import tqdm

        from cc_ros.runs.writer import RunFilesError

        source, options = self.source, self.options
        ended = ""
        index = -1
        total = min(filter(None, (source.length, options.max_frames)), default=None)
        for note in source.notes:
            print(note, file=sys.stderr)
        told = len(source.notes)
        quiet = True if options.quiet else None
        try:
            with stop_on_signals() as stop, tqdm(total=total, unit="frame", disable=quiet) as bar:
                source.stop = stop
                begun = time.monotonic() if source.live else None
                first = last = -math.inf
                for index, frame in enumerate(islice(source, options.max_frames or None)):
                    if stop.is_set():
                        break
                    first = frame.stamp if index == 0 else first
                    passed = frame.stamp - first if begun is None else time.monotonic() - begun
                    if options.seconds and passed > options.seconds:
                        break
                    self._take(index, frame, new_episode=frame.stamp < last)
                    last = frame.stamp
                    bar.update()
                if stop.is_set():
                    ended = INTERRUPTED
            if index < 0 and not ended:
                ended = "no frame came"
        except RunFilesError:
            raise
        except CCError as error:
            if index < 0:
                raise
            what = "damaged" if isinstance(error, SourceError) else "failed"
            ended = f"{what} after frame {index}: {error}"  # what came before the damage is kept
        except Exception as error:  # a defect met in one frame must not lose the others
            traceback.print_exc()
            ended = f"failed after frame {index}: {error!r}"
        for line in [*source.notes[told:], *(f"left out: {loss}" for loss in source.losses())]:
            print(line, file=sys.stderr)
        return ended

    def _take(self, index: int, frame: Frame, *, new_episode: bool) -> None:
        """Track, offer as a keyframe, and write."""
        from cc_ros.keyframes import ArrayPicture, Candidate

        begun = time.perf_counter()
        if new_episode:  # a recording of a bag that looped
            self.tracker.reset()
            self.keyframes.store.clear()
            self.ground.clear()
            self.places.clear()
        if index == 0 and self.mask is not None:
            self._check_mask(self.mask, frame)
        if new_episode or index == 0:
            self._begin(frame)
        tracked = self.tracker.step(frame)
        confidences, first_seen = tracked.confidences, tracked.first_seen
        known = frame.depth, frame.intrinsics, frame.pose
        candidate = Candidate(
            *(index, frame.stamp, ArrayPicture(frame.image), tracked.labels, *known),
            *(confidences, first_seen, frame.distortion),
            carried=tracked.carried,
        )
        self.keyframes.store.offer(candidate)
        self._remember(candidate)
        if frame.depth is not None and frame.intrinsics is not None and frame.pose is not None:
            self.ground.add(frame.stamp, frame.depth, frame.intrinsics, frame.pose, frame.distortion)
        self.places.add(frame.stamp, tracked.labels, *known, first_seen, frame.distortion, confidences)
        self.writer.frame(index, tracked.labels, time.perf_counter() - begun)
        if self.log is not None:
            self.log.frame(frame, tracked)
        self.history.add(frame.stamp, [track.id for track in tracked.tracks if track.area])

    def _check_mask(self, mask: np.ndarray, frame: Frame) -> None:
        """Refuse a mask that shows another view than the first frame."""
        from cc_ros.sources.registered import same_view

        (height, width), (rows, columns) = frame.image.shape[:2], mask.shape
        if not same_view(columns, rows, width, height):
            raise SettingsError(f"the mask {self.options.init_mask} is {columns}x{rows}, the frame {width}x{height}")

    def _begin(self, frame: Frame) -> None:
        """Begin an episode: stamps that are no dates, as those of videos, count from now on."""
        dated = frame.stamp > EARLIEST_DATE
        self.keyframes.begin = 0.0 if dated else time.time() - frame.stamp
        if self.memory is not None:
            self.memory.new_episode(self.source.name)

    def _remember(self, candidate: Candidate) -> None:
        self.now = self.keyframes.begin + candidate.stamp
        if self.memory is not None:
            self.memory.offer(candidate, self.keyframes.begin)
            if not self.source.live:
                self.memory.flush()  # a file waits for every frame

    def report(
        self, marked: list[MarkedKeyframe], timing: Timing, answers: list[tuple[str, Answer]], ended: str
    ) -> None:
        """Write the report."""
        from cc_ros.runs.report import Report, write_report

        source = self.source
        counters = dict(self.tracker.health())
        degraded = counters.pop("degraded", None)
        report = Report(
            title=f"cc_ros: {source.name}",
            source=source.name,
            backend=self.options.backend,
            keyframes=marked,
            tracks=self.history,
            timing=timing,
            answers=answers,
            settings={group: dataclasses.asdict(values) for group, values in self.settings.items()},
            skipped=source.skipped,
            counters=counters,
            notes=[str(note) for note in (ended, degraded) if note],
            reading=[*source.notes, *(f"left out: {loss}" for loss in source.losses())],
            mark_fill=self.settings["mark"].fill,
        )
        write_report(self.writer.out_dir / "report.html", report)

"""One frame after the other into the memory: objects are known again, missed, described; keyframes are written."""

from __future__ import annotations

import math

import numpy as np

from cc_ros.geometry.camera import back_project
from cc_ros.keyframes.store import Candidate, KeptFrame
from cc_ros.memory.database import transaction
from cc_ros.memory.numbers import Numbers, keys_of
from cc_ros.memory.presence import Presence
from cc_ros.memory.reading import reference_frames
from cc_ros.memory.recognition import MAP, Describer, Recogniser, Seen, small_labels
from cc_ros.memory.store import Known, MemoryStore, Sight
from cc_ros.memory.types import Asked, TrackKey
from cc_ros.memory.views import UNKNOWN, Viewer, Views
from cc_ros.tracking.label_maps import Shape, shapes

PRESENCE_EVERY = 2.0  # seconds between two looks at what should be there and is not tracked
DESCRIBED = 5  # descriptors that go into an object's appearance before it is only refreshed
DESCRIBE_AGAIN = 600.0  # seconds after which it is
RATE = 0.2  # weight of a new descriptor
NEWEST_PLACES = 20  # measurements that a place is the mean of
MOVED, MOVED_SIGHTS = 0.75, 3  # metres from its place, and how often in a row, until an object counts as moved


class EpisodeWriter:
    """Writes an episode; for one thread.

    :param known: the objects of the memory, by number.
    """

    def __init__(self, store: MemoryStore, numbers: Numbers, known: dict[int, Known]) -> None:
        self.known = known
        self._store = store
        self._numbers = numbers
        self._describe = Describer()
        self._recogniser = Recogniser(known, store.near, self._describe)
        self._presence = Presence()
        self._viewer = Viewer()
        self._views: Views | None = None  # read when the first frame comes, so that opening does not wait
        self._now = 0.0
        self.begin("")

    def begin(self, source: str) -> None:
        """Begin an episode with the next frame."""
        self._source = source
        self._episode = 0  # written with its first keyframe
        self._tracks: dict[TrackKey, int] = {}
        self._described: dict[int, float] = {}
        self._elsewhere: dict[int, list[np.ndarray]] = {}
        self._judged = -math.inf
        self._here: set[int] = set()  # numbers seen in this episode
        self._recogniser.new_episode()
        self._presence.new_episode()

    def note(self, asked: Asked) -> None:
        """Keep a question with its answer."""
        with transaction(self._store.db):
            self._store.add_question(asked)

    def tidy(self) -> int:
        """Stay within the bounds; return how many keyframes went."""
        return self._store.bound(self._now) if self._now else 0

    def take(self, candidate: Candidate, stamp: float, world: str, *, due: bool) -> None:
        """Take in a frame.

        :param stamp: seconds since 1970.
        :param due: whether it becomes a keyframe of the memory; else only new tracks are looked at.
        """
        if self._store.changed_by_others():
            self._reload()
        frame = candidate.keep()
        keys = keys_of(frame)
        self._now = max(self._now, stamp)
        pending = [i for i, key in keys.items() if not self._numbers.is_settled(key)]
        if pending and not self.known:
            self._settle(dict.fromkeys(pending, 0), keys, stamp)
            pending = []
        there = {self._numbers.of(key) for key in keys.values()}
        judge = due and stamp - self._judged >= PRESENCE_EVERY and not self.known.keys() <= there
        found = {i: shape for i, shape in shapes(frame.labels()).items() if i in keys}
        if due:  # first of all: what comes after may take long, the first time
            self._write(frame, found, keys, stamp, world)
        if pending or judge:
            self._look(frame, found, keys, pending, stamp, world, judge)
        if due:
            self._appearance(frame, keys, stamp)

    # -- recognising

    def _look(
        self,
        frame: KeptFrame,
        found: dict[int, Shape],
        keys: dict[int, TrackKey],
        pending: list[int],
        stamp: float,
        world: str,
        judge: bool,
    ) -> None:
        views = self._views = self._views or self._read_views()
        image, labels = frame.image(), frame.labels()
        view = self._viewer.view(image, labels, frame.intrinsics, frame.pose, world)
        expected = views.expected(view)
        small = small_labels(labels, view.labels.shape)
        if pending:
            points, ranges = _points(frame, found)
            taken = {self._numbers.of(key) for key in keys.values()}  # what is pending is provisional
            seen = Seen(image, labels, keys, points, ranges, small, world)
            self._settle(self._recogniser.look(seen, expected, pending, taken), keys, stamp)
        table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        for i, key in keys.items():
            table[i] = self._numbers.of(key) if self._numbers.is_settled(key) else UNKNOWN
        view.labels = table[np.where(np.isin(small, list(keys)), small, 0)]
        if judge:
            self._judged = stamp
            there = {self._numbers.of(key) for key in keys.values()}
            for number, state in self._presence.judge(expected, small, there, self.known, stamp).items():
                self._change(self.known[number], state, stamp)
        views.add(view, expected)

    def _read_views(self) -> Views:
        views = Views()
        for frame, world in reference_frames(self._store.path, self._store.db, self._episode):
            views.add(self._viewer.view(frame.image(), frame.labels(), frame.intrinsics, frame.pose, world))
        return views

    def _settle(self, decided: dict[int, int], keys: dict[int, TrackKey], stamp: float) -> None:
        """Give tracks the numbers of their objects, of which 0 is a new one."""
        for i, number in decided.items():
            before = self._numbers.of(keys[i])
            if number and number != before:
                if self._views is not None:
                    self._views.rename(before, number)
                row = self._tracks.get(keys[i])
                if row is not None:
                    with transaction(self._store.db):
                        self._store.give_track(row, number)
                    self.known.pop(before, None)
            self._numbers.settle(keys[i], number or before)

    def _reload(self) -> None:
        """Take over what another process did: objects that it made forget are new when they are seen again."""
        kept = self._store.known()
        for number in self.known.keys() - kept.keys():
            del self.known[number]
        self._views = None
        rows = {row for (row,) in self._store.db.execute("SELECT id FROM tracks WHERE episode = ?", (self._episode,))}
        self._tracks = {key: row for key, row in self._tracks.items() if row in rows}
        if not self._store.db.execute("SELECT 1 FROM episodes WHERE id = ?", (self._episode,)).fetchone():
            self._episode = 0

    # -- writing

    def _write(
        self, frame: KeptFrame, found: dict[int, Shape], keys: dict[int, TrackKey], stamp: float, world: str
    ) -> None:
        points, _ = _points(frame, found)
        with transaction(self._store.db):
            if not self._episode:
                self._episode = self._store.begin_episode(stamp, self._source)
            sights = []
            for i, shape in found.items():
                number = self._numbers.of(keys[i])
                known = self.known.get(number)
                if known is None:
                    known = self.known[number] = Known(number, stamp, stamp, changed=stamp)
                known.seen += 1
                known.last_seen = max(known.last_seen, stamp)
                moved = self._place(known, points.get(i), world)
                self._store.put(known)
                if moved or number in self._recogniser.elsewhere:
                    self._recogniser.elsewhere.discard(number)
                    self._change(known, "moved", stamp)
                elif known.state == "absent":
                    self._change(known, "present", stamp)
                self._here.add(number)
                row = self._tracks.get(keys[i])
                if row is None:
                    row = self._tracks[keys[i]] = self._store.add_track(self._episode, keys[i], stamp, number)
                sights.append(Sight(row, shape.area, frame.confidences.get(i, 1.0), frame.depths.get(i), shape.box))
            self._store.add_keyframe(self._episode, stamp, frame, world, sights)

    def _appearance(self, frame: KeptFrame, keys: dict[int, TrackKey], stamp: float) -> None:
        """Describe the objects of a frame that are new, or were not described for long."""
        wanted = []
        for i, key in keys.items():
            known = self.known.get(self._numbers.of(key))
            if known is None or not self._numbers.is_settled(key):
                continue
            again = stamp - self._described.get(known.number, -math.inf) > DESCRIBE_AGAIN
            if known.described < DESCRIBED or again:
                wanted.append(i)
        if not wanted:
            return
        for i, descriptor in self._describe(frame.image(), frame.labels(), wanted).items():
            known = self.known[self._numbers.of(keys[i])]
            mean = descriptor if known.descriptor is None else known.descriptor + RATE * (descriptor - known.descriptor)
            known.descriptor = (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32)
            known.described += 1
            self._described[known.number] = stamp
        with transaction(self._store.db):
            for i in wanted:
                self._store.put(self.known[self._numbers.of(keys[i])])

    def _place(self, known: Known, point: np.ndarray | None, world: str) -> bool:
        """Update the place of an object by a measured point; return whether it was moved."""
        if point is None:
            return False
        goes_on = known.number in self._here or world == MAP or self._recogniser.same_world
        if known.place is None or known.world != world or not goes_on:
            known.place, known.world = point, world
            return False
        if np.linalg.norm(point - known.place) <= MOVED:
            self._elsewhere.pop(known.number, None)
            known.place = known.place + (point - known.place) / min(known.seen, NEWEST_PLACES)
            return False
        elsewhere = self._elsewhere.setdefault(known.number, [])
        elsewhere.append(point)
        near = np.linalg.norm(np.array(elsewhere[-MOVED_SIGHTS:]) - point, axis=1) <= MOVED
        if len(elsewhere) < MOVED_SIGHTS or not near.all():
            return False
        known.place = np.mean(elsewhere[-MOVED_SIGHTS:], axis=0)
        self._elsewhere.pop(known.number, None)
        return True

    def _change(self, known: Known, state: str, stamp: float) -> None:
        """Note a new state of an object; that it still is where it was is none."""
        if (state == known.state and state != "moved") or (state, known.state) == ("present", "moved"):
            return
        before, known.state, known.changed = known.state, state, stamp
        self._store.put(known)
        self._store.note_change(known.number, stamp, state, before)


def _points(frame: KeptFrame, found: dict[int, Shape]) -> tuple[dict[int, np.ndarray], dict[int, float]]:
    """Return by id the places (metres in the world) and the distances of the objects that have a depth."""
    ids = [i for i in found if i in frame.depths]
    if frame.pose is None or frame.intrinsics is None or not ids:
        return {}, {}
    pixels = np.array([found[i].centre for i in ids])
    points = back_project(pixels, np.array([frame.depths[i] for i in ids]), frame.intrinsics)
    world = points @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    return dict(zip(ids, world, strict=True)), dict(zip(ids, np.linalg.norm(points, axis=1).tolist(), strict=True))

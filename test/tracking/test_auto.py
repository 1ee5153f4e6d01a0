from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.errors import BackendError, ImageError, SettingsError
from cc_ros.frame import Frame
from cc_ros.tracking.auto import constants
from cc_ros.tracking.auto.flow_chain import FlowChain
from cc_ros.tracking.auto.tracker import AutoTracker
from cc_ros.tracking.base import SlowBackend, Track, Tracked, Tracker, TrackStatus, check_image
from cc_ros.tracking.factory import make_tracker
from cc_ros.tracking.fallback import Fallback
from cc_ros.tracking.flow.tracker import FlowTracker
from cc_ros.tracking.optical_flow import DisFlow, Motion
from cc_ros.tracking.sam2 import backend
from cc_ros.tracking.sam2.settings import Sam2Settings

WIDTH, HEIGHT, SPEED = 200, 120, 3
FPS = 0.2  # so slow that also a busy machine can answer within a period


def ground(boxes: int = 4) -> np.ndarray:
    """Return HEIGHTx600x3 uint8: a texture with bright boxes in it."""
    image = np.random.default_rng(1).integers(0, 160, (HEIGHT // 4, 150, 3), dtype=np.uint8)
    image = cv2.resize(image, (600, HEIGHT), interpolation=cv2.INTER_LINEAR)
    for i in range(boxes):
        cv2.rectangle(image, (40 + 55 * i, 30), (70 + 55 * i, 80), (60 + 90 * i, 220, 250 - 90 * i), -1)
    return image


def ground_map(ids: tuple[int, ...]) -> np.ndarray:
    """Return HEIGHTx600 uint16: the boxes under these ids."""
    labels = np.zeros((HEIGHT, 600), np.uint16)
    for i, number in enumerate(ids):
        cv2.rectangle(labels, (40 + 55 * i, 30), (70 + 55 * i, 80), number, -1)
    return labels


def scene(t: int, boxes: int = 4) -> np.ndarray:
    """Return a view of the ground that moves left by SPEED pixels a frame."""
    return np.ascontiguousarray(ground(boxes)[:, SPEED * t : SPEED * t + WIDTH])


def box_map(t: int, ids: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(ground_map(ids)[:, SPEED * t : SPEED * t + WIDTH])


def tracked(labels: np.ndarray, stamp: float) -> Tracked:
    tracks = [
        Track(int(i), TrackStatus.VISIBLE, int((labels == i).sum()), (0, 0), (0, 0, 1, 1), 0.8, 0.0, stamp)
        for i in np.unique(labels)
        if i
    ]
    return Tracked(labels, tuple(tracks))


class Scripted(Tracker):
    """Knows the true map of ``scene``; a real tracker with a stopwatch in place of a model.

    :param ids: what it calls the boxes.
    :param gate: each step waits for it.
    :param failing: the error of each step.
    """

    def __init__(
        self, ids: tuple[int, ...], gate: threading.Semaphore | None = None, failing: Exception | None = None
    ) -> None:
        self.ids, self.gate, self.failing = ids, gate, failing
        self.seen: list[float] = []
        self.seeds: list[np.ndarray] = []
        self.resets = self.closed = self.stopped = 0

    def step(self, frame: Frame) -> Tracked:
        check_image(frame.image)
        self.seen.append(frame.stamp)
        self.thread = threading.get_native_id()
        if self.gate is not None:
            assert self.gate.acquire(timeout=10)
        if self.failing is not None:
            raise self.failing
        return tracked(box_map(round(frame.stamp * FPS), self.ids), frame.stamp)

    def seed(self, labels: np.ndarray) -> None:
        self.seeds.append(labels)

    def reset(self) -> None:
        self.resets += 1

    def stop(self) -> None:
        self.stopped += 1
        if self.gate is not None:
            self.gate.release()

    def close(self) -> None:
        self.closed += 1


class Counting(DisFlow):
    def __init__(self) -> None:
        super().__init__(1)
        self.motions = 0

    def motion(self, previous: np.ndarray, current: np.ndarray, guess: np.ndarray | None = None) -> Motion:
        self.motions += 1
        return super().motion(previous, current, guess)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


@pytest.fixture
def make():
    made: list[AutoTracker] = []
    gates: list[threading.Semaphore] = []

    def make_auto(fast: Tracker, slow: Scripted | Callable[[], Tracker], wait: bool = False) -> AutoTracker:
        if isinstance(slow, Scripted) and slow.gate is not None:
            gates.append(slow.gate)
        load = (lambda: slow) if isinstance(slow, Scripted) else slow
        tracker = AutoTracker(fast, SlowBackend("sam2", "SAM 2", load, keeps_up=wait))
        tracker._optical_flow = Counting()
        made.append(tracker)
        if isinstance(slow, Scripted):
            until(lambda: tracker._worker.tracker)
        return tracker

    yield make_auto
    for gate in gates:
        gate.release(100)
    for tracker in made:
        tracker.close()


def frame(t: int) -> Frame:
    return Frame(scene(t), t / FPS)


def test_a_late_answer_is_carried_to_now(make):
    gate = threading.Semaphore(0)
    tracker = make(Scripted(()), Scripted((5, 6), gate))
    before = [tracker.step(frame(t)) for t in range(8)]
    assert not any(b.labels.any() for b in before)
    gate.release()
    until(lambda: tracker._worker._done)
    now = tracker.step(frame(8))  # the answer is for frame 0: 24 pixels ago
    truth = box_map(8, (1, 2))
    assert {t.id for t in now.tracks} == {1, 2}
    for i in (1, 2):
        assert iou(now.labels == i, truth == i) > 0.9
        assert iou(now.labels == i, box_map(0, (1, 2)) == i) < 0.5
    health = tracker.health()
    assert health["sam2_answers"] == health["sam2_late"] == 1
    assert health["sam2_skipped"] == 7


def test_the_newest_frame_wins_and_none_is_queued(make):
    gate = threading.Semaphore(0)
    slow = Scripted((5, 6), gate)
    tracker = make(Scripted(()), slow)
    for t in range(10):
        tracker.step(frame(t))
    gate.release()
    until(lambda: tracker._worker._done)
    tracker.step(frame(10))
    until(lambda: len(slow.seen) == 2)
    assert slow.seen == [0.0, 10 / FPS]


def test_with_a_gpu_every_frame_is_answered_in_time(make, monkeypatch):
    monkeypatch.setattr(constants, "LONGEST_WAIT", 5.0)
    slow = Scripted((5, 6))
    tracker = make(Scripted(()), slow, wait=True)
    tracker.step(frame(0))
    until(lambda: tracker._worker._done or tracker._asked is None)
    results = [tracker.step(frame(t)) for t in range(1, 6)]
    assert slow.seen == [t / FPS for t in range(6)]
    assert all(np.array_equal(r.labels, box_map(t, (1, 2))) for t, r in enumerate(results, start=1))
    assert tracker.health()["sam2_skipped"] == 0


def test_ids_given_by_the_flow_stay_when_sam2_takes_over(make):
    gate = threading.Semaphore(0)
    fast = Scripted((40, 41))
    tracker = make(fast, Scripted((7, 8, 9), gate))
    assert {t.id for t in tracker.step(frame(0)).tracks} == {1, 2}
    gate.release()
    until(lambda: tracker._worker._done)
    result = tracker.step(frame(1))
    assert [(t.id, t.status) for t in result.tracks] == [
        (1, TrackStatus.VISIBLE),
        (2, TrackStatus.VISIBLE),
        (3, TrackStatus.NEW),
    ]
    fast.ids = (40, 55)  # the flow loses the second box and calls it anew
    assert {t.id for t in tracker.step(frame(2)).tracks} == {1, 2, 3}


def test_the_flow_follows_an_object_of_sam2_into_view(make):
    gate = threading.Semaphore(1)
    tracker = make(Scripted((1, 2, 3, 4)), Scripted((5, 6, 7, 8), gate))
    tracker.step(frame(5))  # of the fourth box only the left part is in view
    until(lambda: tracker._worker._done)
    for t in range(6, 13):
        result = tracker.step(frame(t))
    truth = box_map(12, (1, 2, 3, 4))
    assert iou(result.labels == 4, truth == 4) > 0.9
    assert {t.id for t in result.tracks if t.area} == {1, 2, 3, 4}


@pytest.mark.parametrize("error", [BackendError("CUDA error: fell off the bus"), ValueError("fell off the bus")])
def test_a_failure_leaves_the_flow_with_the_same_ids_and_a_diagnostic(make, caplog, error):
    slow = Scripted((7, 8))
    tracker = make(Scripted((40, 41)), slow)
    tracker.step(frame(0))
    until(lambda: tracker._worker._done)
    tracker.step(frame(1))
    until(lambda: tracker._worker._done)
    slow.failing = error
    tracker.step(frame(2))
    until(lambda: tracker._worker.failure)
    results = [tracker.step(frame(t)) for t in range(3, 6)]
    assert all({t.id for t in r.tracks if t.area} == {1, 2} for r in results)
    health = tracker.health()
    assert "fell off the bus" in str(health["degraded"])
    assert len([r for r in caplog.records if "is tried again later" in r.message]) == 1
    assert slow.closed == 1
    # What SAM 2 cannot use is neither searched for motion nor counted as skipped.
    assert tracker._optical_flow.motions == 2 and health["sam2_skipped"] == 0


def test_a_failed_sam2_is_tried_again_and_takes_over_with_the_same_ids(make, monkeypatch, caplog):
    monkeypatch.setattr(constants, "PAUSE", 0.05)
    made: list[Scripted] = []

    def load() -> Tracker:
        made.append(Scripted((7, 8), failing=BackendError("out of memory") if len(made) < 2 else None))
        return made[-1]

    tracker = make(Scripted((40, 41)), load)
    until(lambda: tracker._worker.tracker)
    for t in range(200):
        result = tracker.step(frame(t % 5))
        assert {t.id for t in result.tracks if t.area} == {1, 2}
        if tracker.health()["sam2_answers"]:
            break
        time.sleep(0.01)
    assert len(made) == 3 and [m.closed for m in made] == [1, 1, 0]
    assert "degraded" not in tracker.health()


def test_what_cannot_be_loaded_is_logged_once(make, monkeypatch, caplog):
    monkeypatch.setattr(constants, "PAUSE", 0.01)

    def load() -> Tracker:
        raise BackendError("cannot fetch the weights; no network")

    tracker = make(Scripted((1,)), load)
    until(lambda: tracker._worker.failures >= 3)
    assert len(caplog.records) == 1
    assert "no network" in str(tracker.health()["degraded"])


def test_a_seed_that_a_failed_sam2_knew_is_left_to_the_flow_until_the_next_episode(make, monkeypatch):
    monkeypatch.setattr(constants, "PAUSE", 0.01)
    slow = Scripted((5, 6), failing=BackendError("out of memory"))
    tracker = make(Scripted((5, 6)), slow)
    tracker.seed(box_map(0, (5, 6)))
    tracker.step(frame(0))
    until(lambda: tracker._worker.failures)
    slow.failing = None
    until(lambda: tracker._worker.tracker)
    for t in range(1, 4):
        assert {t.id for t in tracker.step(frame(t)).tracks} == {5, 6}
    assert slow.seen == [0.0]
    assert "until the next episode" in str(tracker.health()["degraded"])
    tracker.reset()
    tracker.step(frame(4))
    until(lambda: tracker._worker._done)
    assert "degraded" not in tracker.health()


def test_closing_ends_a_step_under_way(make):
    slow = Scripted((5, 6), threading.Semaphore(0))
    tracker = make(Scripted(()), slow)
    tracker.step(frame(0))
    until(lambda: slow.seen)
    began = time.monotonic()
    tracker.close()
    assert slow.stopped == slow.closed == 1
    assert time.monotonic() - began < 5


def test_resets_and_new_trackers_leave_no_threads(make):
    before = threading.active_count()
    slow = Scripted((5, 6))
    tracker = make(Scripted((1, 2)), slow)
    for _ in range(100):
        tracker.reset()
        tracker.step(frame(0))
    assert threading.active_count() == before + 1
    tracker.close()
    assert threading.active_count() == before


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
@pytest.mark.parametrize("gpu", [False, True])
def test_without_a_gpu_the_camera_goes_first(make, gpu):
    slow = Scripted((5, 6), threading.Semaphore(0))
    tracker = make(Scripted(()), slow, wait=gpu)
    tracker.step(frame(0))
    until(lambda: slow.seen and hasattr(slow, "thread"))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    modest = os.getpriority(os.PRIO_PROCESS, slow.thread) - own
    assert modest == (0 if gpu else min(10, 19 - own))  # 19 is the lowest priority that there is


def test_frames_are_tracked_while_sam2_loads_and_if_it_cannot(make):
    gate = threading.Event()

    def load() -> Tracker:
        gate.wait(10)
        raise BackendError("weights are broken; delete them")

    tracker = make(Scripted((3, 4)), load)
    assert {t.id for t in tracker.step(frame(0)).tracks} == {1, 2}
    assert "until SAM 2 is loaded" in str(tracker.health()["degraded"])
    gate.set()
    until(lambda: tracker._worker.failure)
    assert {t.id for t in tracker.step(frame(1)).tracks} == {1, 2}
    assert "delete them" in str(tracker.health()["degraded"])


def test_a_seed_reaches_sam2_with_its_own_frame_even_while_it_is_busy(make):
    gate = threading.Semaphore(0)
    slow = Scripted((5, 6), gate)
    tracker = make(Scripted((5, 6)), slow)
    tracker.step(frame(0))
    until(lambda: slow.seen)
    tracker.seed(box_map(3, (5, 6)))
    for t in range(3, 6):
        assert {t.id for t in tracker.step(frame(t)).tracks} == {5, 6}
    gate.release(2)
    until(lambda: tracker._worker._done)
    assert {t.id for t in tracker.step(frame(6)).tracks} == {5, 6}
    assert slow.seen[:2] == [0.0, 3 / FPS]
    assert np.array_equal(slow.seeds[0], box_map(3, (5, 6)))


def test_an_answer_of_an_episode_that_is_over_is_dropped(make):
    gate = threading.Semaphore(0)
    slow = Scripted((5, 6), gate)
    tracker = make(Scripted(()), slow)
    tracker.step(frame(0))
    until(lambda: slow.seen)
    tracker.reset()
    gate.release()
    until(lambda: tracker._worker._done)
    assert not tracker.step(frame(1)).labels.any()
    until(lambda: slow.resets == 2)


def test_bad_images_are_refused_and_sizes_may_change(make):
    slow = Scripted((5, 6))
    tracker = make(Scripted((1, 2)), slow)
    tracker.step(frame(0))
    with pytest.raises(ImageError):
        tracker.step(Frame(np.zeros((4, 4), np.uint8), 0.1))
    assert not tracker._worker.failure
    until(lambda: tracker._worker._done)

    class Half(Scripted):
        def step(self, frame: Frame) -> Tracked:
            return tracked(np.zeros(frame.image.shape[:2], np.uint16), frame.stamp)

    tracker._fast = Half(())
    half = cv2.resize(scene(1), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    result = tracker.step(Frame(half, 1 / FPS))
    assert result.labels.shape == (HEIGHT // 2, WIDTH // 2)
    expected = cv2.resize(box_map(1, (1, 2)), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_NEAREST)
    assert iou(result.labels > 0, expected > 0) > 0.8


def test_an_answer_that_comes_after_seconds_is_still_in_its_place(make):
    """A camera swings and nods by fractions of a pixel; the answer is for the frame before ninety others."""

    def view(t: float, canvas: np.ndarray, flags: int) -> np.ndarray:
        shift = np.array([[1, 0, -40 - 30 * np.sin(t / 14)], [0, 1, 8 * np.cos(t / 9) - 8]])
        return cv2.warpAffine(canvas, shift, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)

    def truth(t: float) -> np.ndarray:
        return view(t, ground_map((0, 1, 2)), cv2.INTER_NEAREST)

    class First(Scripted):
        def step(self, frame: Frame) -> Tracked:
            super().step(frame)
            return tracked(truth(0), frame.stamp)

    slow = First((), threading.Semaphore(0))
    tracker = make(Scripted(()), slow)
    for t in range(91):
        if t == 90:
            slow.gate.release()
            until(lambda: tracker._worker._done)
        now = tracker.step(Frame(view(t, ground(), cv2.INTER_LINEAR), t / 30))
    for i in (1, 2):
        assert iou(now.labels == i, truth(90) == i) > 0.95
        assert iou(now.labels == i, truth(0) == i) < 0.75


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=6))
def test_a_chain_of_shifts_is_the_sum_of_the_shifts(shifts):
    labels = np.zeros((40, 50), np.uint16)
    labels[18:24, 20:30] = 9
    chain = FlowChain(np.zeros((40, 50), np.uint8))
    for dx, dy in shifts:
        flow = np.empty((40, 50, 2), np.float32)
        flow[:] = dx, dy
        chain.extend(Motion(flow, np.ones((40, 50), bool)))
    dx, dy = np.sum(shifts, axis=0, dtype=int) if shifts else (0, 0)
    expected = np.zeros_like(labels)
    expected[18 - dy : 24 - dy, 20 - dx : 30 - dx] = 9
    carried, seen = chain.carry(labels, (40, 50))
    assert np.array_equal(carried, expected)
    assert seen[18 - dy : 24 - dy, 20 - dx : 30 - dx].all()


def test_what_is_uncovered_on_the_way_belongs_to_nobody():
    chain = FlowChain(np.zeros((10, 10), np.uint8))
    hidden = np.ones((10, 10), bool)
    hidden[:, :5] = False
    chain.extend(Motion(np.zeros((10, 10, 2), np.float32), hidden))
    carried, seen = chain.carry(np.full((10, 10), 3, np.uint16), (10, 10))
    assert not carried[:, :4].any() and (carried[:, 6:] == 3).all()
    assert not seen[:, :4].any() and seen[:, 6:].all()


def test_a_failing_sam2_hands_its_objects_over(caplog):
    primary = Scripted((5, 6))
    tracker = Fallback(FlowTracker, primary, title="SAM 2")
    tracker.step(frame(0))
    primary.failing = BackendError("out of memory; lower image_size")
    for t in range(1, 5):
        result = tracker.step(frame(t))
    assert {t.id for t in result.tracks if t.area} == {5, 6}
    assert iou(result.labels == 5, box_map(4, (5, 6)) == 5) > 0.7
    assert tracker.health()["degraded"] == "out of memory; lower image_size"
    assert len(caplog.records) == 1 and primary.closed == 1


def test_without_torch_or_weights_auto_is_flow_and_says_so_once(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    tracker = make_tracker("auto")
    for t in range(3):
        tracker.step(frame(t))
    assert "'torch'" in str(tracker.health()["degraded"])
    assert len(caplog.records) == 1
    with pytest.raises(BackendError, match="pip install"):
        make_tracker("sam2")
    with pytest.raises(SettingsError, match="'sam3'"):
        make_tracker("sam3")
    with pytest.raises(SettingsError, match=r"model must be one of tiny.*'tinny'"):
        make_tracker("auto", Sam2Settings(model="tinny"))


@pytest.mark.parametrize("error", [ImportError("libcudart"), OSError("libcudart"), RuntimeError("parent directory")])
def test_a_torch_or_sam2_that_cannot_be_imported_is_said_as_well(monkeypatch, error):
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cc_ros.tracking.sam2.loading":
                raise error

    monkeypatch.setattr(backend, "find_spec", lambda name: name)
    monkeypatch.delitem(sys.modules, "cc_ros.tracking.sam2.loading", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert "cannot be imported" in str(make_tracker("auto", Sam2Settings(weights=__file__)).health()["degraded"])
    with pytest.raises(BackendError, match="cannot be imported"):
        make_tracker("sam2")


def test_without_weights_and_gpu_auto_fetches_nothing(monkeypatch, tmp_path):
    pytest.importorskip("sam2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for settings, reason in [
        (Sam2Settings(download="never"), "download is 'never'"),
        (Sam2Settings(weights=str(tmp_path / "none.pt")), "is no file"),
        (Sam2Settings(weights=str(tmp_path)), "is no file"),
        (Sam2Settings(weights="~nobody-of-that-name/tiny.pt"), "is no file"),
        (Sam2Settings(device="toaster"), "device 'toaster'"),
        (Sam2Settings(device="cpu"), "no GPU, and no SAM 2 weights"),
    ]:
        assert reason in str(make_tracker("auto", settings).health()["degraded"])


def test_auto_loads_no_torch_to_learn_that_it_does_without(tmp_path):
    pytest.importorskip("sam2")
    command = (
        "import sys; from cc_ros.tracking.factory import make_tracker; make_tracker(); print('torch' in sys.modules)"
    )
    hidden = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", command], env=hidden, capture_output=True, text=True, check=True)
    assert done.stdout == f"{backend._may_have_gpu('auto')}\n"


def test_flow_needs_neither():
    tracker = make_tracker("flow")
    assert isinstance(tracker, FlowTracker)
    assert "degraded" not in tracker.health()

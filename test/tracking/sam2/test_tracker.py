from __future__ import annotations

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sam2_scene import HEIGHT, WIDTH, believe, disc, disc_mask, frames, random_model, torch

from cc_ros.errors import BackendError, ImageError
from cc_ros.frame import Frame
from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.factory import make_tracker
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.sam2.background import IdleWorker
from cc_ros.tracking.sam2.discovery import Discovery, region_prompts, select_wholes, worth_tracking
from cc_ros.tracking.sam2.predictor import Prediction, StreamingPredictor
from cc_ros.tracking.sam2.reid import Gallery, embed
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.tracker import Sam2Tracker, finish, paint

LOOSE = Sam2Settings(
    min_iou=0.0, min_stability=0.0, min_area=0.001, points_per_side=4, discover_every=3, discover="inline", patience=2
)


@pytest.fixture(scope="module")
def model():
    return random_model(128, shy=1.0)


@pytest.fixture
def predictor(model):
    yield StreamingPredictor(model)
    believe(model, present=True)


def run(tracker: Sam2Tracker, count: int, start: int = 0):
    return [tracker.step(Frame(image, (start + t) / 30)) for t, image in enumerate(frames(count))]


class BrightRegions:
    def regions(self, image: np.ndarray) -> np.ndarray:
        return np.where(image.max(axis=2) > 150, image.argmax(axis=2) + 1, 0).astype(np.int32)


def seed_map() -> np.ndarray:
    return (3 * disc_mask(0, 0) + 9 * disc_mask(1, 0) + 500 * disc_mask(2, 0)).astype(np.uint16)


def test_objects_are_found_on_the_first_frame_and_keep_their_ids(predictor):
    first, *rest = run(Sam2Tracker(predictor, replace(LOOSE, discover_every=9), ObjectNetwork()), 6)
    assert first.labels.shape == (HEIGHT, WIDTH) and first.labels.dtype == np.uint16
    (track,) = first.tracks
    assert (track.id, track.status) == (1, TrackStatus.NEW)
    assert np.hypot(*np.subtract(track.centre, disc(1, 0))) < 18  # it is the green disc
    assert all([t.id for t in r.tracks] == [1] and r.tracks[0].status is TrackStatus.VISIBLE for r in rest)


class Held:
    """Holds up SAM 2's answers to questions between frames until it is released."""

    def __init__(self, predictor: StreamingPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self._ask = predictor.ask
        monkeypatch.setattr(predictor, "ask", self)

    def __call__(self, *args):
        if threading.current_thread() is not threading.main_thread():
            self.begun.set()
            assert self.released.wait(30)
        return self._ask(*args)


@pytest.fixture
def searching(predictor, monkeypatch):
    """A tracker that lost what it found in the first frame, and whose next search is held up."""
    tracker = Sam2Tracker(predictor, replace(LOOSE, discover="idle", max_lost=0))
    run(tracker, 1)
    predictor.remove(predictor.ids)
    held = Held(predictor, monkeypatch)
    yield tracker, held
    held.released.set()
    tracker.close()


def settle(tracker: Sam2Tracker) -> None:
    """Wait for the search under way."""
    deadline = time.monotonic() + 30
    while (work := tracker._worker._work) and not work[1].done():
        assert time.monotonic() < deadline
        tracker._worker.resume()
        time.sleep(0.005)


def test_frames_do_not_wait_for_a_search_between_them_which_needs_no_second_encoding(searching, monkeypatch):
    tracker, held = searching
    encoder, encoded = tracker._predictor.model.image_encoder, []
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda *args: encoded.append(1) or forward(*args))
    run(tracker, 4, start=1)
    assert held.begun.wait(30)
    assert not any(r.labels.any() for r in run(tracker, 4, start=5))  # the search is held up, the frames are not
    held.released.set()
    settle(tracker)
    found = run(tracker, 1, start=9)[0]
    assert [(t.id, t.status) for t in found.tracks] == [(2, TrackStatus.NEW)]
    assert len(encoded) == 9


def test_what_a_search_finds_after_a_reset_is_not_of_this_episode(searching):
    tracker, held = searching
    run(tracker, 4, start=1)
    assert held.begun.wait(30)
    tracker.seed(seed_map())
    run(tracker, 1)
    held.released.set()
    settle(tracker)
    assert {t.id for r in run(tracker, 3, start=1) for t in r.tracks} == {3, 9, 500}


def test_the_image_may_change_its_size_during_a_search(searching):
    tracker, held = searching
    run(tracker, 4, start=1)
    held.released.set()
    settle(tracker)
    image = cv2.resize(next(frames(1)), (90, 70))
    assert tracker.step(Frame(image, 1.0)).labels.shape == (70, 90)
    assert tracker._predictor.ids == (2,)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), ValueError("a defect")])
def test_an_error_between_frames_is_raised_where_its_result_is_taken(error):
    def broken():
        yield
        raise error

    def sound():
        yield
        return 5

    def taken(worker: IdleWorker[int]) -> int | None:
        deadline = time.monotonic() + 10
        while not worker._work[1].done():
            assert time.monotonic() < deadline
            worker.resume()
            time.sleep(0.002)
        return worker.take()

    worker: IdleWorker[int] = IdleWorker()
    worker.start(broken())
    with pytest.raises(type(error)):
        taken(worker)
    assert not worker.busy
    worker.start(sound())
    assert taken(worker) == 5
    worker.close()


def test_trackers_leave_no_threads(predictor):
    before = threading.active_count()
    for _ in range(2):
        tracker = Sam2Tracker(predictor, replace(LOOSE, discover="idle", discover_every=1))
        for _ in range(2):
            tracker.reset()
            run(tracker, 2)
        assert threading.active_count() == before + 1
        tracker.close()
        assert threading.active_count() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: the search runs on a stream of its own")
def test_a_search_beside_frames_on_a_gpu_finds_what_it_finds_alone():
    model = random_model(128, shy=1.0).to("cuda")
    found = []
    for discover in ("inline", "idle"):
        tracker = Sam2Tracker(StreamingPredictor(model), replace(LOOSE, discover=discover, max_lost=0))
        run(tracker, 1)
        tracker._predictor.remove(tracker._predictor.ids)
        run(tracker, 3, start=1)
        for t in range(50):  # memory that was freed too early would be overwritten here
            settle(tracker)
            found.append(tracker.step(Frame(next(frames(1)), 1 + t / 30)).labels)
        tracker.close()
    assert found[50].any() and np.array_equal(found[0], found[50])


def test_only_sure_steady_new_things_of_fair_size_are_worth_tracking():
    side = 64
    y, x = np.mgrid[:side, :side].astype(np.float32)

    def disc_logits(x0: float, y0: float, radius: float, slope: float = 20.0) -> np.ndarray:
        return slope * (radius - np.hypot(x - x0, y - y0))

    logits = {
        "good": disc_logits(20, 20, 8),
        "unsure": disc_logits(20, 20, 8),
        "blurred": disc_logits(20, 20, 8, slope=0.3),
        "speck": disc_logits(20, 20, 1),
        "background": np.full((side, side), 20.0, np.float32),
        "wall": 20.0 * (14 - y) - 0 * x,  # along the whole upper border
        "tracked": disc_logits(48, 48, 8),
        "nothing": np.full((side, side), -20.0, np.float32),
    }
    iou = torch.tensor([0.5 if name == "unsure" else 0.9 for name in logits])
    explained = torch.from_numpy(disc_logits(50, 48, 10) > 0)
    settings = Sam2Settings(min_area=0.01)
    stacked = torch.from_numpy(np.stack(list(logits.values())).astype(np.float32))
    masks, quality = worth_tracking(stacked, iou, explained, settings)
    assert len(masks) == 1 and quality.item() == pytest.approx(0.9, abs=0.1)
    assert np.array_equal(masks[0].numpy(), logits["good"] > 0)
    assert not len(worth_tracking(stacked[:0], iou[:0], explained, settings)[0])


def test_what_is_tracked_is_not_found_again(predictor):
    image = next(frames(1))
    encoding = predictor.encode(image, 0)
    search = Discovery(predictor, LOOSE).search
    nothing = np.zeros((HEIGHT, WIDTH), np.uint16)
    green = cv2.circle(nothing.copy(), disc(1, 0), 30, 7, -1)
    assert len(finish(search(encoding, image, nothing)))
    assert not len(finish(search(encoding, image, green)))


def test_a_seed_is_followed_and_nothing_else(predictor):
    tracker = Sam2Tracker(predictor, LOOSE)
    tracker.seed(seed_map())
    first, *rest = run(tracker, 5)
    assert np.array_equal(first.labels, seed_map())
    assert {t.id for r in (first, *rest) for t in r.tracks} == {3, 9, 500}


@pytest.mark.parametrize("seeded", [False, True])
def test_a_lost_object_comes_back_with_its_old_id(predictor, seeded):
    tracker = Sam2Tracker(predictor, LOOSE)
    if seeded:
        tracker.seed((disc_mask(1, 0) * 5).astype(np.uint16))
    before = run(tracker, 1)[0].tracks[0].id
    believe(predictor.model, present=False)
    gone = run(tracker, 7, start=1)[-1]
    assert not gone.labels.any()
    assert [(t.id, t.status) for t in gone.tracks] == [(before, TrackStatus.LOST)]
    assert not predictor.ids  # no longer stepped: only its embeddings are kept
    believe(predictor.model, present=True)
    back = [t for r in run(tracker, 4, start=30 * 150) for t in r.tracks if t.status is not TrackStatus.LOST]
    assert back and back[0].status is TrackStatus.RECOVERED
    assert {t.id for t in back} == {before}
    assert tracker.health()["recovered"] == 1


def test_an_object_that_sam2_finds_again_by_itself_keeps_its_id(predictor):
    tracker = Sam2Tracker(predictor, replace(LOOSE, patience=100, discover="off"))
    tracker.seed(seed_map())
    run(tracker, 3)
    believe(predictor.model, present=False)
    assert all(t.status is TrackStatus.LOST for t in run(tracker, 6, start=3)[-1].tracks)
    assert tracker.health()["lost"] == 3
    believe(predictor.model, present=True)
    statuses = {t.id: t.status for t in run(tracker, 1, start=9)[-1].tracks if t.area}
    assert statuses and set(statuses.values()) == {TrackStatus.RECOVERED}
    assert tracker.health()["lost"] == 3 - len(statuses)


def test_reset_starts_ids_at_one(predictor):
    tracker = Sam2Tracker(predictor, LOOSE)
    tracker.seed(seed_map())
    run(tracker, 2)
    tracker.reset()
    assert [t.id for t in run(tracker, 1)[0].tracks] == [1]


def test_frames_may_change_size_and_bad_ones_are_refused(predictor):
    tracker = Sam2Tracker(predictor, LOOSE)
    run(tracker, 1)
    image = np.ascontiguousarray(next(frames(1))[:100, :90])
    assert tracker.step(Frame(image, 1.0)).labels.shape == (100, 90)
    for bad in (np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)):
        with pytest.raises(ImageError, match="HxWx3 uint8"):
            tracker.step(Frame(bad, 2.0))


def test_out_of_memory_means_smaller_batches_and_a_diagnostic(predictor, monkeypatch):
    tracker = Sam2Tracker(predictor, LOOSE)
    tracker.seed(seed_map())
    run(tracker, 2)
    attention = predictor.model.memory_attention.forward

    def small_device(curr, **others):
        if curr[0].shape[1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return attention(curr=curr, **others)

    monkeypatch.setattr(predictor.model.memory_attention, "forward", small_device)
    assert {t.id for t in run(tracker, 1, start=2)[0].tracks} == {3, 9, 500}
    assert "batches of 1" in str(tracker.health()["degraded"])


def test_a_new_episode_begins_with_all_the_memory_again(predictor, monkeypatch):
    tracker = Sam2Tracker(predictor, LOOSE)
    before = predictor.batch_objects
    run(tracker, 1)
    monkeypatch.setattr(predictor, "encode", lambda *_: (monkeypatch.undo(), _out_of_memory()))
    run(tracker, 1, start=1)
    assert predictor.batch_objects < before and "degraded" in tracker.health()
    tracker.reset()
    run(tracker, 1)
    assert predictor.batch_objects == before and "degraded" not in tracker.health()


def _out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_stopping_ends_what_is_under_way(predictor):
    tracker = Sam2Tracker(predictor, LOOSE)
    run(tracker, 1)
    tracker.stop()
    with pytest.raises(BackendError, match="stopped"):
        run(tracker, 1, start=1)
    tracker.close()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: launch")])
def test_a_failing_device_is_a_backend_error(predictor, monkeypatch, error):
    tracker = Sam2Tracker(predictor, LOOSE)
    run(tracker, 1)

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(predictor.model.image_encoder, "forward", fail)
    with pytest.raises(BackendError, match="CUDA"):
        run(tracker, 1, start=1)


def test_looks_tell_objects_apart_in_other_frames():
    predictor = StreamingPredictor(random_model(128))
    images = list(frames(12))

    def seen(t: int) -> np.ndarray:
        encoding = predictor.encode(images[t], t)
        return embed(
            encoding, predictor.from_masks(encoding, torch.from_numpy(np.stack([disc_mask(i, t) for i in range(3)])))
        )

    gallery = Gallery(max_lost=10, min_similarity=0.0)
    gallery.add([4, 5, 6], seen(0))
    gallery.lose([4, 5, 6])
    assert gallery.recover(seen(11)[[2, 0, 1]]) == [6, 4, 5]
    assert gallery.lost == ()


def test_a_new_object_is_not_taken_for_a_lost_one_because_all_look_alike():
    generator = np.random.default_rng(3)
    common = generator.normal(size=(1, 2, 64))

    def unit(v: np.ndarray) -> np.ndarray:
        return (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(np.float32)

    things = common + 0.4 * generator.normal(size=(5, 2, 64))  # cosines of about 0.85 between any two
    gallery = Gallery(max_lost=10, min_similarity=0.5)
    for _ in range(10):
        gallery.add([1, 2, 3, 4], unit(things[:4] + 0.05 * generator.normal(size=(4, 2, 64))))
    gallery.lose([2, 4])
    assert 0.86 < gallery.threshold < 0.98
    assert gallery.recover(unit(things[[4, 3]])) == [0, 4]


def test_a_lost_object_is_known_again_after_minutes_of_others():
    generator = np.random.default_rng(5)

    def unit(v: np.ndarray) -> np.ndarray:
        return (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(np.float32)

    things = generator.normal(size=(30, 2, 64))
    gallery = Gallery(max_lost=10, min_similarity=0.5)

    def add(ids: range) -> None:
        gallery.add(ids, unit(things[list(ids)] + 0.2 * generator.normal(size=(len(ids), 2, 64))))

    for _ in range(20):
        add(range(5))
    gallery.lose([3])
    for t in range(1200):  # 200 s at 30 frames a second, an embedding every five
        visible = range(5 + t // 60, 10 + t // 60)
        add(visible)
        gallery.find(visible)
        gallery.lose([4 + t // 60] if t % 60 == 0 and t < 480 else [])
    assert gallery.recover(unit(things[[3]] + 0.2 * generator.normal(size=(1, 2, 64)))) == [3]


def test_the_memory_for_lost_objects_is_bounded():
    gallery = Gallery(max_lost=5, min_similarity=0.9)
    generator = np.random.default_rng(0)
    for i in range(1, 200):
        views = generator.normal(size=(10, 1, 2, 16)).astype(np.float32)
        for view in views / np.linalg.norm(views, axis=-1, keepdims=True):
            gallery.add([i], view)
        gallery.lose([i])
    assert gallery.lost == tuple(range(195, 200))
    assert gallery.state_bytes() <= 5 * 4 * 2 * 16 * 4


@given(st.data())
def test_no_two_selected_masks_are_one_thing_or_its_part(data):
    count = data.draw(st.integers(0, 12))
    seed = data.draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    masks = np.zeros((count, 24, 24), bool)
    for m in masks:
        x, y = generator.integers(0, 16, 2)
        m[y : y + generator.integers(2, 20), x : x + generator.integers(2, 20)] = True
    flat = masks.reshape(count, 576).astype(np.float32)
    shared = flat @ flat.T
    area, quality = flat.sum(axis=1), generator.random(count)
    kept = select_wholes(shared, area, quality)
    assert len(set(kept)) == len(kept)
    assert bool(kept) == bool(count)
    for a in kept:
        for b in kept:
            if a != b:
                both = shared[a, b]
                assert both <= 0.8 * area[a] and both <= 0.7 * (area[a] + area[b] - both)


def test_a_whole_replaces_its_parts_unless_it_is_much_worse():
    masks = np.zeros((3, 10, 10), np.float32)
    masks[0, :, :5] = masks[1, :, 5:] = masks[2] = 1
    flat = masks.reshape(3, -1)
    shared, area = flat @ flat.T, flat.sum(axis=1)
    assert select_wholes(shared, area, np.array([0.9, 0.88, 0.87])) == [2]
    assert select_wholes(shared, area, np.array([0.9, 0.88, 0.70])) == [0, 1]


def test_each_open_region_is_asked_for_by_its_box_and_an_inner_point():
    regions = np.zeros((40, 80), np.int32)
    regions[10:20, 20:60] = 1
    regions[30:38, 4:10] = 7
    explained = np.zeros((20, 20), bool)
    explained[15:, :4] = True
    ((top_left, bottom_right, inner),) = region_prompts(regions, explained)
    assert np.allclose([*top_left, *bottom_right], [0.25, 0.25, 0.75, 0.5], atol=0.06)
    assert 0.25 < inner[0] < 0.75 and 0.25 < inner[1] < 0.5


def test_auto_runs_sam2_in_the_background(tmp_path):
    torch.save({"model": random_model(64, shy=1.0).state_dict()}, tmp_path / "tiny.pt")
    settings = replace(
        LOOSE, weights=str(tmp_path / "tiny.pt"), image_size=64, device="cpu", precision="bf16", threads=1
    )
    tracker = make_tracker("auto", settings)
    try:
        deadline = time.monotonic() + 60
        stamp = 0.0
        while not tracker.health()["sam2_answers"] and time.monotonic() < deadline:
            for image in frames(5):
                stamp += 1 / 30
                time.sleep(1 / 30)  # SAM 2 has what the camera leaves
                tracked = tracker.step(Frame(image, stamp))
                assert {t.id for t in tracked.tracks if t.area} == set(np.unique(tracked.labels)) - {0}
        assert tracker.health()["sam2_answers"]
        assert "degraded" not in tracker.health()
    finally:
        tracker.close()


def test_predictions_can_be_cut_and_joined(predictor):
    image = next(frames(1))
    encoding = predictor.encode(image, 0)
    both = predictor.from_masks(encoding, torch.from_numpy(np.stack([disc_mask(0, 0), disc_mask(1, 0)])))
    again = Prediction.cat([both[[0]], both[[1]]])
    assert torch.equal(again.logits, both.logits) and torch.equal(again.pointer, both.pointer)


def test_many_masks_are_painted_as_one_by_one():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 1, 16, 16, generator=generator) - 0.5
    ids = [7, 300, 65535, 1, 2, 3, 4, 5, 40000]
    prediction = Prediction(logits, torch.ones(9), torch.ones(9), torch.zeros(9, 4))
    full = torch.nn.functional.interpolate(logits, size=(50, 70), mode="bilinear", align_corners=False)[:, 0]
    surest, row = full.max(dim=0)
    expected = np.where(surest > 0, np.array(ids)[row], 0)
    for at_once in (1, 4, 32):
        assert np.array_equal(paint(ids, prediction, (50, 70), at_once), expected)


def test_more_objects_than_are_searched_for_can_be_given(predictor):
    tracker = Sam2Tracker(predictor, replace(LOOSE, max_objects=2))
    tracker.seed(seed_map())
    run(tracker, 1)
    believe(predictor.model, present=False)
    run(tracker, 5, start=1)
    assert tracker.health()["lost"] == 3 and not predictor.ids
    believe(predictor.model, present=True)
    assert {t.id for t in run(tracker, 3, start=6)[-1].tracks} == {3, 9, 500}
    assert tracker.health()["recovered"]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 7), (1200, 1600)])
def test_any_size_of_image_is_tracked(predictor, size):
    tracker = Sam2Tracker(predictor, LOOSE, BrightRegions())
    image = cv2.resize(next(frames(1)), size[::-1])
    for t in (2.0, 1.0, 1.0):  # nor need stamps grow
        tracked = tracker.step(Frame(image, t))
        assert tracked.labels.shape == size and tracked.labels.dtype == np.uint16

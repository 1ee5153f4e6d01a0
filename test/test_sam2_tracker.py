from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sam2_scene import HEIGHT, WIDTH, believe, disc, disc_mask, frames, random_model, torch

from cc_ros.errors import BackendError, ImageError
from cc_ros.frame import Frame
from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.factory import make_tracker
from cc_ros.tracking.proposals import RegionProposer
from cc_ros.tracking.sam2.discovery import Discovery, region_prompts, select_wholes
from cc_ros.tracking.sam2.predictor import Prediction, StreamingPredictor
from cc_ros.tracking.sam2.recovery import Gallery, looks
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.tracker import Sam2Tracker, finish

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
    first, *rest = run(Sam2Tracker(predictor, replace(LOOSE, discover_every=9), RegionProposer()), 6)
    assert first.labels.shape == (HEIGHT, WIDTH) and first.labels.dtype == np.uint16
    (track,) = first.tracks
    assert (track.id, track.status) == (1, TrackStatus.NEW)
    assert np.hypot(*np.subtract(track.centre, disc(1, 0))) < 18  # it is the green disc
    assert all([t.id for t in r.tracks] == [1] and r.tracks[0].status is TrackStatus.VISIBLE for r in rest)


def test_searching_between_frames_finds_the_same_without_being_waited_for(predictor):
    tracker = Sam2Tracker(predictor, replace(LOOSE, discover="idle", prompts_per_chunk=2))
    run(tracker, 1)
    predictor.remove(predictor.ids)  # the image is unexplained again
    deadline = time.monotonic() + 30
    for t, image in enumerate(frames(300), start=1):
        tracked = tracker.step(Frame(image, t / 30))
        if tracked.labels.any() or time.monotonic() > deadline:
            break
    tracker.close()
    assert tracked.labels.any()
    assert tracker.health()["searches"] > 1


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
    assert not predictor.ids  # no longer stepped: only its looks are kept
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
        return looks(
            encoding, predictor.from_masks(encoding, torch.from_numpy(np.stack([disc_mask(i, t) for i in range(3)])))
        )

    gallery = Gallery(max_lost=10, min_similarity=0.0)
    gallery.look([4, 5, 6], seen(0))
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
        gallery.look([1, 2, 3, 4], unit(things[:4] + 0.05 * generator.normal(size=(4, 2, 64))))
    gallery.lose([2, 4])
    assert 0.86 < gallery.threshold < 0.98
    assert gallery.recover(unit(things[[4, 3]])) == [0, 4]


def test_the_memory_for_lost_objects_is_bounded():
    gallery = Gallery(max_lost=5, min_similarity=0.9)
    generator = np.random.default_rng(0)
    for i in range(1, 200):
        views = generator.normal(size=(10, 1, 2, 16)).astype(np.float32)
        for view in views / np.linalg.norm(views, axis=-1, keepdims=True):
            gallery.look([i], view)
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
    tracker = make_tracker("auto", sam2=settings)
    try:
        deadline = time.monotonic() + 60
        stamp = 0.0
        while int(tracker.health()["sam2_answers"]) < 2 and time.monotonic() < deadline:
            for image in frames(5):
                stamp += 1 / 30
                tracked = tracker.step(Frame(image, stamp))
                assert {t.id for t in tracked.tracks if t.area} == set(np.unique(tracked.labels)) - {0}
        assert int(tracker.health()["sam2_answers"]) >= 2
        assert "degraded" not in tracker.health()
    finally:
        tracker.close()


def test_predictions_can_be_cut_and_joined(predictor):
    image = next(frames(1))
    encoding = predictor.encode(image, 0)
    both = predictor.from_masks(encoding, torch.from_numpy(np.stack([disc_mask(0, 0), disc_mask(1, 0)])))
    again = Prediction.cat([both[[0]], both[[1]]])
    assert torch.equal(again.logits, both.logits) and torch.equal(again.pointer, both.pointer)

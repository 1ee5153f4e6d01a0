from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.sam2_scene import HEIGHT, WIDTH, disc, disc_mask, frames, give, random_model, torch, write_jpegs

from cc_ros.tracking.sam2.loading import CONFIGS, build_model
from cc_ros.tracking.sam2.predictor import StreamingPredictor, scale
from cc_ros.tracking.sam2.weights import RELEASES

SIDE = 128  # of frames and model: nothing is scaled, so that equal means equal
FRAMES, JOIN, LEAVE = 30, 12, 20
CLICK = np.array([disc(1, 0)], np.float32) / (WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def model():
    return random_model(SIDE)


def stock_masks(model, folder: Path) -> list[dict[int, torch.Tensor]]:
    """Video-size logits by id, frame by frame: two objects (one clicked), a third joins, the second leaves."""
    state = model.init_state(str(folder))
    out = []

    def run(start: int, end: int) -> None:
        for _, ids, masks in model.propagate_in_video(
            state, start_frame_idx=start, max_frame_num_to_track=end - start - 1
        ):
            out.append(dict(zip(ids, masks[:, 0], strict=True)))

    model.add_new_mask(state, 0, 1, disc_mask(0, 0))
    model.add_new_points_or_box(state, 0, 2, points=CLICK * SIDE, labels=np.array([1], np.int32))
    run(0, JOIN)
    model.add_new_mask(state, JOIN, 77, disc_mask(2, JOIN))
    model.add_new_mask(state, JOIN, 1, disc_mask(0, JOIN))  # a second mask for a known object
    run(JOIN, LEAVE)
    model.remove_object(state, 2)
    run(LEAVE, FRAMES)
    return out


def streamed_masks(predictor: StreamingPredictor, images: list[np.ndarray]) -> list[dict[int, torch.Tensor]]:
    out = []
    for t, image in enumerate(images):
        encoding = predictor.encode(image, t)
        given = {}
        if t == 0:
            given[1] = predictor.from_masks(encoding, torch.from_numpy(disc_mask(0, 0))[None])
            point = torch.from_numpy(CLICK[None].astype(np.float32))
            given[2] = predictor.ask(encoding, point, torch.ones(1, 1, dtype=torch.int32))[2]
        if t == JOIN:
            given[77] = predictor.from_masks(encoding, torch.from_numpy(disc_mask(2, JOIN))[None])
            given[1] = predictor.from_masks(encoding, torch.from_numpy(disc_mask(0, JOIN))[None])
        if t == LEAVE:
            predictor.remove([2])
        for i, prediction in given.items():
            predictor.add([i], t, predictor.remember(encoding, prediction))
        ids, prediction = predictor.step(encoding)
        logits = {i: p.logits for i, p in given.items()}
        logits |= dict(zip(ids, prediction.logits.split(1), strict=True)) if prediction else {}
        full = {
            i: torch.nn.functional.interpolate(m, (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
            for i, m in logits.items()
        }
        out.append(full)
    return out


@pytest.fixture(scope="module")
def stock(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    images = write_jpegs(folder, FRAMES, SIDE)
    return images, stock_masks(model, folder)


@pytest.mark.parametrize("batch", [1, 32])
def test_the_masks_equal_stock_over_joins_and_leaves(model, stock, batch):
    images, expected = stock
    got = streamed_masks(StreamingPredictor(model, batch_objects=batch), images)
    assert [set(g) for g in got] == [set(e) for e in expected]
    worst = max((g[i] - e[i]).abs().max().item() for g, e in zip(got, expected, strict=True) for i in e)
    spread = max(e[i].std().item() for e in expected for i in e)
    assert spread > 1e-3  # the masks are not one flat plane, so that equality means something
    assert worst < 1e-5


def test_the_memory_stays_flat_over_300_frames():
    predictor = StreamingPredictor(random_model(64))
    encodings = [predictor.encode(image, 0) for image in frames(4)]
    mask = torch.from_numpy(disc_mask(0, 0))[None]
    give(predictor, [1000], encodings[0], mask)
    sizes = []
    for t in range(300):
        encoding = replace(encodings[t % 4], index=t)
        if t % 50 == 0:  # objects join and leave
            predictor.remove(predictor.ids[:1])
            give(predictor, [t + 1], encoding, mask)
        if t % 10 == 0:  # masks given for known objects do not pile up
            give(predictor, predictor.ids, encoding, mask)
        predictor.step(encoding)
        sizes.append(predictor.state_bytes())
    assert max(sizes[150:]) <= max(sizes[50:150])


@pytest.mark.parametrize("size", CONFIGS)
def test_all_sizes_remember_as_the_streaming_memory_assumes(size):
    from hydra import compose

    model = compose(config_name=f"configs/sam2.1/sam2.1_hiera_{CONFIGS[size]}.yaml").model
    assert (model.num_maskmem, model.image_size) == (7, 1024)
    assert model.use_obj_ptrs_in_encoder and model.proj_tpos_enc_in_obj_ptrs and model.add_tpos_enc_to_obj_ptrs
    assert model.only_obj_ptrs_in_the_past_for_eval and model.use_signed_tpos_enc_to_obj_ptrs
    assert "memory_temporal_stride_for_eval" not in model and "max_cond_frames_in_attn" not in model


@pytest.mark.parametrize("size", CONFIGS)
def test_all_sizes_have_the_shape_of_their_release_and_run(size):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model(size, 64, torch.device("cpu"))
    megabytes = sum(tensor.nbytes for tensor in model.state_dict().values()) / 1e6
    assert abs(megabytes - RELEASES[size].megabytes) < 1
    predictor = StreamingPredictor(model)
    first, second = (predictor.encode(image, t) for t, image in enumerate(frames(2)))
    give(predictor, [4], first, torch.from_numpy(disc_mask(0, 0))[None])
    ids, prediction = predictor.step(second)
    assert ids == (4,) and prediction.logits.shape == (1, 1, 16, 16) and prediction.logits.isfinite().all()


def test_weights_fit_whatever_the_image_size():
    small, large = (build_model("tiny", size, torch.device("cpu")).state_dict() for size in (128, 1024))
    assert {k: v.shape for k, v in small.items()} == {k: v.shape for k, v in large.items()}


def test_objects_share_a_batch_as_soon_as_their_memories_have_one_shape(monkeypatch):
    predictor = StreamingPredictor(random_model(64))
    encodings = [predictor.encode(image, 0) for image in frames(2)]
    mask = torch.from_numpy(disc_mask(0, 0))[None]
    attention, batches = predictor.model.memory_attention.forward, []

    def counted(curr, **others):
        batches[-1].append(curr[0].shape[1])
        return attention(curr=curr, **others)

    monkeypatch.setattr(predictor.model.memory_attention, "forward", counted)
    for t in range(21):
        encoding = replace(encodings[t % 2], index=t)
        if t in (0, 3):
            give(predictor, [t + 1, t + 2], encoding, mask)
        batches.append([])
        predictor.step(encoding)
    assert batches[2] == [2] and batches[3] == [2]  # those that join are not stepped in the same frame
    assert batches[5] == [2, 2]
    assert batches[20] == [4]


def test_a_frame_may_be_stepped_again():
    predictor = StreamingPredictor(random_model(64))
    encodings = [predictor.encode(image, 0) for image in frames(3)]
    give(predictor, [1], encodings[0], torch.from_numpy(disc_mask(0, 0))[None])
    for t in range(1, 20):
        encoding = replace(encodings[t % 3], index=t)
        _, first = predictor.step(encoding)
    _, again = predictor.step(encoding)
    assert torch.equal(first.logits, again.logits)


@pytest.mark.parametrize("size", [64, 256, 512])
def test_images_are_scaled_as_stock_scales_them(size):
    from PIL import Image

    generator = np.random.default_rng(size)
    image = cv2.resize(generator.integers(0, 255, (30, 40, 3), dtype=np.uint8), (320, 240))
    rgb = np.ascontiguousarray(image[..., ::-1])
    stock = np.array(Image.fromarray(rgb).resize((size, size))).astype(int)
    difference = np.abs(scale(image, size)[0].permute(1, 2, 0).numpy() - stock)
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.01

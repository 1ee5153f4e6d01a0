"""What the SAM 2 tests share: the real model on seeded random weights, and a small moving scene."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

try:
    import torch
    from sam2.sam2_video_predictor import SAM2VideoPredictor
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("torch and sam2 are not installed", allow_module_level=True)

from cc_ros.tracking.sam2.loading import build_model
from cc_ros.tracking.sam2.predictor import Encoding, Prediction, StreamingPredictor

WIDTH, HEIGHT = 160, 120


def random_model(image_size: int, seed: int = 0, shy: float = 0.0) -> SAM2VideoPredictor:
    """Return SAM 2.1 tiny on one thread, with random weights that believe every object to be in the image.

    :param shy: lowers all mask logits; at 1 (seed 0, 128 px) every answer is a blot on the green disc.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = build_model("tiny", image_size, torch.device("cpu"))
    believe(model, present=True)
    for network in model.sam_mask_decoder.output_hypernetworks_mlps:
        network.layers[-1].bias.data.sub_(shy)
    return model


def believe(model: SAM2VideoPredictor, *, present: bool) -> None:
    """Make the model say of every object that it is in the image, or that it is not."""
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(10.0 if present else -10.0)


def give(predictor: StreamingPredictor, ids: Sequence[int], encoding: Encoding, masks: torch.Tensor) -> Prediction:
    """Start objects with given masks (NxHxW bool; one for all, or one each)."""
    prediction = predictor.from_masks(encoding, masks.expand(len(ids), -1, -1))
    predictor.add(ids, encoding.index, predictor.remember(encoding, prediction))
    return prediction


def frames(count: int) -> Iterator[np.ndarray]:
    """Yield HEIGHTxWIDTHx3 uint8 BGR images: coloured discs that move over a textured ground."""
    ground = np.random.default_rng(0).integers(0, 80, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = cv2.resize(ground, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    for t in range(count):
        image = ground.copy()
        for i, colour in enumerate([(40, 40, 230), (40, 220, 60), (230, 90, 40)]):
            cv2.circle(image, disc(i, t), 18, colour, -1)
        yield image


def disc(i: int, t: int) -> tuple[int, int]:
    """Return the centre (x, y) of disc ``i`` in frame ``t``."""
    return 30 + 45 * i + t % 40, 40 + 20 * i + (t * (i + 1)) % 20


def disc_mask(i: int, t: int) -> np.ndarray:
    """Return HEIGHTxWIDTH bool, the pixels of disc ``i`` in frame ``t``."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    return cv2.circle(mask, disc(i, t), 18, 1, -1).astype(bool)


def write_jpegs(folder: Path, count: int, side: int) -> list[np.ndarray]:
    """Write the first frames, squeezed to side x side, as stock's loader wants them; return what reads back (BGR)."""
    images = []
    for t, image in enumerate(frames(count)):
        path = folder / f"{t:05d}.jpg"
        cv2.imwrite(str(path), cv2.resize(image, (side, side)))
        images.append(cv2.imread(str(path)))
    return images

"""Discover objects without clicks: prompt SAM 2 at points and regions that no track explains yet."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from sam2.utils.amg import build_point_grid, calculate_stability_score
from torch import Tensor

from cc_ros.tracking.base import Proposer
from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.predictor import Encoding, StreamingPredictor
from cc_ros.tracking.sam2.settings import Sam2Settings


@dataclass(slots=True)
class _Found:
    """Masks (Kxsxs bool) that passed the filters, with their qualities (K)."""

    masks: Tensor
    quality: Tensor


class Discovery:
    """Searches for objects in the encoding that tracking made anyway.

    :param predictor: the model; its objects are not touched.
    :param settings: grid, thresholds and chunk size.
    :param proposer: its regions are asked for first; None = the grid alone.
    """

    def __init__(self, predictor: StreamingPredictor, settings: Sam2Settings, proposer: Proposer | None = None) -> None:
        self._predictor = predictor
        self._settings = settings
        self._proposer = proposer
        self.chunk = settings.prompts_per_chunk  # prompts asked in one go; lower it to need less device memory
        grid = build_point_grid(settings.points_per_side or (16 if predictor.device.type == "cuda" else 8))
        # In random order, so that the first masks cover much and save the questions inside them.
        self._grid = np.random.default_rng(0).permutation(grid).astype(np.float32)

    def search(self, encoding: Encoding, image: np.ndarray, labels: np.ndarray) -> Generator[None, None, Tensor]:
        """Search for objects; each ``next`` asks one chunk of prompts, the generator's value are the masks.

        :param encoding: of ``image``.
        :param image: HxWx3 uint8 BGR.
        :param labels: HxW uint16, what is tracked already in this image.
        :return: Kxsxs bool, the best first, without the pixels of tracked objects.
        """
        side = 4 * self._predictor.model.sam_image_embedding_size
        small = cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST) > 0
        explained = torch.from_numpy(small).to(self._predictor.device)
        found = _Found(explained.new_zeros(0, side, side), torch.zeros(0, device=explained.device))
        for points, kinds in self._prompts(image, explained, found):
            logits, iou, _ = self._predictor.ask(encoding, torch.from_numpy(points), torch.from_numpy(kinds))
            found_masks, quality = worth_tracking(logits.flatten(0, 1), iou.flatten(), explained, self._settings)
            found.masks = torch.cat([found.masks, found_masks])
            found.quality = torch.cat([found.quality, quality])
            yield
        rows = self._select(found)
        return found.masks[rows] & ~explained

    def _prompts(self, image: np.ndarray, explained: Tensor, found: _Found) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield chunks of points (BxPx2, 0..1) and their kinds (BxP): regions first, then what they left open."""
        size = self.chunk
        if self._proposer is not None:
            boxes = region_prompts(self._proposer.regions(image), explained.cpu().numpy())
            for start in range(0, len(boxes), size):
                chunk = boxes[start : start + size]
                yield chunk, np.tile(np.array([2, 3, 1], np.int32), (len(chunk), 1))
        open_points = self._grid
        while True:
            covered = (explained | found.masks.any(dim=0)).cpu().numpy()
            row, column = (open_points[:, ::-1] * covered.shape[0]).astype(int).T
            open_points = open_points[~covered[row, column]]
            if not len(open_points):
                return
            chunk, open_points = open_points[:size], open_points[size:]
            yield chunk[:, None], np.ones((len(chunk), 1), np.int32)

    def _select(self, found: _Found) -> list[int]:
        """Return the rows that stay when doubles and parts of other masks are dropped, the best first."""
        flat = F.adaptive_avg_pool2d(found.masks.float()[:, None], 64).flatten(1)  # shares of overlap need no more
        flat = (flat > 0.5).float()
        shared = (flat @ flat.T).cpu().numpy()
        area = np.maximum(np.diag(shared), 1.0)
        quality = found.quality.cpu().numpy()
        return select_wholes(shared, area, quality)


@torch.inference_mode()
def worth_tracking(logits: Tensor, iou: Tensor, explained: Tensor, settings: Sam2Settings) -> tuple[Tensor, Tensor]:
    """Return those of N answers that may be new objects, as masks (Kxsxs bool), and their qualities (K).

    :param logits: Nxsxs mask logits.
    :param iou: N predicted qualities.
    :param explained: sxs bool, tracked already.
    """
    likely = iou >= settings.min_iou
    logits, iou = logits[likely], iou[likely]
    stability = calculate_stability_score(logits, 0.0, 1.0)
    masks = logits > 0
    area = masks.flatten(1).sum(dim=1)
    share = area / explained.numel()
    tracked = (masks & explained).flatten(1).sum(dim=1) / area.clamp(min=1)
    edges = torch.cat([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], dim=1).float().mean(dim=1)
    background = (share > settings.max_area) | ((share > settings.max_area / 4) & (edges > const.BACKGROUND_BORDER))
    small = (area == 0) | (share < settings.min_area)
    good = (stability >= settings.min_stability) & ~small & ~background & (tracked <= const.MAX_EXPLAINED)
    return masks[good], (iou * stability)[good]


def select_wholes(shared: np.ndarray, area: np.ndarray, quality: np.ndarray) -> list[int]:
    """Return the masks to keep, so that no two are the same thing and none is a part of another.

    :param shared: KxK pixels that two masks share.
    :param area: K pixels, not 0.
    :param quality: K, higher is better; the result is in this order.
    """
    kept: list[int] = []
    for i in np.argsort(-quality, kind="stable"):
        others = np.array(kept, dtype=int)
        both = shared[i, others]
        if (both / (area[i] + area[others] - both) > const.SAME).any() or (both / area[i] > const.INSIDE).any():
            continue
        parts = others[both / area[others] > const.INSIDE]
        if len(parts) and quality[i] < quality[parts].max() - const.WHOLE_MARGIN:
            continue
        rest = [k for k in kept if k not in parts]
        if shared[i, rest].sum() > 0.5 * area[i]:
            continue
        kept = [*rest, int(i)]
    return kept


def region_prompts(regions: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Return Bx3x2 float32 (x, y) in 0..1: two box corners and an inner point of each region that is not tracked.

    :param regions: HxW int32, 0 = background.
    :param explained: hxw bool, tracked already.
    """
    h, w = explained.shape
    small = cv2.resize(regions.astype(np.float32), (w, h), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    count = int(small.max()) + 1
    area = np.bincount(small.ravel(), minlength=count)
    tracked = np.bincount(small.ravel(), weights=explained.ravel(), minlength=count)
    prompts = []
    for region in np.flatnonzero((area > 0) & (tracked <= const.MAX_EXPLAINED * area)):
        if region == 0:
            continue
        mask = (small == region).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        crop = cv2.copyMakeBorder(mask[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        row, column = divmod(int(cv2.distanceTransform(crop, cv2.DIST_L2, 3).argmax()), width + 2)
        prompts.append([(x, y), (x + width, y + height), (x + column - 0.5, y + row - 0.5)])
    return (np.array(prompts, np.float32).reshape(-1, 3, 2) / (w, h)).astype(np.float32)

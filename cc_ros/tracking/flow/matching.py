"""Match detected objects with carried ones: which are there, and which track each one continues."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.depth import DepthView, with_parts
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.objects.constants import INSIDE, LEFT, SAME
from cc_ros.tracking.objects.instances import overlaps
from cc_ros.tracking.objects.network import NetworkOutput

_IMPOSSIBLE = 9.0  # cost of a pair that does not fit; any that does costs less


@dataclass(slots=True)
class Match:
    """One object of a detection pass.

    :param key: its track, 0 = a new one.
    :param odds: h x w float32, log odds of its mask.
    :param score: 0..1, how likely this is one whole object.
    :param held: 0..1, IoU with the mask that was expected.
    :param detected: by the network; otherwise it was only carried.
    """

    key: int
    odds: np.ndarray
    score: float
    held: float
    detected: bool

    @property
    def centre(self) -> np.ndarray:
        """x and y of its centre, shares of the image."""
        y, x = np.nonzero(self.odds > 0)
        return np.array([x.mean() / self.odds.shape[1], y.mean() / self.odds.shape[0]])


def match(
    output: NetworkOutput,
    prior: np.ndarray,
    scores: Mapping[int, float],
    least: float,
    view: DepthView | None = None,
    named: Container[int] = (),
) -> list[Match]:
    """Return the objects of a detection pass, the surest first.

    :param prior: HxW int32, the expected keys of the tracks, 0 = none.
    :param scores: how sure each track was, faded.
    :param least: share of the image of the smallest new object.
    :param view: depth that can be trusted; None = there is none.
    :param named: the tracks that have ids: what covers one of them and one without continues the former,
        unless that is only a small part of it.
    """
    odds, score = output.candidates()
    enough = const.NEW_SCORE if output.second is None else const.NEW_SCORE_TWICE
    if view:
        odds, score = with_parts(odds, score, view)
    n, shape = len(odds), odds.shape[1:]
    keys, index = compact(cv2.resize(prior, shape[::-1], interpolation=cv2.INTER_NEAREST))
    tracks = keys[keys > 0]
    carried = (tracks[:, None, None] == keys[index]) if len(tracks) else np.zeros((0, *shape), bool)
    # One mask a row: the detected ones, then the carried ones.
    masks = np.concatenate([odds > 0, carried]).reshape(n + len(tracks), shape[0] * shape[1])
    both, area, iou = overlaps(masks.astype(np.float32))
    known = np.array([scores.get(int(key), 0.0) for key in tracks], np.float32)
    on_things = masks[n:] @ output.thing.ravel() / np.maximum(area[n:], 1) > const.CARRIED_ON_THINGS
    sure = np.concatenate([score, known * on_things])
    has_id = np.array([key in named for key in tracks.tolist()], bool)
    free, used = np.ones(masks.shape[1], bool), set[int]()
    kept: list[int] = []
    found: list[Match] = []
    for one in np.argsort(-_ranks(sure, iou[:n, n:], known), kind="stable").tolist():
        if (one >= n and one - n in used) or area[one] == 0 or sure[one] < const.KNOWN_SCORE:
            continue
        if kept and ((iou[one, kept] > SAME) | (both[one, kept] > INSIDE * area[one])).any():
            continue
        if (masks[one] & free).sum() < LEFT * area[one]:
            continue
        track = one - n if one >= n else _continued(iou[one, n:], both[one, n:] / np.maximum(area[n:], 1), used, has_id)
        if track is None:
            if sure[one] < enough or area[one] < least * masks.shape[1]:
                continue
            key, held = 0, 1.0
        else:
            used.add(track)
            key, held = int(tracks[track]), float(iou[one, n + track])
        sign = const.CARRIED_ODDS
        mask = odds[one] if one < n else np.where(carried[one - n], sign, -sign).astype(np.float32)
        found.append(Match(key, mask, float(sure[one]), held, one < n))
        kept.append(one)
        free &= ~masks[one]
    return found


def _ranks(sure: np.ndarray, overlap: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the rank of each mask (n detected, then t carried ones): the highest is placed first.

    :param sure: n + t, how likely each is one whole object.
    :param overlap: n x t, IoU of the detected with the carried masks.
    :param known: t, how sure the tracks were.
    """
    rank, n = sure.copy(), len(overlap)
    if len(known):
        rank[:n] += const.SUPPORT * (overlap * np.minimum(2 * known, 1)).max(axis=1)
        again = np.where(overlap > SAME, known, 0).max(axis=1)  # a track is drawn anew, however sure it was
        rank[:n] = np.maximum(rank[:n], again + 0.1 * sure[:n])
    return rank


def _continued(iou: np.ndarray, covered: np.ndarray, used: set[int], named: np.ndarray) -> int | None:
    """Return the track that a candidate continues, by its overlap with each, None where it is a new object."""
    fits = (iou >= const.CONTINUES_IOU) | (covered > const.CONTINUES_COVER)
    fits[list(used)] = False
    if not fits.any():
        return None
    overlap = np.where(fits, np.maximum(iou, const.CONTINUES_IOU * covered), -1)
    known = np.where(named, overlap, -1)
    return int((known if known.max() >= const.NAMED_OVERLAP * overlap.max() else overlap).argmax())


def rejoined(cosine: np.ndarray, distance: np.ndarray) -> list[tuple[int, int]]:
    """Return which new objects are tracks that lost their place a moment ago: pairs of a row and a column.

    Where flow and overlap fail, descriptor and place together do not.

    :param cosine: n new objects x t tracks, of their descriptors.
    :param distance: n x t, shares of the image, between where an object is and where the track should be.
    """
    fits = (cosine > const.REJOIN_COSINE) & (distance < const.REJOIN_REACH)
    cost = np.where(fits, 1 - cosine + const.SAME_DISTANCE * distance, _IMPOSSIBLE)
    return [
        (int(row), int(column)) for row, column in zip(*linear_sum_assignment(cost), strict=True) if fits[row, column]
    ]


def supported(output: NetworkOutput, carried: np.ndarray, count: int) -> dict[int, np.ndarray]:
    """Return by object (0..count-1) the log odds (h x w float32) of what the network detects as just this object.

    :param carried: HxW int32, 1..count, where the objects are expected; 0 = none.
    """
    odds, score = output.candidates()
    small = cv2.resize(carried, odds.shape[:0:-1], interpolation=cv2.INTER_NEAREST).ravel()
    masks = (odds > 0).reshape(len(odds), small.size).astype(np.float32)
    expected = (small[:, None] == np.arange(1, count + 1)).astype(np.float32)
    both, area = masks @ expected, expected.sum(axis=0)
    iou = both / np.maximum(masks.sum(axis=1)[:, None] + area - both, 1)
    covers = both > 0.5 * np.maximum(area, 1)
    others = covers.sum(axis=1)[:, None] - covers
    fit = np.where((iou > const.CONTINUES_IOU) & (others == 0), iou * score[:, None], 0)  # not two objects as one
    return {k: odds[int(fit[:, k].argmax())] for k in range(count) if fit[:, k].any()}


def paint(found: list[Match], prior: np.ndarray) -> np.ndarray:
    """Return the keys (HxW int32) of the pixels of all objects; where two overlap, the surer one is in front.

    :param prior: HxW int32, as for ``match``.
    """
    keys = np.zeros(prior.shape, np.int32)
    for one in reversed(found):
        if one.detected:
            odds = cv2.resize(one.odds, prior.shape[::-1], interpolation=cv2.INTER_LINEAR)
            inside = prior == one.key
            if inside.any():
                odds += np.where(inside, np.float32(const.MASK_MEMORY), np.float32(-const.MASK_MEMORY))
            keys[odds > 0] = one.key
        else:
            keys[prior == one.key] = one.key
    return keys

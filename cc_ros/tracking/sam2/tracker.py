"""The ``sam2`` backend: SAM 2.1 on every frame; objects are discovered, lost and re-identified without clicks."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from cc_ros.errors import BackendError
from cc_ros.frame import Frame
from cc_ros.tracking.base import Proposer, Tracked, Tracker, check_image
from cc_ros.tracking.ids import FORGOTTEN, IdPool
from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.background import IdleWorker
from cc_ros.tracking.sam2.discovery import Discovery
from cc_ros.tracking.sam2.memory import Moment
from cc_ros.tracking.sam2.predictor import Encoding, Prediction, StreamingPredictor
from cc_ros.tracking.sam2.reid import Gallery, embed
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.streams import Streams
from cc_ros.tracking.track_log import TrackLog

T = TypeVar("T")
log = logging.getLogger(__name__)


Joined = tuple[Sequence[int], Prediction]  # ids and masks


@dataclass(frozen=True, slots=True)
class Newcomers:
    """What a search found, ready to be tracked: N masks, the best first.

    :param index: of the frame that was searched.
    :param embeddings: Nx2xD, from ``embed``.
    :param moments: what tracking remembers of them.
    """

    index: int
    prediction: Prediction
    embeddings: np.ndarray
    moments: list[Moment]


class Sam2Tracker(Tracker):
    """Streaming SAM 2.1 (paper section 3, step 1: "each new image is labelled against the episodic history").

    :param predictor: the model, for instance from ``load_predictor``.
    :param settings: how objects are found, lost and recovered.
    :param proposer: regions that discovery asks for first; None = a grid of points alone.
    """

    def __init__(
        self,
        predictor: StreamingPredictor,
        settings: Sam2Settings = Sam2Settings(),
        proposer: Proposer | None = None,
    ) -> None:
        self._predictor = predictor
        self._settings = settings
        self._discovery = Discovery(predictor, settings, proposer)
        self._gallery = Gallery(settings.max_lost, settings.min_similarity)
        self._streams = Streams(predictor.device)
        self._worker: IdleWorker[Newcomers | None] = IdleWorker(self._streams.search)
        self._batch = predictor.batch_objects
        self._searches = self._recovered = 0
        self._megabytes = 0.0
        self.reset()
        self._report()

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._worker.drop()
        self._predictor.reset()
        self._predictor.batch_objects, self._discovery.chunk = self._batch, self._settings.prompts_per_chunk
        self._degraded = ""
        self._gallery.clear()
        self._track_log = TrackLog()
        self._index = 0
        self._pool = IdPool()
        self._turn: dict[int, int] = {}  # by id: how many were given until then
        self._forgotten = 0
        self._searched = -self._settings.discover_every
        self._absent: dict[int, int] = {}  # frames since it was in view, by id
        self._seed: np.ndarray | None = None
        self._only_seeded = False
        self._max_objects = self._settings.max_objects or (40 if self._predictor.device.type == "cuda" else 16)

    def prepare(self) -> None:
        """Encode a first picture: the device takes its memory, and what is compiled is compiled."""
        self._predictor.encode(np.zeros((480, 640, 3), np.uint8), 0)

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self.reset()
        self._seed = labels
        self._only_seeded = True

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        :raises BackendError: the device fails, or has no memory even for one object at a time.
        """
        check_image(frame.image)
        self._worker.pause()
        with self._streams.frames():
            tracked = self._track_as_memory_allows(frame)
        self._worker.resume()
        self._report()
        return tracked

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters, the megabytes held for objects, and under ``degraded`` what was cut down."""
        return self._health

    def stop(self) -> None:
        """Make a step under way in another thread end early, by a BackendError; only ``close`` comes after it."""
        self._predictor.stop()

    def close(self) -> None:
        """Stop the search for objects and release the memories."""
        self._worker.close()
        self._predictor.reset()

    def _track_as_memory_allows(self, frame: Frame) -> Tracked:
        while True:
            try:
                return self._track(frame)
            except torch.OutOfMemoryError as error:
                self._shrink(error)
            except RuntimeError as error:  # what torch raises for CUDA, cuDNN and cuBLAS errors
                raise BackendError(f"SAM 2 failed on {self._predictor.device}: {error}") from error

    def _track(self, frame: Frame) -> Tracked:
        size = frame.image.shape[:2]
        self._join(self._worker.take())
        encoding = self._predictor.encode(frame.image, self._index)
        given = self._take_seed(encoding)
        ids, prediction = self._predictor.step(encoding)
        if given is None:
            labels = self._paint(ids, prediction, size)
        else:
            labels = cv2.resize(given, size[::-1], interpolation=cv2.INTER_NEAREST)
        found = self._search(encoding, frame.image, labels) if self._due() else None
        if found is not None:
            ids = (*ids, *found[0])
            prediction = found[1] if prediction is None else Prediction.cat([prediction, found[1]])
            labels = self._paint(ids, prediction, size)
        known = {*self._predictor.ids, *self._gallery.lost}
        tracks = self._track_log.update(labels, frame.stamp, confidence(ids, prediction), known)
        if prediction is not None:
            self._note(encoding, ids, prediction, {t.id for t in tracks if t.area})
        self._index += 1
        return Tracked(labels, tracks)

    def _take_seed(self, encoding: Encoding) -> np.ndarray | None:
        """Add the seeded objects; return their map, which is this frame's map."""
        if self._seed is None:
            return None
        labels = self._seed.astype(np.uint16)
        ids = [int(i) for i in np.unique(labels) if i]
        for start in range(0, len(ids), const.SEEDS_AT_ONCE):
            some = ids[start : start + const.SEEDS_AT_ONCE]
            masks = torch.from_numpy(labels == np.array(some)[:, None, None])
            prediction = self._predictor.from_masks(encoding, masks)
            self._predictor.add(some, encoding.index, self._predictor.remember(encoding, prediction))
            self._gallery.add(some, embed(encoding, prediction))
        self._pool.keep(ids)
        self._turn = {i: turn for turn, i in enumerate(ids)}
        self._max_objects = max(self._max_objects, len(ids))
        self._seed = None
        return labels

    def _due(self) -> bool:
        wanted = self._settings.discover != "off" and (not self._only_seeded or self._gallery.lost)
        rested = self._index - self._searched >= self._settings.discover_every
        return bool(wanted and self._free_slots() > 0 and rested and not self._worker.busy)

    def _free_slots(self) -> int:
        return min(self._max_objects - len(self._predictor.ids), self._pool.left)

    def _search(self, encoding: Encoding, image: np.ndarray, labels: np.ndarray) -> Joined | None:
        """Search at once on the first frame or when told so, else begin a search for the time between frames."""
        self._searched = self._index
        self._searches += 1
        work = self._work(encoding, image, labels)
        if not self._index or self._settings.discover == "inline":
            return self._join(finish(work))
        self._streams.lend(encoding.features)
        self._worker.start(work)
        return None

    def _work(
        self, encoding: Encoding, image: np.ndarray, labels: np.ndarray
    ) -> Generator[None, None, Newcomers | None]:
        """Search, and prepare what is found: a frame then only has to add it."""
        masks = yield from self._discovery.search(encoding, image, labels)
        masks = masks[masks.flatten(1).any(dim=1)][: self._max_objects]
        if not len(masks):
            return None
        prediction = self._predictor.from_masks(encoding, masks)
        yield
        moments = self._predictor.remember(encoding, prediction)
        found = Newcomers(encoding.index, prediction, embed(encoding, prediction), moments)
        self._streams.hand_over([*prediction.tensors(), *(t for m in moments for t in m.tensors())])
        return found

    def _join(self, found: Newcomers | None) -> Joined | None:
        """Start tracking what was found, under their old ids where these are lost objects."""
        if found is None:
            return None
        ids = self._gallery.recover(found.embeddings[: self._free_slots()])
        self._recovered += sum(i > 0 for i in ids)
        rows = [row for row, old in enumerate(ids) if old or not self._only_seeded]
        if not rows:
            return None
        for row in rows:
            if not ids[row]:
                ids[row] = self._pool.take()
                self._turn[ids[row]] = self._pool.given
        ids = [ids[row] for row in rows]
        self._predictor.add(ids, found.index, [found.moments[row] for row in rows])
        self._gallery.add(ids, found.embeddings[rows])
        return ids, found.prediction[rows]

    def _note(self, encoding: Encoding, ids: Sequence[int], prediction: Prediction, in_view: set[int]) -> None:
        """Count the frames out of view, embed the others now and then, and stop stepping the lost and the doubles."""
        self._absent = {i: 0 if i in in_view else self._absent.get(i, 0) + 1 for i in self._predictor.ids}
        gone = {i for i, frames in self._absent.items() if frames > self._settings.patience}
        if self._index % const.EMBED_EVERY == 0:
            iou = prediction.iou.tolist()
            rows = [row for row, i in enumerate(ids) if i in in_view and iou[row] >= self._settings.min_iou]
            if rows:
                self._gallery.add([ids[row] for row in rows], embed(encoding, prediction[rows]))
            gone |= doubles(ids, prediction, self._turn)
        self._predictor.remove([i for i in self._predictor.ids if i in gone])
        self._gallery.find(in_view - gone)
        self._gallery.lose({i for i, frames in self._absent.items() if frames >= const.BLINK} | gone)
        self._forgotten += self._pool.release_all_but({*self._predictor.ids, *self._gallery.lost})

    def _report(self) -> None:
        """Renew what ``health`` returns as a whole: it is read by other threads."""
        if self._index % const.WEIGH_EVERY == 1:
            self._megabytes = round((self._predictor.state_bytes() + self._gallery.state_bytes()) / 2**20, 1)
        health: dict[str, str | int | float] = {
            "device": str(self._predictor.device),
            "objects": self._pool.given,
            "tracked": len(self._predictor.ids),
            "lost": len(self._gallery.lost),
            "recovered": self._recovered,
            "searches": self._searches,
            "state_mb": self._megabytes,
        }
        if self._forgotten:
            health[FORGOTTEN] = self._forgotten
        if self._degraded:
            health["degraded"] = self._degraded
        self._health = health

    def _paint(self, ids: Sequence[int], prediction: Prediction | None, size: tuple[int, int]) -> np.ndarray:
        return paint(ids, prediction, size, self._predictor.batch_objects)

    def _shrink(self, error: torch.OutOfMemoryError) -> None:
        """Go on with smaller batches and without the search under way."""
        self._worker.drop()
        batch = min(self._predictor.batch_objects, max(len(self._predictor.ids), self._discovery.chunk, 1))
        if batch == 1:
            raise BackendError(
                f"{self._predictor.device} has no memory for SAM 2 even with one object at a time: {error}; "
                "lower image_size or max_objects, or take a smaller model"
            ) from error
        self._predictor.batch_objects = self._discovery.chunk = batch // 2
        torch.cuda.empty_cache()  # does nothing without CUDA
        self._degraded = f"out of memory on {self._predictor.device}: objects in batches of {batch // 2}"
        log.warning("%s", self._degraded)


def finish(work: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(T, end.value)


def paint(ids: Sequence[int], prediction: Prediction | None, size: tuple[int, int], at_once: int = 32) -> np.ndarray:
    """Return HxW uint16: at each pixel the object whose mask is surest there; specks are left out.

    :param at_once: masks that are scaled to ``size`` at the same time; each takes 4 bytes a pixel.
    """
    if prediction is None:
        return np.zeros(size, np.uint16)
    surest = torch.zeros(size, device=prediction.logits.device)
    rows = torch.zeros(size, dtype=torch.int64, device=prediction.logits.device)
    for start in range(0, len(ids), at_once):
        some = prediction.logits[start : start + at_once]
        logits, row = F.interpolate(some, size=size, mode="bilinear", align_corners=False)[:, 0].max(dim=0)
        rows = torch.where(logits > surest, row + (start + 1), rows)
        surest = torch.maximum(logits, surest)
    large = torch.bincount(rows.flatten(), minlength=len(ids) + 1) >= const.SPECK * rows.numel()
    table = torch.tensor([0, *ids], device=rows.device) * large
    return table.to(torch.int16)[rows].cpu().numpy().view(np.uint16)  # torch indexes no uint16; the bits are the same


def confidence(ids: Sequence[int], prediction: Prediction | None) -> dict[int, float]:
    """Return by id how sure SAM 2 is of the mask: predicted quality times probability of presence."""
    if prediction is None:
        return {}
    return dict(zip(ids, (prediction.iou * prediction.score.sigmoid()).clamp(0, 1).tolist(), strict=True))


def doubles(ids: Sequence[int], prediction: Prediction, turn: Mapping[int, int]) -> set[int]:
    """Return the younger of each two objects whose masks have become the same.

    :param turn: by id: a higher one was given later.
    """
    flat = (F.adaptive_avg_pool2d((prediction.logits > 0).float(), 64) > 0.5).float().flatten(1)
    shared = flat @ flat.T
    area = flat.sum(dim=1)
    same = shared > const.SAME * (area[:, None] + area - shared).clamp(min=1)
    pairs = same.nonzero().tolist()
    return {max(ids[a], ids[b], key=lambda i: turn[i]) for a, b in pairs if a != b}

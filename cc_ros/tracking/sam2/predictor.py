"""Stock SAM 2.1, frame by frame, all objects at once, with memory that stays constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from cc_ros.errors import BackendError
from cc_ros.tracking.sam2.memory import Moment, ObjectMemory, Shape, assemble

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB: what SAM 2 was trained with
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Image features of one frame.

    :param index: number of the frame, growing.
    :param features: per level, finest first: (hw)x1xC.
    :param positions: the position codes, likewise.
    :param sizes: per level (h, w).
    """

    index: int
    features: list[Tensor]
    positions: list[Tensor]
    sizes: list[tuple[int, int]]

    def level(self, i: int) -> Tensor:
        """Return level ``i`` as 1xCxhxw."""
        return self.features[i].permute(1, 2, 0).unflatten(2, self.sizes[i])


@dataclass(frozen=True, slots=True)
class Prediction:
    """Masks of N objects in one frame.

    :param logits: Nx1xsxs float32 mask logits, s = a quarter of the model's image size; > 0 is the object.
    :param score: N object score logits; > 0 means that the object is in the image.
    :param iou: N predicted mask quality, 0..1.
    :param pointer: NxD object pointers.
    """

    logits: Tensor
    score: Tensor
    iou: Tensor
    pointer: Tensor

    def __getitem__(self, rows: Sequence[int]) -> Prediction:
        return Prediction(*(t[list(rows)] for t in self.tensors()))

    @staticmethod
    def cat(parts: Sequence[Prediction]) -> Prediction:
        """Return the predictions one after another."""
        return Prediction(*(torch.cat(f) for f in zip(*(p.tensors() for p in parts), strict=True)))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the fields in their order."""
        return self.logits, self.score, self.iou, self.pointer


class StreamingPredictor:
    """Frames in, masks out; objects join and leave at any time.

    With the same prompts the masks are those of ``SAM2VideoPredictor.propagate_in_video``, as long as no object has
    more than ``prompted_frames`` prompted frames (stock keeps all of them, and slows down with each).

    :param model: SAM 2.1 from ``build_model``.
    :param bf16: run under bfloat16 autocast.
    :param batch_objects: objects stepped together at most; lower it to need less device memory.
    :param prompted_frames: frames with a given mask that an object remembers.
    """

    def __init__(
        self, model: SAM2Base, *, bf16: bool = False, batch_objects: int = 32, prompted_frames: int = 4
    ) -> None:
        self.model = model
        self.device = model.device
        self.batch_objects = batch_objects
        self._bf16 = bf16
        self._prompted_frames = prompted_frames
        self._stopped = False
        self._objects: dict[int, ObjectMemory] = {}
        self._mean = torch.tensor(MEAN, device=self.device)[:, None, None]
        self._std = torch.tensor(STD, device=self.device)[:, None, None]
        side = model.sam_image_embedding_size
        probe = torch.zeros(1, 1, side, side, device=self.device)
        self._place = model.memory_encoder.position_encoding(probe)  # of one memory map, the same for all

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that are stepped."""
        return tuple(self._objects)

    def reset(self) -> None:
        """Forget every object."""
        self._objects.clear()

    def remove(self, ids: Sequence[int]) -> None:
        """Forget these objects; cheap."""
        for i in ids:
            del self._objects[i]

    def stop(self) -> None:
        """Make what is under way in another thread, and all that comes, end by a BackendError."""
        self._stopped = True

    def state_bytes(self) -> int:
        """Return the bytes of device memory that the objects' memories hold."""
        storages = (t.untyped_storage() for o in self._objects.values() for t in o.tensors())
        return sum({s.data_ptr(): s.nbytes() for s in storages}.values())

    @torch.inference_mode()
    def encode(self, image: np.ndarray, index: int) -> Encoding:
        """Return the features of an HxWx3 uint8 BGR image.

        :param index: number of the frame; one more than the last one's.
        """
        pixels = scale(image, self.model.image_size).to(self.device).float() / 255.0
        pixels = (pixels - self._mean) / self._std
        with self._autocast():
            backbone = self.model.forward_image(pixels)
            _, features, positions, sizes = self.model._prepare_backbone_features(backbone)
        return Encoding(index, features, positions, sizes)

    @torch.inference_mode()
    def ask(self, encoding: Encoding, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Prediction]:
        """Prompt the image alone, without any object's memory.

        :param points: BxPx2 float (x, y) in 0..1 of the image.
        :param labels: BxP int: 1 object, 0 not the object, 2 and 3 the corners of a box.
        :return: BxMxsxs logits, BxM predicted qualities of all M masks of each prompt (3 for a single point, else 1),
            and the best of them as a prediction.
        """
        prompt = {
            "point_coords": (points * self.model.image_size).to(self.device),
            "point_labels": labels.to(self.device),
        }
        with self._autocast():
            features = encoding.level(-1) + self.model.no_mem_embed.view(1, -1, 1, 1)
            features = features.expand(len(points), -1, -1, -1)
            masks, ious, best, _ = self._heads(encoding, features, prompt, self.model._use_multimask(True, prompt))
            return masks, ious, best

    @torch.inference_mode()
    def from_masks(self, encoding: Encoding, masks: Tensor) -> Prediction:
        """Return given masks as stock takes a mask prompt, with the object pointers that SAM 2 makes of them.

        :param masks: NxHxW bool, any size.
        """
        size = self.model.image_size
        parts = []
        for chunk in masks.split(self.batch_objects):
            given = chunk[:, None].to(self.device).float()
            if given.shape[-2:] != (size, size):
                scaled = F.interpolate(given, size=(size, size), align_corners=False, mode="bilinear", antialias=True)
                given = (scaled >= 0.5).float()
            features = encoding.level(-1).expand(len(chunk), -1, -1, -1)
            with self._autocast():
                _, _, iou, logits, _, pointer, score = self.model._use_mask_as_output(
                    features, self._fine(encoding), given
                )
            parts.append(Prediction(logits.float(), score[:, 0].float(), iou[:, 0].float(), pointer))
        return Prediction.cat(parts)

    @torch.inference_mode()
    def remember(self, encoding: Encoding, prediction: Prediction) -> list[Moment]:
        """Return what N masks, given in the frame of ``encoding``, leave behind for ``add``.

        :param prediction: from ``from_masks`` or ``ask`` with the same encoding.
        """
        size = self.model.image_size
        count = len(prediction.logits)
        moments = []
        for start in range(0, count, self.batch_objects):
            part = prediction[range(start, min(start + self.batch_objects, count))]
            with self._autocast():
                fine = F.interpolate(part.logits, size=(size, size), mode="bilinear", align_corners=False)
                features = self._remember(encoding, fine, part.score[:, None], prompted=True)
            # Copies: a view would keep the whole batch alive as long as the one object.
            copies = (t.split(1) for t in (features, part.pointer))
            moments += [Moment(f.clone(), p.clone()) for f, p in zip(*copies, strict=True)]
        return moments

    def add(self, ids: Sequence[int], index: int, moments: Sequence[Moment]) -> None:
        """Start objects in frame ``index``, or give known ones another mask to remember; cheap.

        :param moments: of N masks, from ``remember``.
        """
        for i, moment in zip(ids, moments, strict=True):
            memory = self._objects.setdefault(i, ObjectMemory())
            memory.prompted[index] = moment
            memory.recent.pop(index, None)
            self._forget(memory, index)

    @torch.inference_mode()
    def step(self, encoding: Encoding) -> tuple[tuple[int, ...], Prediction | None]:
        """Track all objects into the frame of ``encoding``, but those added in this very frame.

        :return: ids and their masks, or None without any object. A frame may be stepped again, for instance after an
            error: the memories then are as they were before it.
        """
        now = encoding.index
        for known in self._objects.values():
            self._forget(known, now)
        done: list[tuple[Sequence[int], Prediction, Tensor]] = []
        for shape, ids in self._batches(now):
            done.append((ids, *self._step_batch(encoding, shape, ids)))
        for ids, prediction, features in done:
            for row, i in enumerate(ids):
                moment = Moment(features[row : row + 1], prediction.pointer[row : row + 1])
                self._objects[i].recent[now] = moment
        if not done:
            return (), None
        return tuple(i for ids, _, _ in done for i in ids), Prediction.cat([p for _, p, _ in done])

    def _batches(self, now: int) -> Iterator[tuple[Shape, Sequence[int]]]:
        groups: dict[Shape, list[int]] = {}
        for i, memory in self._objects.items():
            if now not in memory.prompted:
                groups.setdefault(memory.shape(now, self.model.max_obj_ptrs_in_encoder), []).append(i)
        for shape, ids in groups.items():
            for start in range(0, len(ids), self.batch_objects):
                yield shape, ids[start : start + self.batch_objects]

    def _step_batch(self, encoding: Encoding, shape: Shape, ids: Sequence[int]) -> tuple[Prediction, Tensor]:
        size = len(ids)
        group = [self._objects[i] for i in ids]
        with self._autocast():
            memory, position, pointers = assemble(self.model, self._place, group, shape, encoding.index)
            fused = self.model.memory_attention(
                curr=[encoding.features[-1].expand(-1, size, -1)],
                curr_pos=[encoding.positions[-1].expand(-1, size, -1)],
                memory=memory,
                memory_pos=position,
                num_obj_ptr_tokens=pointers,
            )
            features = fused.permute(1, 2, 0).unflatten(2, encoding.sizes[-1])
            multimask = self.model._use_multimask(False, None)
            _, _, prediction, fine = self._heads(encoding, features, None, multimask)
            return prediction, self._remember(encoding, fine, prediction.score[:, None], prompted=False)

    def _heads(
        self, encoding: Encoding, features: Tensor, prompt: dict[str, Tensor] | None, multimask: bool
    ) -> tuple[Tensor, Tensor, Prediction, Tensor]:
        masks, _, ious, logits, fine, pointer, score = self.model._forward_sam_heads(
            backbone_features=features,
            point_inputs=prompt,
            high_res_features=self._fine(encoding),
            multimask_output=multimask,
        )
        ious = ious.float()
        return masks, ious, Prediction(logits, score[:, 0].float(), ious.max(dim=1).values, pointer), fine

    def _fine(self, encoding: Encoding) -> list[Tensor]:
        return [encoding.level(i) for i in range(len(encoding.features) - 1)]

    def _remember(self, encoding: Encoding, fine: Tensor, score: Tensor, *, prompted: bool) -> Tensor:
        # The image features have batch size 1 and broadcast against the masks inside the memory encoder.
        features, _ = self.model._encode_new_memory(
            current_vision_feats=encoding.features,
            feat_sizes=encoding.sizes,
            pred_masks_high_res=fine,
            object_score_logits=score,
            is_mask_from_pts=prompted,
        )
        return features.to(torch.bfloat16)  # as stock stores it

    def _forget(self, memory: ObjectMemory, now: int) -> None:
        """Drop what is not read for frame ``now`` and later ones."""
        model = self.model
        memory.forget(now, model.num_maskmem - 1, model.max_obj_ptrs_in_encoder - 1, self._prompted_frames)

    def _autocast(self) -> AbstractContextManager[None]:
        if self._stopped:
            raise BackendError("SAM 2 was stopped")
        # Without its cache of cast weights: all threads share that, but not their streams.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False)


def scale(image: np.ndarray, size: int) -> Tensor:
    """Return an HxWx3 uint8 BGR image as 1x3xSxS uint8 RGB.

    Stock scales by Pillow's bicubic filter; torch's is the same one, several times faster, and differs by rounding in
    less than one pixel of a hundred.
    """
    rgb = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)[None]
    if image.shape[:2] == (size, size):
        return rgb
    return F.interpolate(rgb, size=(size, size), mode="bicubic", antialias=True, align_corners=False)

"""What SAM 2 remembers of each object, bounded, and its assembly into one attention batch for many objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

Shape = tuple[int, tuple[int, ...]]


@dataclass(slots=True)
class Moment:
    """What one object left behind in one frame.

    :param features: 1xCxhxw bfloat16 memory features; None once only the pointer can still be read.
    :param pointer: 1xD object pointer.
    """

    features: Tensor | None
    pointer: Tensor

    def tensors(self) -> Iterator[Tensor]:
        """Yield every tensor that this moment holds."""
        yield self.pointer
        if self.features is not None:
            yield self.features


@dataclass(slots=True)
class ObjectMemory:
    """The moments of one object that stock SAM 2 can still read, by frame index.

    :param prompted: frames in which the mask was given ("conditioning frames"), in the order they came.
    :param recent: the newest frames in which the mask was predicted.
    """

    prompted: dict[int, Moment] = field(default_factory=dict)
    recent: dict[int, Moment] = field(default_factory=dict)

    def shape(self, now: int, pointers: int) -> Shape:
        """Return what decides the size of this memory at frame ``now``; objects with equal shapes share a batch."""
        return len(self.prompted), tuple(k for k in range(1, pointers) if now - k in self.recent)

    def forget(self, now: int, features: int, pointers: int, prompted: int) -> None:
        """Drop what neither frame ``now`` nor a later one reads.

        :param features: frames back to which memory features are read.
        :param pointers: frames back to which pointers are read.
        :param prompted: prompted frames to keep: the first, and the newest.
        """
        for t in [t for t in self.recent if t < now - pointers]:
            del self.recent[t]
        for t, moment in self.recent.items():
            if t < now - features:
                moment.features = None
        for t in list(self.prompted)[1 : 1 + len(self.prompted) - prompted]:
            del self.prompted[t]

    def tensors(self) -> Iterator[Tensor]:
        """Yield every tensor that this memory holds."""
        for moment in (*self.prompted.values(), *self.recent.values()):
            yield from moment.tensors()


def assemble(
    model: SAM2Base, place: Tensor, group: Sequence[ObjectMemory], shape: Shape, now: int
) -> tuple[Tensor, Tensor, int]:
    """Return memory tokens (LxBxC), their position codes (LxBxC) and how many of the L are pointer tokens.

    The same mathematics as ``SAM2Base._prepare_memory_conditioned_features``, for all objects of ``group`` at once;
    that method takes one frame index for all, but objects are prompted in different frames.

    :param place: 1xCxhxw position code of one memory map.
    :param group: B memories of the same ``shape``.
    :param shape: from ``ObjectMemory.shape``.
    :param now: index of the frame to be tracked.
    """
    prompted, offsets = shape
    spatial = [k for k in reversed(offsets) if k < model.num_maskmem]  # the oldest first
    given = list(zip(*(o.prompted.values() for o in group), strict=True))
    recent = {k: tuple(o.recent[now - k] for o in group) for k in offsets}
    slots = given + [recent[k] for k in spatial]
    features = torch.cat([m.features for slot in slots for m in slot if m.features is not None])
    size, channels, tokens = len(group), features.shape[1], features.shape[2] * features.shape[3]
    memory = features.view(len(slots), size, channels, tokens).permute(0, 3, 1, 2).reshape(-1, size, channels)
    code = place.flatten(2).permute(2, 0, 1)
    age = [model.num_maskmem - 1] * prompted + [k - 1 for k in spatial]
    position = torch.cat([code + model.maskmem_tpos_enc[i] for i in age]).expand(-1, size, -1)
    pointers, pointer_position = _pointers(model, group, [*given, *recent.values()], offsets, now)
    return torch.cat([memory, pointers]), torch.cat([position, pointer_position]), len(pointers)


def _pointers(
    model: SAM2Base,
    group: Sequence[ObjectMemory],
    slots: Sequence[tuple[Moment, ...]],
    offsets: Sequence[int],
    now: int,
) -> tuple[Tensor, Tensor]:
    size, width, channels = len(group), model.hidden_dim, model.mem_dim
    tokens = torch.cat([m.pointer for slot in slots for m in slot]).view(len(slots), size, width // channels, channels)
    tokens = tokens.permute(0, 2, 1, 3).flatten(0, 1)
    ages = [[now - t for t in o.prompted] + list(offsets) for o in group]
    age = torch.tensor(ages).to(tokens.device, non_blocking=True).T / (model.max_obj_ptrs_in_encoder - 1)
    position = model.obj_ptr_tpos_proj(get_1d_sine_pe(age, dim=width))
    return tokens, position.repeat_interleave(width // channels, dim=0)

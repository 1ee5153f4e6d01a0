"""Building SAM 2.1 from the package's own configurations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from sam2.build_sam import build_sam2_video_predictor
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def build_model(
    size: str,
    image_size: int,
    device: torch.device,
    weights: Mapping[str, Tensor] | None = None,
    *,
    compiled: bool = False,
) -> SAM2Base:
    """Return SAM 2.1 ready for inference.

    :param size: a key of ``CONFIGS``.
    :param image_size: side in pixels that images are scaled to, a multiple of 64.
    :param weights: the state dictionary; None leaves them random.
    :param compiled: compile the encoder and the memory attention.
    """
    model = build_sam2_video_predictor(
        f"configs/sam2.1/sam2.1_hiera_{CONFIGS[size]}.yaml",
        device="cpu",
        hydra_overrides_extra=[f"++model.image_size={image_size}"],
    )
    model.fill_hole_area = 0  # filling holes needs a CUDA extension that PyPI's package does not have
    if weights is not None:
        model.load_state_dict(weights)
    model = model.to(device)
    if compiled:
        model.image_encoder.forward = torch.compile(model.image_encoder.forward)
        model.memory_attention.forward = torch.compile(model.memory_attention.forward, dynamic=True)
    return model

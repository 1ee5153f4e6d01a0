"""Load SAM 2.1 as the settings say: device, precision, weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from sam2.build_sam import build_sam2_video_predictor
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from cc_ros.errors import BackendError
from cc_ros.tracking.sam2 import constants as const
from cc_ros.tracking.sam2.predictor import StreamingPredictor
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.weights import load_weights

CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
CORES = torch.get_num_threads()  # as torch counts them, before anybody changes it


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" is the first GPU, else the CPU.

    :raises BackendError: torch has no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA says so by an AssertionError
        raise BackendError(f"device {name!r} cannot be used: {error}; use 'auto' or 'cpu'") from error
    return device


def has_bf16(device: torch.device) -> bool:
    """Return whether bfloat16 is faster than float32 there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def batch_size(device: torch.device) -> int:
    """Return how many objects are stepped together: a batch saves launches on a GPU, and nothing on a CPU."""
    if device.type != "cuda":
        return 4
    return int(min(max(torch.cuda.get_device_properties(device).total_memory >> 30, 1), 32))


def load_predictor(settings: Sam2Settings) -> StreamingPredictor:
    """Return SAM 2.1 as ``settings`` ask for it, with its weights.

    :raises BackendError: device or weights cannot be used.
    """
    device = choose_device(settings.device)
    size = settings.image_size or (const.SIZE_ON_GPU if device.type == "cuda" else const.SIZE_ON_CPU)
    if size % 64:
        raise BackendError(f"image_size must be a multiple of 64, got {size}")
    torch.set_num_threads(settings.threads or CORES)
    weights = load_weights(settings)
    bf16 = has_bf16(device) if settings.precision == "auto" else settings.precision == "bf16"
    batch = settings.batch_objects or batch_size(device)
    try:
        model = build_model(settings.model, size, device, weights, compiled=settings.compile)
        return StreamingPredictor(model, bf16=bf16, batch_objects=batch, prompted_frames=settings.prompted_frames)
    except RuntimeError as error:  # torch's: other tensors than the model has, or no memory on the device
        reason = str(error).strip().splitlines()[:2]
        raise BackendError(
            f"SAM 2.1 {settings.model} cannot be set up on {device}: {' '.join(reason)}; "
            "check that the weights are of that size and that the device has memory free"
        ) from error


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

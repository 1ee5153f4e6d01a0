"""Settings of the SAM 2 backend; importable where torch is not."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from cc_ros.settings import knob
from cc_ros.tracking.base import BackendSettings
from cc_ros.tracking.sam2 import constants as const


@dataclass(frozen=True)
class Sam2Settings(BackendSettings):
    """Settings of the SAM 2 backend."""

    title = "SAM 2"
    for_files = MappingProxyType({"discover": "inline"})  # the same file always gives the same result

    model: str = knob("tiny", "size of SAM 2.1", choices=("tiny", "small", "base_plus", "large"))
    weights: str = knob(
        "", "file with SAM 2.1 weights of that size; empty = the official ones, from the cache or the hub"
    )
    download: str = knob(
        "auto",
        "fetch missing weights from the Hugging Face hub: auto = for backend sam2, or where there is a GPU",
        choices=("auto", "always", "never"),
    )
    device: str = knob("auto", "torch device: auto, cpu, cuda, cuda:1, ...; auto = the first GPU, else cpu")
    image_size: int = knob(
        0, "side in pixels that images are scaled to, a multiple of 64; 0 = 1024 on a GPU, 384 on a CPU", ge=0, le=2048
    )
    precision: str = knob(
        "auto", "arithmetic: auto = bf16 where the hardware has it, else fp32", choices=("auto", "fp32", "bf16")
    )
    compile: bool = knob(False, "torch.compile the encoder and the memory attention: slow first frames, then faster")
    batch_objects: int = knob(
        0, "objects stepped together; 0 = one a GiB of the GPU's memory up to 32, on a CPU 4", ge=0, le=1024
    )
    threads: int = knob(
        0, "torch's CPU threads; 0 = one a core, and half of them where auto runs without a GPU", ge=0, le=1024
    )
    max_objects: int = knob(
        0, "objects tracked at the same time; 0 = 40 on a GPU, 16 on a CPU, whose time grows with each", ge=0, le=1024
    )
    prompted_frames: int = knob(
        4, "frames with a given mask that an object remembers; the first always stays", ge=2, le=64
    )
    discover: str = knob(
        "idle",
        "search for new objects: idle = between frames, for cameras; inline = within the frame, for files; off",
        choices=("idle", "inline", "off"),
    )
    points_per_side: int = knob(
        0, "discovery asks at this many points along each side of the image; 0 = 16 on a GPU, 8 on a CPU", ge=0, le=64
    )
    prompts_per_chunk: int = knob(16, "discovery asks at this many points in one go, between two frames", ge=1, le=1024)
    discover_every: int = knob(10, "frames between two searches for new objects", ge=1, le=10000)
    min_iou: float = knob(0.75, "smallest mask quality (predicted IoU) of a new object", ge=0.0, le=1.0)
    min_stability: float = knob(0.85, "smallest stability of a new object's mask", ge=0.0, le=1.0)
    min_area: float = knob(0.002, "smallest new object, share of the image", ge=0.0, le=1.0)
    max_area: float = knob(0.3, "largest new object, share of the image; larger regions are background", ge=0.0, le=1.0)
    patience: int = knob(
        60, "frames out of sight after which an object is no longer stepped but searched for", ge=1, le=100000
    )
    max_lost: int = knob(200, "lost objects that are remembered", ge=0, le=10000)
    min_similarity: float = knob(
        0.5, "smallest similarity (cosine) at which a new mask can be a lost object", ge=-1.0, le=1.0
    )

    @property
    def view_width(self) -> int:
        """Width in pixels of the images that the backend works on."""
        return self.image_size or const.SIZE_ON_GPU

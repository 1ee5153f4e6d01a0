"""What the paper published (CVPR 2025, arXiv 2408.00754), to stand beside what is measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One row of a table of the paper.

    :param marks: whether the pictures carried marks.
    :param metrics: by the names used here, in the units of the paper (mostly percent).
    """

    model: str
    frames: int
    marks: bool
    metrics: Mapping[str, float]


def _captions(*values: float) -> dict[str, float]:
    return dict(zip(("BLEU-1", "BLEU-2", "METEOR", "ROUGE-L", "CIDEr"), values, strict=True))


def _sot(*values: float) -> dict[str, float]:
    return dict(zip(("forward", "reverse", "harmonic"), values, strict=True))


def _r2r(*values: float) -> dict[str, float]:
    return dict(zip(("SR", "oracle SR", "SPL", "TL", "NE"), values, strict=True))


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "sot": (
        Published("GPT-4o", 2, False, _sot(58.2, 50.0, 53.8)),
        Published("GPT-4o", 2, True, _sot(71.6, 70.6, 71.1)),
        Published("GPT-4o", 4, False, _sot(58.0, 50.4, 53.9)),
        Published("GPT-4o", 4, True, _sot(71.2, 71.2, 71.2)),
    ),
    "scanqa": (
        Published("GPT-4V", 8, False, _captions(28.6, 13.4, 13.5, 33.4, 59.6)),
        Published("GPT-4V", 8, True, _captions(39.7, 25.5, 17.4, 40.8, 79.2)),
        Published("GPT-4o", 4, False, _captions(30.5, 19.8, 14.8, 36.1, 72.2)),
        Published("GPT-4o", 4, True, _captions(35.4, 25.5, 18.0, 42.6, 87.0)),
        Published("Gemini", 8, False, _captions(24.1, 13.5, 11.3, 35.4, 68.3)),
        Published("Gemini", 8, True, _captions(25.4, 15.7, 12.0, 37.1, 75.5)),
        Published("Claude", 8, False, _captions(19.8, 11.1, 10.0, 29.3, 57.7)),
        Published("Claude", 8, True, _captions(27.1, 23.9, 11.7, 33.1, 65.7)),
    ),
    "openeqa": (
        Published("GPT-4V", 8, False, {"LLM match": 44.8}),
        Published("GPT-4V", 8, True, {"LLM match": 58.5}),
        Published("GPT-4o", 4, False, {"LLM match": 49.4}),
        Published("GPT-4o", 4, True, {"LLM match": 59.1}),
    ),
    "egoschema": (
        Published("GPT-4V", 8, False, {"accuracy": 64.2}),
        Published("GPT-4V", 8, True, {"accuracy": 67.4}),
        Published("GPT-4o", 8, False, {"accuracy": 67.2}),
        Published("GPT-4o", 8, True, {"accuracy": 73.2}),
    ),
    "sqa3d": (
        Published("LLaVA", 8, False, {"EM": 36.0}),
        Published("LLaVA", 8, True, {"EM": 39.13}),
    ),
    "r2r": (
        Published("GPT-4o", 1, False, _r2r(12, 18, 10.37, 7.31, 8.49)),
        Published("GPT-4o", 1, True, _r2r(23, 29, 21.03, 8.12, 7.37)),
    ),
}

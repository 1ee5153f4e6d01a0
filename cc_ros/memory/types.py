"""What the memory is asked for and keeps besides keyframes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cc_ros.keyframes.store import KeptFrame
from cc_ros.memory.captions import Vector


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer and evidence.

    :param stamp: seconds since 1970.
    :param marks: numbers of the objects that the answer is about.
    :param keyframes: stamps of the keyframes that it was answered from.
    """

    stamp: float
    question: str
    answer: str
    message: str = ""
    status: int = 0
    kind: str = ""
    source: str = ""
    model: str = ""
    confidence: float = 0.0
    marks: tuple[int, ...] = ()
    keyframes: tuple[float, ...] = ()

    @classmethod
    def of(cls, question: str, answer: Any, stamp: float, keyframes: tuple[float, ...]) -> Asked:
        """Return a question with what is worth keeping of its answer.

        :param answer: a :class:`cc_ros.reasoning.Answer`; this package knows no more of it than these fields.
        """
        return cls(
            stamp=stamp,
            question=question,
            answer=answer.text,
            message=answer.message,
            status=int(answer.status),
            kind=answer.kind,
            source=answer.source,
            model=answer.usage.model,
            confidence=answer.confidence,
            marks=tuple(answer.mark_ids),
            keyframes=keyframes,
        )


@dataclass(frozen=True, slots=True)
class Caption:
    """What a model said of a keyframe.

    :param keyframe: its row.
    :param stamp: of the keyframe, seconds since 1970.
    :param model: that said it.
    """

    keyframe: int
    stamp: float
    caption: str
    model: str


Keep = Callable[[int, str, str, Vector | None], None]
"""Takes a keyframe's row, its caption, the model that made it, and the caption as a vector."""


class Captioning(Protocol):
    """What a memory has its keyframes captioned by. Thread-safe."""

    def offer(self, keyframe: int, stamp: float, frame: KeptFrame) -> None:
        """Take in a keyframe that was written; returns at once."""

    def vector(self, text: str) -> Vector | None:
        """Return a text as a vector; None where no model makes any, or not in time."""

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits for its caption; return whether it is so."""

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return a trouble for people ("" = none) and figures."""

    def close(self) -> None:
        """End; what waits for its caption gets none."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode as ``cc-ros memory list`` shows it.

    :param begin: seconds since 1970, and so ``end``.
    :param source: what was recorded.
    :param world: frame of its poses; "" without any.
    """

    id: int
    begin: float
    end: float
    source: str
    world: str
    keyframes: int = 0
    objects: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TrackKey:
    """What names a track within an episode: its id in the maps, and when it got it (seconds within the episode)."""

    id: int
    first_seen: float = -1.0

"""What the memory is asked for and keeps besides keyframes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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

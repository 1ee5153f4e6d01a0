"""Why a model's reply is no answer; the model is told, and asked again."""

from __future__ import annotations

from collections.abc import Sequence


class Unusable(ValueError):
    """A reply that is no answer to the question; its text says why, and is shown to the model."""


class NotAReply(Unusable):
    """A text that is meant to be JSON but cannot be read as a reply, or holds no answer at all."""


class Invented(ValueError):
    """A reply that names marks which no picture shows.

    :param ids: those marks.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(f"it names mark {', '.join(map(str, ids))}")
        self.ids = tuple(ids)

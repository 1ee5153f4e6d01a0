"""One question under way: its deadline, whether it was cancelled, and its keyframes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from cc_ros.errors import CCError
from cc_ros.geometry.queries import Query
from cc_ros.keyframes import KeyframeRequest, KeyframeSet, MarkedKeyframe
from cc_ros.reasoning.kinds import KINDS, Form, KindSpec, kind_of
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.measured import questions
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.types import Exchanged, KeyframeSource, Kind, Progress, Question, Status, Style


class Flag(Protocol):
    """Something that can be set, such as a :class:`threading.Event`."""

    def is_set(self) -> bool:
        """Whether it is set."""


class Context:
    """What answering one question needs to know besides the question.

    :param question: as it came.
    :param settings: what applies where it says nothing.
    :param keyframes: the pictures, or what comes up with them.
    :param on_progress: to be told how it gets on.
    :param cancelled: set once nobody wants the answer any more.
    :param closed: set once the reasoner shuts down.
    :param on_exchange: to be told what is sent and what comes back.
    """

    def __init__(
        self,
        question: Question,
        settings: ReasonerSettings,
        keyframes: KeyframeSource | Sequence[MarkedKeyframe],
        on_progress: Progress | None,
        cancelled: Flag | None,
        closed: Flag,
        on_exchange: Exchanged | None = None,
    ) -> None:
        self._start = time.monotonic()
        self.question = question
        self.deadline = self._start + (question.timeout or settings.timeout)
        self.style_name = question.style or settings.style
        self._settings = settings
        self._keyframes = keyframes
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._closed = closed
        self._on_exchange = on_exchange
        self._seen: dict[str, KeyframeSet] = {}

    @property
    def kind_name(self) -> str:
        """The kind of the question in a word, valid or not."""
        return self.question.kind or self.kind.value

    @cached_property
    def kind(self) -> Kind:
        """The kind of the question, which must be valid."""
        return kind_of(self.question)

    @property
    def spec(self) -> KindSpec:
        """What there is to know about its kind, which must be valid."""
        return KINDS[self.kind]

    @cached_property
    def asked(self) -> Query | None:
        """What it asks about marks; None = it is no question about marks alone."""
        return questions.read(self.question.text)

    @property
    def measurable(self) -> bool:
        """Whether it is one that geometry may answer."""
        return type(self.asked) in self.spec.measured

    @property
    def style(self) -> Style:
        """The style that applies, which must be valid."""
        return Style(self.style_name)

    def elapsed(self) -> float:
        """Return the seconds since the question came."""
        return time.monotonic() - self._start

    def stop(self) -> None:
        """Raise a ModelFault where there is no use in going on: CANCELLED or CLOSED."""
        if self._closed.is_set():
            raise ModelFault(Status.CLOSED, "the reasoner is shutting down")
        if self._cancelled is not None and self._cancelled.is_set():
            raise ModelFault(Status.CANCELLED, "the question was cancelled")

    def progress(self, stage: str, text: str) -> None:
        """Tell how it gets on."""
        if self._on_progress is not None:
            self._on_progress(stage, text)

    def exchanged(self, messages: Sequence[Mapping[str, Any]], reply: str) -> None:
        """Tell what was sent to the model, and what it replied."""
        if self._on_exchange is not None:
            self._on_exchange(messages, reply)

    def seen(self, style: Style, blur: tuple[int, ...]) -> KeyframeSet:
        """Return the keyframes.

        :param style: how they are marked.
        :param blur: ids of objects to be made unrecognisable.
        :raises ModelFault: NO_KEYFRAMES with what the source of keyframes raises, or they are not wanted any more.
        """
        if not callable(self._keyframes):
            return KeyframeSet(tuple(self._keyframes))
        marked_as = style.of_pictures
        if marked_as in self._seen:
            return self._seen[marked_as]
        question, settings = self.question, self._settings
        wanted = {field.name: getattr(question, field.name) for field in dataclasses.fields(KeyframeRequest)}
        wanted["frames"] = 1 if self.spec.form is Form.MOVE else question.frames or settings.frames
        wanted["marks"] = question.marks or settings.marks
        wanted["style"] = marked_as
        try:
            seen = self._keyframes(KeyframeRequest(**wanted), blur, max(0.0, self.deadline - time.monotonic()))
        except ModelFault:
            raise
        except CCError as error:
            raise ModelFault(Status.NO_KEYFRAMES, f"the keyframes cannot be used: {error}") from error
        self._seen[marked_as] = seen
        self.stop()
        return seen

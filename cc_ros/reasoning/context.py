"""One question under way: its deadline, whether it was cancelled, and its keyframes."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from cc_ros.reasoning.when import span_in

EVER = 1.0  # seconds since 1970: all that is remembered


class Flag(Protocol):
    """Something that can be set, such as a :class:`threading.Event`."""

    def is_set(self) -> bool:
        """Whether it is set."""


@dataclass
class Context:
    """What answering one question needs to know besides the question.

    :param question: as it came.
    :param settings: what applies where it says nothing.
    :param keyframes: the pictures, or what comes up with them.
    :param on_progress: to be told how it gets on.
    :param cancelled: set once nobody wants the answer any more.
    :param closed: set once the reasoner shuts down.
    :param now: seconds since 1970, by the clock of the stream.
    :ivar begun: when it came, on the clock of ``time.monotonic``.
    :ivar question: with the time that its words name, where it gives none by itself.
    :ivar plain: the same without those words.
    :param on_exchange: to be told what is sent and what comes back.
    :param blur: ids of objects to be made unrecognisable.
    """

    question: Question
    settings: ReasonerSettings
    keyframes: KeyframeSource | Sequence[MarkedKeyframe]
    on_progress: Progress | None
    cancelled: Flag | None
    closed: Flag
    now: float
    on_exchange: Exchanged | None = None
    blur: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.deadline = self.begun + (self.question.timeout or self.settings.timeout)
        self.style_name = self.question.style or self.settings.style
        self.question, self.plain = _with_window(self.question, self.now)
        self._seen: dict[str, KeyframeSet] = {}

    @property
    def kind_name(self) -> str:
        """The kind of the question in a word, valid or not."""
        return self.question.kind or self.kind.value

    @cached_property
    def kind(self) -> Kind:
        """The kind of the question, which must be valid."""
        return kind_of(self.plain)

    @property
    def spec(self) -> KindSpec:
        """What there is to know about its kind, which must be valid."""
        return KINDS[self.kind]

    @cached_property
    def asked(self) -> Query | None:
        """What it asks about marks; None = it is no question about marks alone."""
        return questions.read(self.plain.text)

    @property
    def measurable(self) -> bool:
        """Whether it is one that geometry may answer."""
        return type(self.asked) in self.spec.measured

    @property
    def style(self) -> Style:
        """The style that applies, which must be valid."""
        return Style(self.style_name)

    @property
    def told(self) -> str:
        """The question as a model is told it: with the time that its pictures are of, where one is asked for."""
        since, until = self.question.since, self.question.until
        parts = [
            f"from {datetime.fromtimestamp(since):%A %Y-%m-%d %H:%M} on" if since > 1 else "",
            f"up to {datetime.fromtimestamp(until):%A %Y-%m-%d %H:%M}" if until else "",
        ]
        said = " ".join(part for part in parts if part)
        if not said:
            return self.question.text
        now = f"now it is {datetime.fromtimestamp(self.now):%A %Y-%m-%d %H:%M}"
        return f"{self.question.text}\n(The pictures were taken {said}; {now}.)"

    def stop(self) -> None:
        """Raise a ModelFault where there is no use in going on: CANCELLED or CLOSED."""
        if self.closed.is_set():
            raise ModelFault(Status.CLOSED, "the reasoner is shutting down")
        if self.cancelled is not None and self.cancelled.is_set():
            raise ModelFault(Status.CANCELLED, "the question was cancelled")

    def progress(self, stage: str, text: str) -> None:
        """Tell how it gets on."""
        if self.on_progress is not None:
            self.on_progress(stage, text)

    def exchanged(self, messages: Sequence[Mapping[str, Any]], reply: str) -> None:
        """Tell what was sent to the model, and what it replied."""
        if self.on_exchange is not None:
            self.on_exchange(messages, reply)

    def seen(self, style: Style) -> KeyframeSet:
        """Return the keyframes.

        :param style: how they are marked.
        :raises ModelFault: NO_KEYFRAMES with what the source of keyframes raises, or they are not wanted any more.
        """
        if not callable(self.keyframes):
            return KeyframeSet(tuple(self.keyframes))
        marked_as = style.of_pictures
        if marked_as in self._seen:
            return self._seen[marked_as]
        question, settings = self.question, self.settings
        wanted = {field.name: getattr(question, field.name) for field in dataclasses.fields(KeyframeRequest)}
        wanted["frames"] = 1 if self.spec.form is Form.MOVE else question.frames or settings.frames
        wanted["marks"] = question.marks or settings.marks
        wanted["style"] = marked_as
        if question.reaches_back:
            wanted["words"] = question.words or self.plain.text
        seen = self._seen[marked_as] = self.fetched(KeyframeRequest(**wanted))
        self.stop()
        return seen

    def remembered(self, mark: int, style: Style) -> KeyframeSet:
        """Return what the memory knows of an object, or of all (0), in the window of the question, and one picture.

        Nothing where there is no memory, or it knows nothing of it.
        """
        if not callable(self.keyframes):
            return KeyframeSet(())
        since = self.question.since or (0.0 if mark else EVER)
        window = {"since": since, "until": self.question.until, "episode": self.question.episode, "near": mark}
        request = KeyframeRequest(frames=1, style=style.of_pictures, **window)  # type: ignore[arg-type]
        try:
            return self.fetched(request)
        except ModelFault as fault:
            if fault.status is not Status.NO_KEYFRAMES:
                raise
            return KeyframeSet(())

    def looked(self, frames: int, *, since: float = 0.0, until: float = 0.0, near: int = 0) -> KeyframeSet:
        """Return keyframes of the memory, marked as those of the question.

        :param frames: how many at most.
        :param since: seconds since 1970, and so ``until``; 0 = open.
        :param near: only those that show this mark; 0 = any.
        :raises ModelFault: NO_KEYFRAMES with what the source of keyframes raises, or they are not wanted any more.
        """
        marks, style = self.question.marks or self.settings.marks, self.style.of_pictures
        found = self.fetched(
            KeyframeRequest(frames=frames, marks=marks, style=style, since=since, until=until, near=near)
        )
        self.stop()
        return found

    def fetched(self, request: KeyframeRequest) -> KeyframeSet:
        """Return the keyframes of a request, within the question's deadline.

        :raises ModelFault: NO_KEYFRAMES with what the source of keyframes raises.
        """
        assert callable(self.keyframes)
        try:
            return self.keyframes(request, self.blur, max(0.0, self.deadline - time.monotonic()))
        except ModelFault:
            raise
        except CCError as error:
            raise ModelFault(Status.NO_KEYFRAMES, f"the keyframes cannot be used: {error}") from error


def _with_window(question: Question, now: float) -> tuple[Question, Question]:
    """Return a question with the time that its words name, and the same without these words."""
    given = question.since or question.until or question.episode
    if given or question.kind == Kind.NAVIGATE.value:
        return question, question
    span = span_in(question.text, now)
    if span is None:
        return question, question
    asked = dataclasses.replace(question, since=span.since, until=span.until)
    present = re.sub(r"(?i)\bwas\b", "is", re.sub(r"(?i)\bwere\b", "are", span.rest))  # the grammar's tense
    return asked, dataclasses.replace(asked, text=present)

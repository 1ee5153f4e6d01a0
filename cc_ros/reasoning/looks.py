"""Looks into the memory: by tools a model asks for pictures of another time, or of an object, and is shown them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cc_ros.errors import ImageError
from cc_ros.keyframes import KeyframeSet
from cc_ros.reasoning.context import Context
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.measured.tools import Result, arguments_of, refused
from cc_ros.reasoning.prompts.images import Picture, PictureStore
from cc_ros.reasoning.prompts.messages import Message, Writer
from cc_ros.reasoning.types import Status, Usage, sendable
from cc_ros.reasoning.when import instant

MOST = 2  # looks of one question
FRAMES = 4  # pictures of one look
LOOK, LOOK_NEAR = "look", "look_near"
LARGEST_MARK = 65535
_TIME = "such as 2026-11-26 08:30, 08:30, yesterday, this morning, 2 hours ago"


def look_definitions() -> tuple[dict[str, Any], ...]:
    """Return both tools as the chat completions API has them."""
    times = {
        "from": {"type": "string", "description": f"begin, {_TIME}"},
        "to": {"type": "string", "description": f"end, {_TIME}; without it, until now"},
    }
    mark = {"mark": {"type": "integer", "description": "number of the object"}}
    return (
        _tool(LOOK, "Show pictures that the robot took in a span of time.", times, "from"),
        _tool(LOOK_NEAR, "Show earlier pictures in which an object is seen.", mark, "mark"),
    )


def _tool(name: str, what: str, properties: Mapping[str, Any], needed: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": [needed], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": what, "parameters": schema}}


class Looks:
    """The looks of one question; for one thread at a time.

    :param context: the question, which fetches keyframes within its deadline.
    :param pictures: encodes them.
    :param writer: writes messages for the endpoint.
    :ivar ids: the marks that were shown by looks.
    :ivar sent: the pictures.
    :ivar facts: for people: what was looked at.
    """

    def __init__(self, context: Context, pictures: PictureStore, writer: Writer) -> None:
        self.ids: set[int] = set()
        self.sent: list[Picture] = []
        self.facts: list[str] = []
        self._context = context
        self._pictures = pictures
        self._writer = writer
        self._count = 0

    @property
    def size(self) -> Usage:
        """What the pictures add to a request."""
        return self._writer.size(self.sent)

    def look(self, name: str, arguments: str) -> tuple[Result, Message | None]:
        """Answer a call of :data:`LOOK` or :data:`LOOK_NEAR`, whatever it holds.

        :return: what the call brought, and the message that shows the pictures, where there are any.
        :raises ModelFault: the question is not wanted any more.
        """
        if self._count >= MOST:
            return refused(name, f"there are {MOST} looks for a question; answer from what was shown"), None
        try:
            window = self._window(name, arguments_of(arguments))
        except ValueError as error:
            return refused(name, str(error)), None
        self._count += 1
        try:
            seen = self._context.looked(FRAMES, **window)
            pictures = self._pictures.get_all(seen.keyframes)
        except ModelFault as fault:
            if fault.status is not Status.NO_KEYFRAMES:
                raise
            return refused(name, str(fault)), None
        except ImageError as error:
            return refused(name, str(error)), None
        if not pictures:
            return refused(name, "there are no pictures of that"), None
        return self._shown(name, seen, pictures)

    def _window(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a call asks for, as :meth:`Context.looked` takes it.

        :raises ValueError: it makes no sense.
        """
        known = ("mark",) if name == LOOK_NEAR else ("from", "to")
        for other in given:
            if other not in known:
                raise ValueError(f"{other!r} is none of its arguments; they are {', '.join(known)}")
        if name == LOOK_NEAR:
            mark = given.get("mark")
            if not isinstance(mark, int) or isinstance(mark, bool) or not 1 <= mark <= LARGEST_MARK:
                raise ValueError(f"mark must be the number of an object, not {mark!r}")
            return {"near": mark}
        begin, end = given.get("from"), given.get("to", "")
        if not isinstance(begin, str) or not isinstance(end, str):
            raise ValueError(f"from and to must be times, {_TIME}")
        now = self._context.now
        since = max(1.0, instant(begin, now)[0])
        until = instant(end, now)[1] if end else 0.0
        if until and until < since:
            raise ValueError("to is before from")
        return {"since": since, "until": until}

    def _shown(self, name: str, seen: KeyframeSet, pictures: list[Picture]) -> tuple[Result, Message]:
        lines = []
        for number, frame in enumerate(seen.keyframes, 1):
            marks = ", ".join(str(mark.id) for mark in frame.marks) or "none"
            self.ids.update(mark.id for mark in frame.marks)
            lines.append(f"{number}: {datetime.fromtimestamp(frame.stamp):%A %Y-%m-%d %H:%M:%S}, marks {marks}")
        first, last = (datetime.fromtimestamp(seen.keyframes[at].stamp) for at in (0, -1))
        fact = f"{len(pictures)} pictures of {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        self.sent += pictures
        self.facts.append(fact)
        text = f"What {name} shows, taken at:\n" + "\n".join(lines)
        content = f'{{"pictures": {len(pictures)}, "shown": "in the next message"}}'
        return Result(content, sendable(fact), told=True), self._writer.user(pictures, text)

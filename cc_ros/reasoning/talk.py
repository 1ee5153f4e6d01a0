"""The conversation of one question: rounds in which the model measures or looks by tools, until it says something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cc_ros.reasoning.llm.budget import CHARACTERS_A_TOKEN, UsageCount
from cc_ros.reasoning.looks import LOOK, LOOK_NEAR, Looks, look_definitions
from cc_ros.reasoning.measured import tools
from cc_ros.reasoning.prompts.messages import Message
from cc_ros.reasoning.replies import reply as replies
from cc_ros.reasoning.types import Usage

if TYPE_CHECKING:
    from cc_ros.geometry import SceneMap
    from cc_ros.reasoning.context import Context
    from cc_ros.reasoning.llm.client import Completion
    from cc_ros.reasoning.llm.retry import RetryingClient
    from cc_ros.reasoning.llm.tool_calls import ToolCall

ROUNDS = 4  # of measuring and looking, after which the model has to answer
CALLS = 8  # of one round that are answered


@dataclass(frozen=True, slots=True)
class Task:
    """What is sent for a question, and the marks that the reply may name.

    :param ids: marks that the pictures show.
    :param system: the system prompt.
    :param turns: the messages after it, the last one with the question.
    :param size: of all this.
    :param scene: that the model may measure in by tools; None = it gets none.
    :param looks: by which it may look into the memory; None = it may not.
    """

    ids: Collection[int]
    system: str
    turns: Sequence[Message]
    size: Usage
    scene: SceneMap | None = None
    looks: Looks | None = None

    @property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """What the model may call."""
        measuring = tools.definitions() if self.scene is not None else ()
        return (*measuring, *(look_definitions() if self.looks is not None else ()))

    @property
    def shown(self) -> set[int]:
        """The marks that the model has been shown."""
        return {*self.ids, *(self.looks.ids if self.looks is not None else ())}


@dataclass
class Talk:
    """What was said so far, and how more is asked for.

    :param count: of all requests.
    :param progress: told a stage and a text.
    :param shape: response_format of a reply that may name these marks.
    :ivar facts: for people: what was measured.
    """

    client: RetryingClient
    context: Context
    task: Task
    count: UsageCount
    progress: Callable[[str, str], None]
    shape: Callable[[Collection[int]], dict[str, Any] | None]
    temperature: float
    messages: list[Message]
    facts: list[str] = field(default_factory=list)
    _rounds: int = 0
    _more: int = 0  # characters that tools added to the prompt, beside pictures

    async def reply(self) -> Completion:
        """Return what the model says once it has measured and looked; calls are left in it only where it will not stop.

        :raises ModelFault: there is no reply.
        """
        from cc_ros.reasoning.llm.client import ChatRequest

        show = _Shown(self.progress)
        offered = self.task.tools
        while True:
            calling = self._rounds < ROUNDS
            shape = self.shape(self.task.shown)
            request = ChatRequest(self.messages, shape, self.temperature, offered, calling)
            tokens = self.task.size.estimated_tokens + self._more // CHARACTERS_A_TOKEN
            if self.task.looks is not None:
                tokens += self.task.looks.size.estimated_tokens
            done = await self.client.complete(request, tokens, self.context.deadline, self.count, show)
            self.context.exchanged(self.messages, done.text)
            if not done.calls or not calling:
                return done
            self._rounds += 1
            await self._answer(done)

    async def _answer(self, done: Completion) -> None:
        """Answer the calls of a reply, in a thread: other questions must not wait for them."""
        from cc_ros.reasoning.llm.tool_calls import result_message

        added: list[Message] = [done.calls.message(done.text)]
        pictures: list[Message] = []
        for number, call in enumerate(done.calls):
            if number < CALLS:
                content, shown = await asyncio.to_thread(self._called, call)
                pictures += [] if shown is None else [shown]
            else:
                content = f'{{"error": "more than {CALLS} calls at once; call again"}}'
            added.append(result_message(call, content))
        self._more += sum(len(str(message)) for message in added)
        self.messages = [*self.messages, *added, *_as_one(pictures)]

    def _called(self, call: ToolCall) -> tuple[str, Message | None]:
        """Return what a call brings, and the message with its pictures.

        :raises ModelFault: the question is not wanted any more.
        """
        scene, look = self.task.scene, self.task.looks
        if look is not None and call.name in (LOOK, LOOK_NEAR):
            found, shown = look.look(call.name, call.arguments)
            self.progress("looking", found.fact)
            return found.content, shown
        if scene is None:
            names = ", ".join(tool["function"]["name"] for tool in self.task.tools)
            return tools.refused(call.name, f"there is no such tool; there are {names}").content, None
        found = tools.call(call.name, call.arguments, scene)
        self.progress("measuring", found.fact)
        if found.told and found.fact not in self.facts:
            self.facts.append(found.fact)
        return found.content, None


def _as_one(pictures: Sequence[Message]) -> list[Message]:
    """Return messages with pictures as one: templates refuse two turns of the user in a row."""
    parts = [part for message in pictures for part in message["content"]]
    return [{"role": "user", "content": parts}] if parts else []


class _Shown:
    """Passes on how a reply grows, no more often than people can follow."""

    INTERVAL = 0.05
    SHARE = 20  # at most one part of so many of the time goes into it

    def __init__(self, progress: Callable[[str, str], None]) -> None:
        self._progress = progress
        self._started = False
        self._next = 0.0

    def __call__(self, stage: str, so_far: Completion) -> None:
        if stage != "text":
            self._started, self._next = False, 0.0
            self._progress("retrying" if stage == "retry" else stage, "")
            return
        now = time.monotonic()
        if self._started and now < self._next:
            return
        stage = "answering" if self._started else "first_token"
        self._started = True
        self._progress(stage, replies.text_so_far(so_far.text))
        took = time.monotonic() - now
        self._next = now + max(self.INTERVAL, self.SHARE * took)  # a long text must not keep other questions waiting

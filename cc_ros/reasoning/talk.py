"""The conversation of one question: rounds in which the model measures by tools, until it says something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cc_ros.reasoning.llm.budget import CHARACTERS_A_TOKEN, UsageCount
from cc_ros.reasoning.measured import tools
from cc_ros.reasoning.prompts.messages import Message
from cc_ros.reasoning.replies import reply as replies
from cc_ros.reasoning.types import Usage

if TYPE_CHECKING:
    from cc_ros.geometry import SceneMap
    from cc_ros.reasoning.context import Context
    from cc_ros.reasoning.llm.client import Completion
    from cc_ros.reasoning.llm.retry import RetryingClient

ROUNDS = 4  # of measuring, after which the model has to answer
CALLS = 8  # of one round that are answered


@dataclass(frozen=True, slots=True)
class Task:
    """What is sent for a question, and the marks that the reply may name.

    :param ids: marks that the pictures show.
    :param system: the system prompt.
    :param turns: the messages after it, the last one with the question.
    :param size: of all this.
    :param scene: that the model may measure in by tools; None = it gets none.
    """

    ids: Collection[int]
    system: str
    turns: Sequence[Message]
    size: Usage
    scene: SceneMap | None = None


@dataclass
class Talk:
    """What was said so far, and how more is asked for.

    :param count: of all requests.
    :param progress: told a stage and a text.
    :param shape: response_format.
    :ivar facts: for people: what was measured.
    """

    client: RetryingClient
    context: Context
    task: Task
    count: UsageCount
    progress: Callable[[str, str], None]
    shape: dict[str, Any] | None
    temperature: float
    messages: list[Message]
    facts: list[str] = field(default_factory=list)
    _rounds: int = 0
    _more: int = 0  # characters that measuring added to the prompt

    async def reply(self) -> Completion:
        """Return what the model says once it has measured; calls are left in it only where it will not stop.

        :raises ModelFault: there is no reply.
        """
        from cc_ros.reasoning.llm.client import ChatRequest

        show = _Shown(self.progress)
        offered = tools.definitions() if self.task.scene is not None else ()
        while True:
            calling = self._rounds < ROUNDS
            request = ChatRequest(self.messages, self.shape, self.temperature, offered, calling)
            tokens = self.task.size.estimated_tokens + self._more // CHARACTERS_A_TOKEN
            done = await self.client.complete(request, tokens, self.context.deadline, self.count, show)
            self.context.exchanged(self.messages, done.text)
            if not done.calls or not calling:
                return done
            self._rounds += 1
            await self._measure(done)

    async def _measure(self, done: Completion) -> None:
        """Answer the calls of a reply, in a thread: other questions must not wait for them."""
        from cc_ros.reasoning.llm.tool_calls import result_message

        scene = self.task.scene
        assert scene is not None
        added: list[Message] = [done.calls.message(done.text)]
        for number, call in enumerate(done.calls):
            if number < CALLS:
                found = await asyncio.to_thread(tools.call, call.name, call.arguments, scene)
                self.progress("measuring", found.fact)
                if found.told and found.fact not in self.facts:
                    self.facts.append(found.fact)
                content = found.content
            else:
                content = f'{{"error": "more than {CALLS} calls at once; call again"}}'
            added.append(result_message(call, content))
        self._more += sum(len(str(message)) for message in added)
        self.messages = [*self.messages, *added]


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

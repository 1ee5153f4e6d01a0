"""One question with a model: what is sent, what it measures, how its reply is read, and asking again once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cc_ros.reasoning.kinds import Form
from cc_ros.reasoning.llm.budget import Budget, UsageCount
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.prompts.messages import Message, Writer, assistant, text_part
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.replies import reply as replies
from cc_ros.reasoning.replies.check import check
from cc_ros.reasoning.replies.reply import Invented, NotAReply, Unusable
from cc_ros.reasoning.replies.thoughts import spoken
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.talk import Talk, Task
from cc_ros.reasoning.types import Answer, Status, Usage

if TYPE_CHECKING:
    from cc_ros.reasoning.context import Context
    from cc_ros.reasoning.llm.client import Completion
    from cc_ros.reasoning.llm.retry import RetryingClient

_CUT_OFF = "the reply was cut off at max_answer_tokens"
_ALL_THOUGHT = "the model's thoughts used up max_answer_tokens before it said anything; set it higher"


@dataclass(frozen=True)
class ReaskLoop:
    """Asks a model and checks what it says.

    :param settings: of the reasoner.
    :param structured: how JSON is asked for: "json_schema", "json_object" or "told".
    :param writer: writes messages for the endpoint.
    :param prompts: the texts.
    :param budget: tells costs.
    """

    settings: ReasonerSettings
    structured: str
    writer: Writer
    prompts: Prompts
    budget: Budget

    async def run(
        self,
        client: RetryingClient,
        context: Context,
        task: Task,
        count: UsageCount,
        progress: Callable[[str, str], None],
    ) -> Answer:
        """Return a checked answer.

        :raises ModelFault: there is none.
        """
        own = context.spec.fields(context.question.choices)

        def parts(ids: Collection[int]) -> dict[str, dict[str, Any]]:
            return replies.fields(own, context.style, sorted(ids))

        def shape(ids: Collection[int]) -> dict[str, Any] | None:
            return replies.response_format(self.structured, parts(ids))

        messages = self.writer.messages(task.system, self._with_format(task.turns, parts(task.ids)))
        talk = Talk(client, context, task, count, progress, shape, self.settings.temperature, messages)
        for last in (False, True):
            done = await talk.reply()
            try:
                if done.calls:
                    raise Unusable("it calls tools where an answer is due")
                return _named(self._read(context, task.shown, done), talk.facts, task)
            except (Invented, Unusable) as problem:
                if last:
                    raise self._hopeless(problem, done) from None
                again = self._again(problem, task.shown)
            progress("asking_again", "")
            talk.messages = _asked_again(talk.messages, done.text, again)
        raise AssertionError("unreachable")

    def _read(self, context: Context, ids: Collection[int], done: Completion) -> Answer:
        spec = context.spec
        cut_off = done.finish == "length"
        said = spoken(done.text)
        if not said.text and (cut_off or done.thoughts or said.thinking):
            raise NotAReply(_ALL_THOUGHT if cut_off else "it holds nothing but thoughts")
        if cut_off and not spec.may_end_early:
            raise Unusable("it goes on and on")
        reply = replies.read_reply(done.text)
        if spec.form is Form.MOVE and not done.finish and not reply.structured:
            raise Unusable("its end is missing")
        answer = check(reply, context.kind, context.style, context.question.choices, ids, self.settings.max_forward)
        return dataclasses.replace(answer, message=_CUT_OFF) if cut_off else answer

    def usage(self, task: Task, count: UsageCount) -> Usage:
        """Return what a task took."""
        cost = math.nan
        if self.budget.priced:
            prompt_tokens = count.prompt_tokens or task.size.estimated_tokens * count.requests
            cost = self.budget.cost(prompt_tokens, count.answer_tokens)
        size = task.size
        if task.looks is not None:
            more = task.looks.size
            named = ("images", "bytes", "estimated_tokens")
            size = dataclasses.replace(size, **{name: getattr(size, name) + getattr(more, name) for name in named})
        return dataclasses.replace(size, cost=cost, **dataclasses.asdict(count))

    def _with_format(self, turns: Sequence[Message], parts: dict[str, dict[str, Any]]) -> list[Message]:
        """Say what the reply must look like, where the API is not told (a JSON mode wants it said as well)."""
        if self.structured == "json_schema":
            return list(turns)
        ask = text_part(self.prompts.reply_json(replies.in_words(parts)))
        return [*turns[:-1], {**turns[-1], "content": [*turns[-1]["content"], ask]}]

    def _again(self, problem: Exception, ids: Collection[int]) -> str:
        if isinstance(problem, Invented):
            return self.prompts.again_invented(problem.ids, sorted(ids))
        return self.prompts.again_unusable(str(problem))

    def _hopeless(self, problem: Exception, done: Completion) -> ModelFault:
        if isinstance(problem, Invented):
            return ModelFault(Status.INVENTED_MARK, f"the model invents marks, also when asked again: {problem}")
        cut = f"; {_CUT_OFF}" if done.finish == "length" and _ALL_THOUGHT not in str(problem) else ""
        return ModelFault(Status.BAD_REPLY, f"the model's reply cannot be used, also when asked again: {problem}{cut}")


def _asked_again(messages: Sequence[Message], text: str, again: str) -> list[Message]:
    """Return the messages for another try: what the model said, without its thoughts, and what is wrong with it.

    Servers refuse an empty turn, and templates two turns of the user in a row.
    """
    said = spoken(text).text
    if said:
        return [*messages, assistant(said), {"role": "user", "content": [text_part(again)]}]
    last = messages[-1]
    if last["role"] != "user":  # what a tool brought
        return [*messages, {"role": "user", "content": [text_part(again)]}]
    return [*messages[:-1], {**last, "content": [*last["content"], text_part(again)]}]


def _named(answer: Answer, facts: Sequence[str], task: Task) -> Answer:
    """Return an answer that names what was measured and looked at for it."""
    looked = task.looks.facts if task.looks is not None else []
    if not answer.ok or not (facts or looked):
        return answer
    named = [f"{what}: {'; '.join(found)}" for what, found in (("measured", facts), ("looked at", looked)) if found]
    reason = "; ".join(filter(None, (answer.reason, *named)))
    return dataclasses.replace(answer, reason=reason)

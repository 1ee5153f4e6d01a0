"""Requests with retries: backoff with jitter, Retry-After, the breaker and the budget, all within the deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from cc_ros.reasoning.llm.budget import CHARACTERS_A_TOKEN, Budget, UsageCount
from cc_ros.reasoning.llm.circuit_breaker import CircuitBreaker
from cc_ros.reasoning.llm.client import ChatClient, ChatRequest, Completion, Embedding
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.types import Status

MAX_BACKOFF = 8.0
Reply = TypeVar("Reply", Completion, Embedding)


class RetryingClient:
    """Sends a request until there is a reply, or no hope of one.

    :param client: the connection.
    :param settings: retries and backoff.
    :param breaker: is told how each request ended.
    :param budget: is asked before each request.
    """

    def __init__(self, client: ChatClient, settings: ReasonerSettings, breaker: CircuitBreaker, budget: Budget) -> None:
        self._client = client
        self._retries, self._backoff = settings.retries, settings.backoff
        self._breaker = breaker
        self._budget = budget

    async def complete(
        self,
        request: ChatRequest,
        estimated_tokens: int,
        deadline: float,
        count: UsageCount,
        on_text: Callable[[str, Completion], None],
    ) -> Completion:
        """Return the reply.

        :param estimated_tokens: of the prompt, booked until the server has counted.
        :param deadline: on the clock of ``time.monotonic``.
        :param count: is filled in, also where this raises.
        :param on_text: called with a stage ("sent", "retry", "text") and the reply so far.
        :raises ModelFault: there is no reply.
        """
        return await self._tried(partial(self._client.complete, request), estimated_tokens, deadline, count, on_text)

    async def embed(self, text: str, deadline: float, count: UsageCount) -> Embedding:
        """Return a text as a vector.

        :param deadline: on the clock of ``time.monotonic``.
        :param count: is filled in, also where this raises.
        :raises ModelFault: there is none.
        """
        tokens = len(text) // CHARACTERS_A_TOKEN
        return await self._tried(lambda _: self._client.embed(text), tokens, deadline, count, lambda *_: None)

    async def _tried(
        self,
        send: Callable[[Callable[[Completion], None]], Awaitable[Reply]],
        estimated_tokens: int,
        deadline: float,
        count: UsageCount,
        on_text: Callable[[str, Completion], None],
    ) -> Reply:
        for attempt in range(self._retries + 1):
            if time.monotonic() >= deadline:
                raise ModelFault(Status.TIMEOUT, "the deadline passed before the request was sent")
            if not self._breaker.allow():
                raise ModelFault(Status.SERVER_DOWN, self._breaker.describe())
            try:
                return await self._once(send, estimated_tokens, deadline, count, on_text)
            except ModelFault as fault:
                delay = self._delay(fault, attempt)
                if not fault.again or attempt == self._retries or self._breaker.open_for() > 0:
                    raise
                if time.monotonic() + delay >= deadline:
                    raise ModelFault(
                        fault.status, f"{fault}; the next try in {delay:.1f} s would be past the deadline"
                    ) from None
            on_text("retry", Completion())
            await anyio.sleep(delay)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _once(
        self,
        send: Callable[[Callable[[Completion], None]], Awaitable[Reply]],
        estimated_tokens: int,
        deadline: float,
        count: UsageCount,
        on_text: Callable[[str, Completion], None],
    ) -> Reply:
        try:
            booking = self._budget.book(estimated_tokens)
        except ModelFault:
            self._breaker.gave_up()
            raise
        count.requests += 1
        on_text("sent", Completion())
        taken = (estimated_tokens, 0)  # what to book where the server worked and did not say
        received = 0

        def note(so_far: Completion) -> None:
            nonlocal received
            received = so_far.size
            on_text("text", so_far)

        try:
            with anyio.fail_after(deadline - time.monotonic()):
                reply = await send(note)
            self._breaker.worked()
            count.model = reply.model
            if reply.prompt_tokens or reply.answer_tokens:
                taken = (reply.prompt_tokens, reply.answer_tokens)
                count.prompt_tokens += reply.prompt_tokens
                count.answer_tokens += reply.answer_tokens
            else:
                taken = (estimated_tokens, received // CHARACTERS_A_TOKEN)
            return reply
        except TimeoutError:
            self._breaker.failed()
            taken = (estimated_tokens, received // CHARACTERS_A_TOKEN)
            raise ModelFault(Status.TIMEOUT, "the model did not answer in time") from None
        except ModelFault as fault:
            taken = (estimated_tokens, received // CHARACTERS_A_TOKEN) if fault.may_have_cost else (0, 0)
            if fault.sick:
                self._breaker.failed()
            else:
                self._breaker.gave_up()
            raise
        except BaseException:  # cancelled; the server may have worked until then
            self._breaker.gave_up()
            raise
        finally:
            self._budget.settle(booking, *taken)

    def _delay(self, fault: ModelFault, attempt: int) -> float:
        backoff = min(MAX_BACKOFF, self._backoff * 2**attempt) * random.uniform(0.5, 1.0)
        return max(fault.wait, backoff)

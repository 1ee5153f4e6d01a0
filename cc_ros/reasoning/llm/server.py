"""A server that is asked: its connection in a thread of its own, with retries, a breaker and a budget."""

from __future__ import annotations

import os
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from cc_ros.errors import CCError
from cc_ros.reasoning.llm.budget import Budget
from cc_ros.reasoning.llm.circuit_breaker import CircuitBreaker
from cc_ros.reasoning.llm.endpoint import Endpoint
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.loop_thread import LoopThread
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.types import Status

if TYPE_CHECKING:
    from cc_ros.reasoning.llm.retry import RetryingClient


class Server:
    """One endpoint, and what guards it. Thread-safe.

    :param settings: retries, breaker and limits.
    :param endpoint: the server.
    :raises SettingsError: limits in money without prices.
    :ivar thread: runs what is done with the client.
    """

    def __init__(self, settings: ReasonerSettings, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.budget = Budget(settings)
        self.breaker = CircuitBreaker(settings.breaker_failures, settings.breaker_seconds)
        self.unusable = ""  # why it cannot be asked at all, for people
        self._settings = settings
        self.thread = LoopThread()
        self._client: Future[RetryingClient] = self.thread.start(self._open())
        wait([self._client])  # importing openai takes seconds on a busy machine: no question's deadline is for that

    @property
    def client(self) -> RetryingClient:
        """The connection.

        :raises ModelFault: MISCONFIGURED; there can be none.
        """
        return self._client.result()

    def down(self) -> str:
        """Return why the server is left alone for now, "" where it is not."""
        return self.breaker.describe() if self.breaker.open_for() > 0 else ""

    def close(self) -> None:
        """Cancel what is being asked and close the connections."""
        self.thread.close(self._close_client)

    async def _open(self) -> RetryingClient:
        try:
            from anyio.lowlevel import checkpoint

            from cc_ros.reasoning.llm.client import ChatClient
            from cc_ros.reasoning.llm.retry import RetryingClient
        except ImportError as error:
            raise ModelFault(
                Status.MISCONFIGURED, f"the package openai cannot be imported ({error}); pip install 'openai>=3'"
            ) from None
        try:
            await checkpoint()  # anyio imports what it has for asyncio when it is first called
            return RetryingClient(ChatClient(self.endpoint), self._settings, self.breaker, self.budget)
        except Exception as error:  # a proxy, certificates, or what else the environment gives the HTTP client
            files = [f"{name}={os.environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
            help = f"; does {' and '.join(files)} hold certificates?" if files and isinstance(error, OSError) else ""
            words = error if isinstance(error, CCError) else f"no HTTP client can be made: {error}{help}"
            self.unusable = self.endpoint.redact(str(words))
            raise ModelFault(Status.MISCONFIGURED, self.unusable) from None

    async def _close_client(self) -> None:
        if self._client.exception() is None:
            await self._client.result().close()

"""The HTTP connection: to the configured endpoint only, and with a limit on what comes back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx2
from openai import AsyncOpenAI, Omit

from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.presets import PRESETS
from cc_ros.reasoning.llm.proxies import proxy_of
from cc_ros.reasoning.types import Status

if TYPE_CHECKING:
    from cc_ros.reasoning.llm.endpoint import Endpoint

MAX_REPLY_BYTES = 4 * 1024 * 1024
CONNECT_SECONDS = 10.0
_BODY = "cc_ros_body"
_DONE = re.compile(rb"[\r\n]data: ?\[DONE\]")
NO_KEY = "none"  # the openai package insists on one; the header that it would go into is left out


class _BoundedBody(httpx2.AsyncByteStream):
    """A response body that breaks off once it is longer than any answer."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body
        self._end = b"\n"
        self.said_done = False  # the last event of a stream, which the openai package keeps to itself

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._body:
            seen += len(chunk)
            self.said_done = self.said_done or bool(_DONE.search(self._end + chunk))
            self._end = (self._end + chunk)[-32:]
            if seen > MAX_REPLY_BYTES:
                await self.aclose()  # who reads the body of an error does not close it
                raise ModelFault(
                    Status.BAD_REPLY,
                    f"the server's reply is longer than {MAX_REPLY_BYTES // 2**20} MB",
                    sick=True,
                    may_have_cost=True,
                )
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = response.extensions[_BODY] = _BoundedBody(response.stream)
        # Unasked compression: a few bytes of it may unfold to any size.
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            await response.aclose()
            raise ModelFault(Status.BAD_REPLY, "the server compressed its reply though asked not to", sick=True)
        return response


def open_client(endpoint: Endpoint) -> AsyncOpenAI:
    """Return the client for one endpoint; it keeps connections and belongs to the running event loop.

    Deadlines and retries are the caller's. Redirects are not followed: pictures go to the configured endpoint or
    nowhere.

    :raises SettingsError: the environment names a proxy that cannot be used.
    """
    http = httpx2.AsyncClient(
        transport=_BoundedTransport(proxy=proxy_of(endpoint)),
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )
    return AsyncOpenAI(
        api_key=NO_KEY if endpoint.key is None else endpoint.key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=http,
    )


def said_done(response: httpx2.Response) -> bool:
    """Whether a stream that was read to its end told so by ``[DONE]``."""
    body = response.extensions.get(_BODY)
    return isinstance(body, _BoundedBody) and body.said_done


def headers_left_out(endpoint: Endpoint) -> dict[str, Omit]:
    """Return the headers that the openai package would add but this endpoint is not to see."""
    left_out = [] if endpoint.key is not None else ["Authorization"]
    if endpoint.base_url != PRESETS["openai"].base_url:  # they come from the environment and are OpenAI's alone
        left_out += ["OpenAI-Organization", "OpenAI-Project"]
    return {name: Omit() for name in left_out}

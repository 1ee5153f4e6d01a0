"""One chat request to an OpenAI-compatible server: streamed, bounded, and every fault told apart."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
import openai
from anyio.lowlevel import checkpoint

from cc_ros.reasoning.llm.endpoint import Endpoint
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.model_list import list_models, model_to_ask
from cc_ros.reasoning.llm.proxies import proxy_of, shown
from cc_ros.reasoning.llm.server_errors import MAX_WORDS, advice, words_of
from cc_ros.reasoning.llm.tool_calls import ToolCalls, refuses_tools
from cc_ros.reasoning.llm.transport import headers_left_out, open_client, said_done
from cc_ros.reasoning.replies.reply import complete
from cc_ros.reasoning.types import Status

LONGEST_TOKEN = 16  # characters, on average: no tokeniser makes longer ones, so what is longer broke its limit
# After the last word a server may still count tokens or say [DONE]; some do neither and keep the connection.
GRACE_SECONDS = 1.0
MOST_TOKENS = 2**31 - 1  # servers have been seen to count worse
MOST_NUMBERS = 16384  # of an embedding
_AGAIN = {408, 409, 429}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What one request says.

    :param messages: as the chat completions API has them.
    :param response_format: the API's field, None = leave it out.
    :param temperature: negative = leave it to the server.
    :param tools: that the model may call, as the API has them.
    :param calling: whether it may call them still; else it must answer.
    """

    messages: list[dict[str, Any]]
    response_format: dict[str, Any] | None
    temperature: float
    tools: Sequence[dict[str, Any]] = ()
    calling: bool = True


@dataclass(slots=True)
class Completion:
    """A model's text, also while it arrives.

    :param text: so far.
    :param finish: the API's finish_reason, "" until then, and where the server ends without one.
    :param refusal: the model's words where it refuses.
    :param model: that answers, as the server names it.
    :param thoughts: characters of reasoning that came beside the text.
    :param prompt_tokens: as counted by the server, 0 = it did not say.
    :param answer_tokens: likewise.
    :param size: characters so far.
    :param limit: characters at most.
    :param calls: of tools.
    """

    parts: list[str] = field(default_factory=list)
    finish: str = ""
    refusal: str = ""
    model: str = ""
    thoughts: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    size: int = 0
    limit: int = 0
    calls: ToolCalls = field(default_factory=ToolCalls)

    @property
    def text(self) -> str:
        """The text so far; pairs of surrogates may have come in two pieces, and a half of one cannot be passed on."""
        text = "".join(self.parts)
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def add(self, text: str) -> None:
        """Append a piece of text."""
        self.parts.append(text)
        self.grow(len(text))

    def grow(self, characters: int) -> None:
        """Count what came.

        :raises ModelFault: it is too much.
        """
        self.size += characters
        if self.size > self.limit:
            raise ModelFault(Status.BAD_REPLY, "the answer goes on past its limit", sick=True, may_have_cost=True)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text as a vector.

    :param vector: n float32, of length 1.
    :param model: that made it, as the server names it.
    :param prompt_tokens: as counted by the server, 0 = it did not say.
    """

    vector: np.ndarray
    model: str
    prompt_tokens: int
    answer_tokens: int = 0


class ChatClient:
    """A connection to one endpoint. Lives in one event loop.

    :param endpoint: the server.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = open_client(endpoint)
        # The openai package imports them when they are first looked at: half a second that no question is to wait for.
        self._send = self._client.chat.completions.with_streaming_response.create
        self._models = self._client.models
        self._left_out = headers_left_out(endpoint)
        self._model = endpoint.model  # "" until the server was asked for its own
        proxy = proxy_of(endpoint)
        self._way = f"{endpoint.host} through the proxy {shown(proxy)}" if proxy else endpoint.host

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: ChatRequest, on_text: Callable[[Completion], None]) -> Completion:
        """Send one request and return the whole reply; cancelling the task closes the connection.

        :param on_text: called after each piece of text.
        :raises ModelFault: there is no complete reply.
        """
        done = Completion(limit=LONGEST_TOKEN * self._endpoint.answer_tokens)
        with self._faults(done, bool(request.tools)):
            self._model = self._model or await self._model_of_the_server()
            async with self._send(**self._body(request), extra_headers=self._left_out) as response:
                await self._receive(response, done, on_text)
        if done.refusal or done.finish == "content_filter":
            reason = self._endpoint.redact(done.refusal)[:500] or "its content filter stepped in"
            raise ModelFault(Status.REFUSED, f"the model refuses to answer: {reason}", may_have_cost=True)
        done.parts = [self._endpoint.redact(done.text)]
        return done

    async def embed(self, text: str) -> Embedding:
        """Return a text as a vector, by the model of the endpoint, which must be named.

        :raises ModelFault: there is none.
        """
        with self._faults(Completion()):
            reply = await self._client.embeddings.create(
                model=self._model, input=text, encoding_format="float", extra_headers=self._left_out
            )
        try:
            vector = np.asarray(reply.data[0].embedding, np.float32)
            length = float(np.linalg.norm(vector))
            if vector.ndim != 1 or vector.size > MOST_NUMBERS or not 0 < length < np.inf:
                raise ValueError("no vector")
            tokens = _counted(reply.usage.prompt_tokens) if reply.usage is not None else 0
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise self._bad_reply(f"is not what the API says ({type(error).__name__})") from None
        return Embedding(vector / length, str(reply.model or "")[:MAX_WORDS], tokens)

    @contextmanager
    def _faults(self, done: Completion, with_tools: bool = False) -> Iterator[None]:
        """Tell apart what may go wrong with a request.

        :raises ModelFault: anything did.
        """
        try:
            yield
        except openai.APIStatusError as error:
            fault = self._status_fault(error, with_tools)
            if error.status_code == 404:
                self._model = self._endpoint.model  # the server may have another one by now
            raise fault from None
        except openai.APITimeoutError:
            raise self._unreachable("no connection in time") from None
        except openai.APIConnectionError as error:
            raise self._unreachable(cause(error), may_have_cost=bool(done.parts)) from None
        except openai.APIError as error:  # an error event within the stream
            raise self._error_within(error.body if error.body is not None else error.message) from None

    async def _model_of_the_server(self) -> str:
        """Return the model to ask where none is configured."""
        try:
            models = await list_models(self._models, self._endpoint)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            models = {}  # no list of models: the answer to the question itself tells more
        return model_to_ask(models, self._endpoint)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        preset = self._endpoint.preset
        body: dict[str, Any] = {
            "model": self._model,
            "messages": request.messages,
            "stream": True,
            preset.token_field: self._endpoint.answer_tokens,
        }
        if request.temperature >= 0:
            body["temperature"] = request.temperature
        if request.response_format is not None:
            body["response_format"] = request.response_format
        if request.tools:
            body["tools"] = list(request.tools)
            if not request.calling:
                body["tool_choice"] = "none"
        if preset.counts_in_stream:
            body["stream_options"] = {"include_usage": True}
        return body

    async def _receive(self, response: Any, done: Completion, on_text: Callable[[Completion], None]) -> None:
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in ("application/json", "text/event-stream", ""):
            said = self._short(words_of(await response.read()))
            raise self._bad_reply(f"is {kind[:60]}, not an event stream; is base_url right? It says: {said}")
        try:
            if kind == "application/json":  # a server that does not stream
                reply = json.loads(await response.read())
                error = _error_in(reply)
                if error is not None:
                    raise self._error_within(error)
                _take_whole(reply, done)
                on_text(done)
            else:
                await self._stream(await response.parse(), done, on_text)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            # ValueError: broken JSON or UTF-8. The others: JSON of another shape than the API's.
            raise self._bad_reply(f"is not what the API says ({type(error).__name__})") from None

    async def _stream(self, stream: Any, done: Completion, on_text: Callable[[Completion], None]) -> None:
        with anyio.move_on_after(None) as patience:
            async for chunk in stream:
                if _take_chunk(chunk, done):
                    on_text(done)
                await checkpoint()  # events that came in one packet would keep deadlines and other questions waiting
                if done.finish:
                    patience.deadline = min(patience.deadline, anyio.current_time() + GRACE_SECONDS)
        whole = bool(done.calls) or complete(done.text)
        if not done.finish and not (said_done(stream.response) and whole):
            raise self._unreachable("the stream ended in the middle of the reply", may_have_cost=True)

    def _status_fault(self, error: openai.APIStatusError, with_tools: bool) -> ModelFault:
        code = error.status_code
        if 300 <= code < 400:
            return ModelFault(
                Status.REJECTED, f"{self._endpoint.host} redirects elsewhere; set base_url to the final address"
            )
        words = self._short(words_of(error.body) or error.response.reason_phrase or error.message)
        if with_tools and refuses_tools(code, words):
            return ModelFault(Status.REJECTED, f"{self._endpoint.host} takes no tools: {words}", about_tools=True)
        return self._fault(code, f"answered {code}: {words}", words, wait=_retry_after(error.response.headers))

    def _error_within(self, error: object) -> ModelFault:
        """Return the fault that a server reports where its reply should be, under status 200."""
        words = self._short(words_of(error))
        told = f"reports an error within its reply: {words}"
        return self._fault(_code_of(error), told, words, may_have_cost=True)

    def _fault(self, code: int, told: str, words: str, wait: float = 0.0, may_have_cost: bool = False) -> ModelFault:
        """Return the fault for an HTTP status; 0 = the server names none.

        :param told: what it did, for people.
        :param words: its own.
        """
        refused = 400 <= code < 500 and code not in _AGAIN
        status = Status.REJECTED if refused else Status.RATE_LIMITED if code == 429 else Status.SERVER_ERROR
        if code in (401, 403):
            status = Status.NOT_AUTHORISED
        help = advice(code, words, self._model)
        return ModelFault(
            status,
            "; ".join(filter(None, (f"{self._endpoint.host} {told}", help))),
            again=not refused,
            wait=0.0 if refused else wait,
            sick=not refused and code != 429,
            may_have_cost=may_have_cost,
        )

    def _unreachable(self, why: str, may_have_cost: bool = False) -> ModelFault:
        return ModelFault(
            Status.UNREACHABLE,
            f"{self._way}: {self._endpoint.redact(why)[:MAX_WORDS]}",
            again=True,
            sick=True,
            may_have_cost=may_have_cost,
        )

    def _bad_reply(self, what: str) -> ModelFault:
        return ModelFault(Status.BAD_REPLY, f"the reply of {self._endpoint.host} {what}", sick=True, may_have_cost=True)

    def _short(self, words: str) -> str:
        return self._endpoint.redact(words)[:MAX_WORDS]


def _error_in(reply: object) -> object:
    """Return the error that stands where a reply should be, None where there is a reply."""
    first = reply[0] if isinstance(reply, list) and reply else reply
    if isinstance(first, Mapping) and not first.get("choices"):
        return first.get("error") or (first if first.get("object") == "error" or "detail" in first else None)
    return None


def _code_of(error: object) -> int:
    """Return the HTTP status that an error within a reply names, 0 where it names none."""
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, Mapping) else []
    return next((int(str(code)) for code in named if re.fullmatch(r"[45]\d\d", str(code))), 0)


def _text_of(content: object, done: Completion) -> str:
    """Return the text of a content, which may be a list of parts; thoughts among them are counted and left out."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text_of(part, done) for part in content)
    if not isinstance(content, Mapping):
        raise TypeError("content is no text")
    part, kind = content, str(content.get("type", "text"))
    if "text" in kind:
        text = part.get("text")
        return _text_of(text.get("value") if isinstance(text, Mapping) else text, done)
    if "think" in kind or "reason" in kind:
        done.thoughts += len(str(part))
    elif kind == "refusal":
        done.refusal += str(part.get("refusal") or "")
    return ""


def _take_message(message: Any, done: Completion) -> bool:
    """Add a message or a piece of one, whatever fields it has; whether it brought text."""
    get = message.get if isinstance(message, Mapping) else lambda name: getattr(message, name, None)
    for name in ("reasoning", "reasoning_content", "thinking", "reasoning_text"):
        done.thoughts += len(str(get(name) or ""))
    done.refusal += str(get("refusal") or "")
    calls = get("tool_calls")
    if isinstance(calls, list):
        done.grow(done.calls.add(calls))
    text = _text_of(get("content"), done)
    if text:
        done.add(text)
    return bool(text)


def _take_chunk(chunk: Any, done: Completion) -> bool:
    """Add one event of a stream; whether it brought text."""
    if chunk.usage is not None:
        done.prompt_tokens = _counted(chunk.usage.prompt_tokens)
        done.answer_tokens = _counted(chunk.usage.completion_tokens)
    done.model = done.model or str(chunk.model or "")[:MAX_WORDS]
    if not chunk.choices:
        return False
    choice = chunk.choices[0]
    if choice.finish_reason:
        done.finish = str(choice.finish_reason)
    # Some servers send the last piece, or all of it, as a message.
    delta = choice.delta if choice.delta is not None else getattr(choice, "message", None)
    return delta is not None and _take_message(delta, done)


def _take_whole(reply: Any, done: Completion) -> None:
    """Take a reply that came in one piece."""
    choice = reply["choices"][0]
    done.model = str(reply.get("model") or "")[:MAX_WORDS]
    done.finish = str(choice.get("finish_reason") or "stop")
    _take_message(choice["message"], done)
    usage = reply.get("usage") or {}
    done.prompt_tokens = _counted(usage.get("prompt_tokens"))
    done.answer_tokens = _counted(usage.get("completion_tokens"))


def _counted(tokens: object) -> int:
    return max(0, min(tokens, MOST_TOKENS)) if isinstance(tokens, int) else 0


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait (RFC 9110: seconds or a date), 0 where it does not say."""
    said = headers.get("retry-after", "").strip()
    with suppress(ValueError):
        return max(0.0, min(float(said), 86400.0))
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0


def cause(error: BaseException) -> str:
    """Return the reason of a connection fault in its own words."""
    reason = error.__cause__ or error
    return str(reason) or type(reason).__name__

"""Captions of what a memory keeps: a model says what keyframes show, another turns that into vectors, as configured."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cc_ros.errors import CCError, SettingsError
from cc_ros.keyframes import MarkedKeyframe
from cc_ros.keyframes.store import KeptFrame
from cc_ros.memory.captions import Vector
from cc_ros.memory.types import Captioning, Keep
from cc_ros.reasoning.llm.budget import UsageCount
from cc_ros.reasoning.llm.endpoint import how_to_configure, resolve_endpoint
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.server import Server
from cc_ros.reasoning.prompts.images import PictureStore
from cc_ros.reasoning.prompts.messages import Writer
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.replies.thoughts import spoken
from cc_ros.reasoning.settings import CaptionSettings, ReasonerSettings
from cc_ros.reasoning.types import Status, sendable

if TYPE_CHECKING:
    from cc_ros.reasoning.llm.retry import RetryingClient

T = TypeVar("T")
WAITING = 8  # keyframes that may wait for the model; of more, the oldest are dropped and counted
LONGEST = 600  # characters of a caption
VECTOR_TIME = 5.0  # seconds for the vector of a question
VECTORS = 64  # of questions that are kept


def captioning(
    settings: CaptionSettings, environ: Mapping[str, str] = os.environ
) -> Callable[[Keep], Captioning] | None:
    """Return what makes a memory's captions; None where no model is configured.

    :raises SettingsError: a model is named that cannot be asked.
    """
    if not settings.caption_model:
        if settings.embedding_model:
            raise SettingsError("embedding_model needs caption_model: what it turns into vectors are captions")
        return None
    return lambda keep: Captioner(settings, keep, environ)


@dataclass(frozen=True, slots=True)
class _Waiting:
    keyframe: int
    frame: KeptFrame


class Captioner:
    """Has keyframes captioned in a thread of its own, one after the other, in their order. Thread-safe.

    :param settings: the models, and how much of them.
    :param keep: takes the captions.
    :param environ: where keys are looked up.
    :raises SettingsError: a model is named that cannot be asked.
    """

    def __init__(self, settings: CaptionSettings, keep: Keep, environ: Mapping[str, str] = os.environ) -> None:
        own = {name: getattr(settings, name) for name in ("base_url", "preset", "key_env", "key_file")}
        asked = ReasonerSettings(model=settings.caption_model, **own)
        self._period = 60.0 / settings.captions_per_minute
        self._settings, self._keep = asked, keep
        self._model = _server(asked, environ, "caption_model")
        self._embedder: Server | None = None
        if settings.embedding_model:
            other = dataclasses.replace(asked, model=settings.embedding_model)
            if settings.embedding_base_url:  # a key is for one server
                url, key_env = settings.embedding_base_url, settings.embedding_key_env
                other = dataclasses.replace(other, base_url=url, key_env=key_env, preset="", key_file="")
            try:
                self._embedder = _server(other, environ, "embedding_model")
            except CCError:
                self._model.close()
                raise
        self._pictures = PictureStore(self._model.endpoint.max_side, asked.jpeg_quality)
        self._writer = Writer(self._model.endpoint, asked.image_detail)
        self._prompt = Prompts().caption()
        self._lock = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._taken = float("-inf")  # stamp of the newest keyframe that was taken
        self._busy = self._closing = False
        self._counts: Counter[str] = Counter()
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, name="captions", daemon=True)
        self._thread.start()

    def offer(self, keyframe: int, stamp: float, frame: KeptFrame) -> None:
        """Take in a keyframe that was written, where one is due; returns at once."""
        with self._lock:
            if 0 <= stamp - self._taken < self._period * (1 - 1e-6) or self._closing:
                return
            self._taken = stamp
            self._waiting.append(_Waiting(keyframe, frame))
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self._counts["captions_dropped_model_too_slow"] += 1
            self._lock.notify_all()

    def vector(self, text: str) -> Vector | None:
        """Return a question as a vector; None where no model makes any, or not in time."""
        if self._embedder is None:
            return None
        with self._lock:
            known = self._vectors.get(text)
        if known is not None:
            return known
        try:
            vector = self._embedded(self._embedder, text, time.monotonic() + VECTOR_TIME)
        except ModelFault as fault:
            self._failed(f"a question was searched by its words alone: {fault}")
            return None
        with self._lock:
            self._vectors[text] = vector
            if len(self._vectors) > VECTORS:
                self._vectors.popitem(last=False)
        return vector

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits for its caption; return whether it is so."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._waiting and not self._busy, max(0.0, seconds))

    def health(self) -> tuple[str, Mapping[str, object]]:
        """Return a trouble for people ("" = none) and figures."""
        spent = Counter[str]()
        for server in filter(None, (self._model, self._embedder)):
            spent.update({name: int(server.budget.spent()[name]) for name in ("requests", "tokens")})
        with self._lock:
            figures = {**self._counts, "captions_waiting": len(self._waiting)}
            return self._trouble, figures | {f"caption_{name}": count for name, count in spent.items()}

    def close(self) -> None:
        """End; what waits for its caption gets none."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._thread.join()
        self._model.close()
        if self._embedder is not None:
            self._embedder.close()

    # -- in the thread

    def _work(self) -> None:
        while True:
            with self._lock:
                self._busy = False
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                item, self._busy = self._waiting.popleft(), True
            try:
                self._caption(item)
            except CCError as error:
                if not self._closing:
                    self._failed(f"a keyframe got no caption: {error}")
            except Exception as error:  # a defect must not end the thread
                self._failed(f"a keyframe got no caption: {error!r}")

    def _caption(self, item: _Waiting) -> None:
        frame, deadline = item.frame, time.monotonic() + self._settings.timeout
        (picture,) = self._pictures.get_all([MarkedKeyframe(frame.index, frame.stamp, frame.jpeg, *frame.size, ())])
        message, count = self._writer.user([picture], self._prompt), UsageCount()
        tokens = self._writer.tokens([picture], self._prompt)

        async def ask(client: RetryingClient) -> str:
            from cc_ros.reasoning.llm.client import ChatRequest

            request = ChatRequest([message], None, self._settings.temperature)
            return (await client.complete(request, tokens, deadline, count, lambda *_: None)).text

        said = sendable(" ".join(spoken(self._run(self._model, ask, deadline)).text.split()))[:LONGEST]
        if not said:
            raise ModelFault(Status.BAD_REPLY, "the model said nothing")
        vector, trouble = None, ""
        if self._embedder is not None:
            try:
                vector = self._embedded(self._embedder, said, deadline)
            except ModelFault as fault:  # it can be found by its words
                trouble = f"a caption got no vector: {fault}"
        self._keep(item.keyframe, said, count.model or self._model.endpoint.model, vector)
        with self._lock:
            self._counts["captions"] += 1
            self._trouble = ""
        if trouble:
            self._failed(trouble)

    def _embedded(self, server: Server, text: str, deadline: float) -> Vector:
        async def ask(client: RetryingClient) -> Vector:
            found = await client.embed(text, deadline, UsageCount())
            return Vector(found.vector, server.endpoint.model)

        return self._run(server, ask, deadline)

    def _run(self, server: Server, ask: Callable[[RetryingClient], Coroutine[Any, Any, T]], deadline: float) -> T:
        async def work(post: Callable[[Any], None]) -> T:
            return await ask(server.client)

        return server.thread.wait(work, deadline, self._stop, lambda _: None)

    def _stop(self) -> None:
        if self._closing:
            raise ModelFault(Status.CLOSED, "the memory is being closed")

    def _failed(self, text: str) -> None:
        with self._lock:
            self._counts["caption_errors"] += 1
            self._trouble = text


def _server(settings: ReasonerSettings, environ: Mapping[str, str], name: str) -> Server:
    endpoint = resolve_endpoint(settings, environ)
    if endpoint is None:
        raise SettingsError(f"{name} {settings.model!r} cannot be asked without a key: {how_to_configure(settings)}")
    return Server(settings, endpoint)

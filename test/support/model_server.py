"""A scripted OpenAI-compatible server on loopback: it answers, or misbehaves, as it is told.

In a test::

    with ModelServer() as server:
        server.script(reply("left", marks=[3]), HttpStatus(429, retry_after="0.2"), Cut())

or by hand: ``python test/model_server.py --port 0`` prints its base URL and answers every question plainly.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}


def reply(answer: str = "", **fields: Any) -> str:
    """A structured reply as JSON text."""
    return json.dumps({"answer": answer, "marks": [], "confidence": 0.8, "reason": "seen", **fields})


@dataclass
class Say:
    """Stream a text."""

    text: str
    pause: float = 0.0  # seconds between pieces
    before: float = 0.0  # seconds before the status line
    piece: int = 8  # characters
    done: bool = True  # whether [DONE] ends the stream
    finish: str | None = "stop"
    usage: dict[str, int] | None = field(default_factory=lambda: dict(USAGE))
    hold: float = 0.0  # seconds the connection stays open after the last word
    content_type: str = "text/event-stream"

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(self.before)
        handler.start_chunks(self.content_type)
        handler.event({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]})
        for start in range(0, len(self.text), self.piece):
            handler.event(_piece(self.text[start : start + self.piece]))
            handler.wait(self.pause)
        if self.finish:
            handler.event({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
        if self.usage:
            handler.event({"choices": [], "usage": self.usage})
        if self.done:
            handler.chunk(b"data: [DONE]\n\n")
        handler.wait(self.hold)
        handler.end_chunks()


@dataclass
class Whole:
    """Answer in one piece though a stream was asked for."""

    text: Any  # or what else the content is
    finish: str | None = "stop"
    more: dict[str, Any] = field(default_factory=dict)  # fields beside the content

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": self.text, **self.more}
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        handler.send_json(200, {"model": "whole-1", "choices": [choice], "usage": USAGE})


@dataclass
class Pieces:
    """Stream messages piece by piece, as they are."""

    deltas: list[dict[str, Any]]
    finish: str | None = "stop"
    pause: float = 0.0  # seconds between them

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.start_chunks("text/event-stream")
        for delta in self.deltas:
            handler.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            handler.wait(self.pause)
        handler.event({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
        handler.chunk(b"data: [DONE]\n\n")
        handler.end_chunks()


@dataclass
class Calls:
    """Call tools: in one piece, or streamed in pieces of so many characters of the arguments."""

    calls: list[tuple[str, Any]]  # name, arguments: JSON text or an object
    piece: int = 7
    whole: bool = False
    text: str = ""  # said beside
    numbered: bool = True  # whether pieces say which call they belong to
    named: bool = True  # whether calls have an id
    pause: float = 0.0  # seconds between pieces

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        made = []
        for number, (name, arguments) in enumerate(self.calls):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            named = {"id": f"id-{number}-{len(body['messages'])}"} if self.named else {}
            made.append({**named, "type": "function", "function": {"name": name, "arguments": text}})
        if self.whole:
            Whole(self.text or None, "tool_calls", {"tool_calls": made}).run(handler, body)
            return
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": self.text or None}]
        for number, call in enumerate(made):
            index = {"index": number} if self.numbered else {}
            arguments = call["function"]["arguments"]
            deltas.append({"tool_calls": [{**call, **index, "function": {**call["function"], "arguments": ""}}]})
            for start in range(0, len(arguments), self.piece):
                piece = {"function": {"arguments": arguments[start : start + self.piece]}}
                deltas.append({"tool_calls": [{**index, **piece}]})
        Pieces(deltas, "tool_calls", self.pause).run(handler, body)


@dataclass
class HttpStatus:
    """Answer with an HTTP status and an error in OpenAI's shape."""

    code: int
    message: str = "scripted"  # a long one makes a long body
    retry_after: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        headers = {**self.headers, **({"Retry-After": self.retry_after} if self.retry_after else {})}
        handler.send_json(self.code, {"error": {"message": self.message, "code": None}}, headers)


@dataclass
class Raw:
    """Answer 200, or what is wanted, with any bytes."""

    data: bytes
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    code: int = 200

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(self.code)
        handler.send_header("Content-Type", self.content_type)
        handler.send_header("Content-Length", str(len(self.data)))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self.data)


@dataclass
class Cut:
    """Close the connection: at once, or after some text; by reset, if wanted."""

    text: str = ""
    reset: bool = False

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        if self.text:
            handler.start_chunks("text/event-stream")
            handler.event(_piece(self.text))
        if self.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Endless:
    """Stream for ever: words, or comments that say nothing."""

    event: bytes = b'data: {"choices": [{"index": 0, "delta": {"content": "and "}}]}\n\n'
    pause: float = 0.0

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.start_chunks("text/event-stream")
        while not handler.server.stopping.is_set():
            handler.chunk(self.event if self.pause else self.event * 100)
            handler.wait(self.pause)


@dataclass
class Hang:
    """Accept the request and say nothing."""

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.wait(3600)


Step = Any  # one of the above, a text to say, or a function of the request's body that returns one
Script = Callable[[dict[str, Any]], Step]


@dataclass
class Received:
    """One request as it came in."""

    body: dict[str, Any]
    headers: dict[str, str]  # names in lower case
    at: float

    @property
    def texts(self) -> list[str]:
        """All texts of the conversation in order."""
        found = []
        for message in self.body["messages"]:
            content = message["content"] or ""
            found += [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
        return found

    @property
    def images(self) -> list[bytes]:
        """All pictures in order, decoded from base64."""
        parts = [p for m in self.body["messages"] if isinstance(m["content"], list) for p in m["content"]]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return [base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True) for url in urls]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.steps: list[Step] = []
        self.otherwise: Step = reply("a plain answer")
        self.models: list[str] | None = ["scripted"]
        self.vector: Callable[[str], list[float]] | HttpStatus = HttpStatus(404, "no such model")
        self.embedded: list[str] = []
        self.embedding_keys: set[str] = set()
        self.received: list[Received] = []
        self.closed_early = 0
        self.open = 0

    def next_step(self, body: dict[str, Any]) -> Step:
        with self.lock:
            step = self.steps.pop(0) if self.steps else self.otherwise
        return step(body) if callable(step) and not hasattr(step, "run") else step

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that go away are part of the game; the handler counts them


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.server.models is None:
            self.send_json(200, {"data": "none"})
            return
        models = [{"id": name, "object": "model", "created": 0, "owned_by": ""} for name in self.server.models]
        self.send_json(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            self.send_embedding(body)
            return
        if not self.path.endswith("/chat/completions"):
            self.send_json(404, {"error": {"message": f"no such path {self.path}"}})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.received.append(Received(body, headers, time.monotonic()))
            self.server.open += 1
        try:
            step = self.server.next_step(body)
            (Say(step) if isinstance(step, str) else step).run(self, body)
        except OSError:
            self.close_connection = True
            with self.server.lock:
                self.server.closed_early += 1
        finally:
            with self.server.lock:
                self.server.open -= 1

    def send_embedding(self, body: dict[str, Any]) -> None:
        made = self.server.vector
        with self.server.lock:
            self.server.embedded.append(body["input"])
            self.server.embedding_keys.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if isinstance(made, HttpStatus):
            made.run(self, body)
            return
        data = [{"object": "embedding", "index": 0, "embedding": made(body["input"])}]
        self.send_json(200, {"object": "list", "model": body["model"], "data": data, "usage": USAGE})

    def start_chunks(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, data: dict[str, Any]) -> None:
        whole = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted", **data}
        self.chunk(b"data: " + json.dumps(whole).encode() + b"\n\n")

    def end_chunks(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def wait(self, seconds: float) -> None:
        """Wait, but notice at once when the client closes the connection or the server stops."""
        end = time.monotonic() + seconds
        while not self.server.stopping.is_set() and (left := end - time.monotonic()) > 0:
            self.connection.settimeout(min(left, 0.05))
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    raise ConnectionResetError("the client went away")
                time.sleep(min(left, 0.01))
            except TimeoutError:
                pass
            finally:
                self.connection.settimeout(None)

    def send_json(self, code: int, data: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class ModelServer:
    """The server in a thread.

    :param port: 0 = any free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def script(self, *steps: Step) -> None:
        """Queue what happens to the next requests."""
        with self._server.lock:
            self._server.steps.extend(steps)

    def script_only(self, *steps: Step) -> None:
        """Queue what happens to the next requests, and nothing else."""
        with self._server.lock:
            self._server.steps[:] = steps

    def always(self, step: Step | Script) -> None:
        """Set what happens once the queue is empty."""
        self._server.otherwise = step

    def holds(self, *models: str) -> None:
        """Set the models that it lists; without any, its list is none."""
        self._server.models = list(models) or None

    def embeds(self, vector: Callable[[str], list[float]] | HttpStatus) -> None:
        """Set the vector that a text gets."""
        self._server.vector = vector

    @property
    def embedded(self) -> list[str]:
        """Every text that a vector was asked for so far."""
        with self._server.lock:
            return list(self._server.embedded)

    @property
    def embedding_keys(self) -> set[str]:
        """The keys that came with what was to be embedded."""
        with self._server.lock:
            return set(self._server.embedding_keys)

    def was_asked(self, question: str) -> bool:
        """Whether a request with these words has come: requests of others may come late."""
        return any(question in text for request in self.received for text in request.texts)

    @property
    def received(self) -> list[Received]:
        """Every question so far."""
        with self._server.lock:
            return list(self._server.received)

    @property
    def closed_early(self) -> int:
        """Requests whose client went away before the end."""
        with self._server.lock:
            return self._server.closed_early

    def wait_idle(self, seconds: float = 5.0) -> bool:
        """Wait until no request is being answered."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._server.lock:
                if not self._server.open:
                    return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        """Stop."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _piece(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--say", default=reply("a plain answer"), help="the text of every reply")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between pieces of a reply")
    options = parser.parse_args(None if arguments is None else list(arguments))
    with ModelServer(options.port) as server:
        server.always(Say(options.say, pause=options.pause))
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

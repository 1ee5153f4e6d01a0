"""An OpenAI-compatible server on loopback that answers by a function: what scripted models are made of."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHARACTERS_A_TOKEN = 4  # of the usage that it claims


class ChatServer(AbstractContextManager[Any]):
    """The server, in threads of its own.

    :param model: the name of the one model that it has.
    :param reply: from the body of a request for a chat completion to the reply's text; an error in it is the client's.
    :param port: 0 = any free one.
    """

    def __init__(self, model: str, reply: Callable[[dict[str, Any]], str], port: int = 0) -> None:
        class Handler(_Handler):
            name, answer = model, staticmethod(reply)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=model, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.close()


def parts_of(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[str], list[str]]:
    """Return the system prompt, the texts of the user and the addresses of the pictures of a conversation."""
    system, texts, urls = "", [], []
    for message in messages:
        content = message.get("content") or ""
        if message["role"] == "system":
            system = content
            continue
        parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += [part["text"] for part in parts if part["type"] == "text"]
        urls += [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return system, texts, urls


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    name: str
    answer: Callable[[dict[str, Any]], str]

    def do_GET(self) -> None:
        self._send(
            200, {"object": "list", "data": [{"id": self.name, "object": "model", "created": 0, "owned_by": ""}]}
        )

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            text = type(self).answer(json.loads(raw))
        except Exception as error:  # whatever is wrong with a request is the client's to hear
            self._send(400, {"error": {"message": f"{type(error).__name__}: {error}"}})
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": len(raw) // CHARACTERS_A_TOKEN, "completion_tokens": len(text) // CHARACTERS_A_TOKEN}
        usage["total_tokens"] = sum(usage.values())
        whole = {"id": "0", "object": "chat.completion", "created": 0, "model": self.name}
        self._send(200, {**whole, "choices": [choice], "usage": usage})

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

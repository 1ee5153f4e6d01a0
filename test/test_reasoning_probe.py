"""The check of the endpoint that `cc-ros doctor` makes."""

import http.server
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from cc_ros.reasoning.probe import probe
from cc_ros.reasoning.settings import ReasonerSettings


@contextmanager
def server(status: int, body: bytes):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/v1"
        listening.shutdown()
        thread.join(5)


def models(*names: str) -> bytes:
    return json.dumps(
        {"object": "list", "data": [{"id": n, "object": "model", "created": 0, "owned_by": ""} for n in names]}
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "reachable", "said"),
    [
        (200, models("eyes", "ears"), True, "eyes"),
        (200, models("ears"), False, "it has ears"),
        (404, b"{}", True, "lists no models"),
        (401, b'{"error": {"message": "bad key sk-secret-123"}}', False, "401"),
        (200, b"<html>", False, "127.0.0.1"),
    ],
)
def test_what_the_endpoint_says_decides(status, body, reachable, said):
    with server(status, body) as url:
        outcome, text = probe(ReasonerSettings(base_url=url, model="eyes"), {"OPENAI_API_KEY": "sk-secret-123"})
    assert outcome is reachable
    assert said in text
    assert "secret" not in text


def test_nobody_at_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        outcome, text = probe(ReasonerSettings(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", model="m"), {})
    assert outcome is False
    assert "127.0.0.1" in text


def test_no_model_is_no_failure():
    outcome, text = probe(ReasonerSettings(), {})
    assert outcome is None
    assert "OPENAI_API_KEY" in text

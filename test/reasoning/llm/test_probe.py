"""The check of the endpoint that `cc-ros doctor` makes."""

import http.server
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from cc_ros.reasoning.llm.probe import probe
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


def models(*names: str, **more: object) -> bytes:
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "", **more} for name in names]
    return json.dumps({"object": "list", "data": listed}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reachable", "said"),
    [
        (200, models("eyes", "ears"), True, "eyes"),
        (200, models("ears"), False, "it has ears"),
        (200, models("models/eyes", "ears"), True, "eyes"),
        (200, models("eyes:latest"), True, "eyes"),
        (200, models(), True, "eyes"),
        (200, models("eyes", shutdown_date="2027-01-14"), None, "ends on 2027-01-14"),
        (200, models("eyes", retires_at="2027-02-01T00:00:00Z", lifecycle="deprecated"), None, "ends on 2027-02-01"),
        (200, models("eyes", deprecation={"inference": 1800000000}), None, "ends on 2027-01-15"),
        (200, models("eyes", lifecycle="deprecated"), None, "calls it deprecated"),
        (200, models("eyes", shutdown_date=None, lifecycle="active"), True, "eyes"),
        (404, b"{}", True, "lists no models"),
        (500, b"<html><title>502</title><body>gone</body></html>", False, "gone"),
        (200, b'{"data": "none"}', False, "127.0.0.1"),
        (200, b"[]", False, "127.0.0.1"),
        (401, b'{"error": {"message": "bad key sk-secret-123"}}', False, "401"),
        (200, b"<html>", False, "127.0.0.1"),
    ],
)
def test_what_the_endpoint_says_decides(status, body, reachable, said):
    with server(status, body) as url:
        probed = probe(ReasonerSettings(base_url=url, model="eyes"), {"OPENAI_API_KEY": "sk-secret-123"})
    assert probed.usable is reachable
    assert said in probed.text
    assert "secret" not in probed.text


@pytest.mark.parametrize(
    ("names", "preset", "usable", "said"),
    [
        (["eyes"], "vllm", True, "eyes will be asked"),
        (["eyes", "text-embedding-1"], "lm_studio", True, "eyes will be asked"),
        (["llama3:latest", "qwen3-vl:8b"], "ollama", True, "qwen3-vl:8b will be asked"),
        (["eyes", "ears"], "llama_cpp", False, "several models, set model to one of them: ears, eyes"),
        (["text-embedding-1"], "lm_studio", False, "no model that answers questions, only text-embedding-1"),
        ([], "vllm", True, "lists no models; default will be asked for"),
    ],
)
def test_where_none_is_named_the_model_that_the_server_has_is_meant(names, preset, usable, said):
    with server(200, models(*names)) as url:
        probed = probe(ReasonerSettings(base_url=url, preset=preset), {})
    assert probed.usable is usable
    assert said in probed.text


def test_nobody_at_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        probed = probe(ReasonerSettings(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", model="m"), {})
    assert probed.usable is False
    assert "127.0.0.1" in probed.text


def test_no_model_is_no_failure():
    probed = probe(ReasonerSettings(), {})
    assert probed.usable is None
    assert "OPENAI_API_KEY" in probed.text


def test_where_pictures_would_go_is_said(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:hidden@127.0.0.1:9")
    probed = probe(ReasonerSettings(), {"OPENAI_BASE_URL": "https://gateway.invalid/v1", "OPENAI_API_KEY": "sk-1"})
    assert probed.usable is False
    assert "https://gateway.invalid/v1 (told by the environment variable OPENAI_BASE_URL)" in probed.where
    assert "through the proxy http://127.0.0.1:9" in probed.where and "hidden" not in probed.where
    local = probe(ReasonerSettings(base_url="http://127.0.0.1:9/v1"), {"OPENAI_BASE_URL": "https://gateway.invalid/v1"})
    assert local.where == "pictures would go to http://127.0.0.1:9/v1 (told by the parameter base_url), not encrypted"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "what is this", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_a_finding(monkeypatch, capsys, proxy):
    from cc_ros.cli import main

    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert main(["doctor", "--no-graph"]) == 1
    assert "FAIL  model: the environment variable HTTPS_PROXY" in capsys.readouterr().out


def test_one_check_that_fails_does_not_end_the_others(monkeypatch, capsys):
    from cc_ros.cli import main

    def fail(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("cc_ros.commands.doctor.need_ros", fail)
    monkeypatch.setattr("cc_ros.reasoning.llm.probe._ask_models", fail)
    assert main(["doctor", "--no-graph", "--base-url", "http://127.0.0.1:9/v1"]) == 1
    out = capsys.readouterr().out
    assert "FAIL  ROS 2: ZeroDivisionError: a defect" in out
    assert "FAIL  model: 127.0.0.1:9 cannot be reached or understood: a defect" in out
    assert main(["doctor", "--no-graph", "--preset", "magic"]) == 1
    assert "FAIL  model: preset must be one of" in capsys.readouterr().out

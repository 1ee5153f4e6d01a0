"""Who may look at the live page, over real HTTP and WebSockets on loopback."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from support.rig import until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cc_ros.errors import CCError, SettingsError
from cc_ros.serving import listen
from cc_ros.web.access import Access
from cc_ros.web.server import check_token

TOKEN = "a token of this test"


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


@contextmanager
def running(token: str) -> Iterator[int]:
    app = Starlette(
        routes=[Route("/", page), WebSocketRoute("/live", live)], middleware=[Middleware(Access, token=token)]
    )
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def open_port() -> Iterator[int]:
    with running("") as port:
        yield port


@pytest.fixture(scope="module")
def locked_port() -> Iterator[int]:
    with running(TOKEN) as port:
        yield port


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


def get(port: int, path: str = "/", **headers: str) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()


def refused_socket(port: int, **headers: str) -> bool:
    try:
        with connect(f"ws://127.0.0.1:{port}/live", additional_headers=headers, open_timeout=10) as socket:
            return socket.recv(timeout=10) != "inside"
    except InvalidStatus as error:
        return error.response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1", "[::1]:80"])
def test_on_loopback_its_own_names_are_answered(open_port: int, host: str) -> None:
    assert get(open_port, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example:80", "[", ""]
)
def test_another_name_for_this_machine_is_refused(open_port: int, host: str) -> None:
    assert get(open_port, Host=host)[0] in (400, 403)  # 400: no host name at all


def test_a_page_of_another_site_can_not_connect(open_port: int, locked_port: int) -> None:
    own = f"http://127.0.0.1:{open_port}"
    assert not refused_socket(open_port, Origin=own)
    for origin in ("http://attacker.example", "null", f"http://127.0.0.1:{open_port + 1}", f"{own}.attacker.example"):
        assert refused_socket(open_port, Origin=origin), origin
        assert get(open_port, Origin=origin)[0] == 403
    cookie = get(locked_port, f"/?token={TOKEN.replace(' ', '+')}")[1]["set-cookie"].partition(";")[0]
    assert refused_socket(locked_port, Origin="http://attacker.example", Cookie=cookie)


def test_without_the_token_there_is_nothing(locked_port: int) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Cookie": f"cc_ros_{locked_port}={TOKEN}"},
    ):
        status, _, text = get(locked_port, **headers)
        assert status == 403 and "inside" not in text and TOKEN not in text
        assert refused_socket(locked_port, **headers)
    assert get(locked_port, "/?token=wrong")[0] == 403
    assert get(locked_port, "/?token=%C3%A4")[0] == 403


def test_the_token_opens_a_browser_once_and_stands_nowhere(locked_port: int) -> None:
    status, headers, text = get(locked_port, f"/?token={TOKEN.replace(' ', '+')}")
    assert status == 303 and headers["location"] == "/"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert not any(TOKEN in said or TOKEN.replace(" ", "+") in said for said in (cookie, text, headers["location"]))
    kept = cookie.partition(";")[0]
    assert get(locked_port, Cookie=kept)[0] == 200
    assert not refused_socket(locked_port, Cookie=kept)


def test_programs_show_the_token_in_a_header(locked_port: int) -> None:
    assert get(locked_port, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert not refused_socket(locked_port, Authorization=f"bearer {TOKEN}")


def test_every_answer_forbids_what_comes_from_elsewhere(open_port: int, locked_port: int) -> None:
    for port in (open_port, locked_port):
        headers = get(port)[1]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_others_need_a_token_and_a_port_that_is_taken_is_told(open_port: int) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "robot.example"):
        with pytest.raises(SettingsError, match="--token"):
            check_token(host, "")
        check_token(host, TOKEN)
    with pytest.raises(CCError, match=f"port {open_port}"):
        listen("127.0.0.1", open_port)

"""Who may look: a token, no foreign pages, no foreign names for this machine, nothing from elsewhere in the page."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

COOKIE = "cc_ros_{}"  # with the port: browsers share the cookies of one host among its ports
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Access:
    """ASGI middleware in front of everything.

    A browser is let in by ``?token=T`` once, and gets a cookie that no script can read; programs send
    ``Authorization: Bearer T``. A page of another site can neither connect (its Origin differs from the Host that it
    asks) nor reach this server under a name of its own (DNS rebinding): on loopback only the names of loopback are
    answered, elsewhere such a name has no cookie.

    :param token: "" = none is needed, which only a server on loopback may say.
    """

    def __init__(self, app: ASGIApp, token: str = "") -> None:
        self._app = app
        self._token = token
        # What the cookie holds tells nothing of the token, and is still good after a restart.
        self._pass = hmac.new(token.encode(), b"cc_ros live page", hashlib.sha256).hexdigest() if token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        cookie = COOKIE.format((scope.get("server") or ("", 0))[1])
        refusal = self._refusal(headers, given, cookie)
        if scope["type"] == "websocket":
            await (WebSocketClose(4403, refusal) if refusal else self._app)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app: ASGIApp = self._app
        if refusal:
            app = PlainTextResponse(refusal, 403)
        elif given and self._token:
            response = RedirectResponse(scope["path"], 303)  # so that it stands neither in the address nor in history
            response.set_cookie(cookie, self._pass, httponly=True, samesite="strict", max_age=30 * 86400)
            app = response
        await app(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers, given: str, cookie: str) -> str:
        """Return why a request is refused, "" where it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._token and _name(f"//{host}") not in LOOPBACK_NAMES:
            return "This server answers as localhost only; for other names start it with --token."
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "Another site's page may not use this server."
        if self._token and not self._known(headers, given, cookie):
            return "A token is needed: open the address with ?token= and the token that cc-ros web was given."
        return ""

    def _known(self, headers: Headers, given: str, cookie: str) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        said = given or (bearer.strip() if kind.lower() == "bearer" else "")
        if said:
            return hmac.compare_digest(said.encode(), self._token.encode())
        return hmac.compare_digest(_cookie(headers, cookie).encode(), self._pass.encode())


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""

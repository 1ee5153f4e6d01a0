"""The server of the live page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

import cc_ros.runs
from cc_ros.client import SpatialMemory
from cc_ros.errors import SettingsError
from cc_ros.serving import is_loopback
from cc_ros.web.access import Access
from cc_ros.web.board import Board
from cc_ros.web.browser import Browser
from cc_ros.web.desk import Desk
from cc_ros.web.feed import Feed

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": PAGE / "index.html",
    "/live.js": PAGE / "live.js",
    "/plots.js": PAGE / "plots.js",
    "/live.css": PAGE / "live.css",
    "/page.css": Path(cc_ros.runs.__file__).parent / "page.css",  # the looks of the report
}
MOST_BROWSERS = 16
FOREVER = {"Cache-Control": "private, max-age=86400, immutable"}  # a picture is named by its content
FRESH = {"Cache-Control": "no-cache"}


def make_app(namespace: str = "", token: str = "", wait: float = 5.0) -> Starlette:
    """Return the page as an ASGI application; it joins the ROS graph when it starts and leaves it when it ends.

    :param namespace: of the robot's nodes.
    :param token: that browsers have to show; "" = none.
    :param wait: seconds that a question waits for the nodes to appear.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        memory = await asyncio.to_thread(SpatialMemory, namespace, name="cc_web", wait=wait)
        board = Board(asyncio.get_running_loop())
        feed = Feed(memory, board)
        app.state.board, app.state.feed = board, feed
        app.state.desk, app.state.browsers = Desk(memory, board, feed), 0
        try:
            yield
        finally:
            feed.close()
            await asyncio.to_thread(memory.close)

    routes = [Route(path, _file(file)) for path, file in FILES.items()]
    routes.append(Route("/favicon.ico", _nothing))  # browsers ask for one
    return Starlette(
        routes=[*routes, Route("/picture/{name}.jpg", _picture), WebSocketRoute("/live", _live)],
        middleware=[Middleware(Access, token=token)],
        lifespan=lifespan,
    )


def check_token(host: str, token: str) -> None:
    """See that whoever can reach the page has to show a token.

    :raises SettingsError: others can reach it, and there is none.
    """
    if not token and not is_loopback(host):
        raise SettingsError(f"others can reach {host}: give --token, or CC_ROS_TOKEN in the environment")


def _file(path: Path) -> Any:
    async def give(request: Request) -> Response:
        return FileResponse(path, headers=FRESH)

    return give


async def _nothing(request: Request) -> Response:
    return Response(status_code=204)


async def _picture(request: Request) -> Response:
    jpeg = request.app.state.board.picture(request.path_params["name"])
    if jpeg is None:
        return PlainTextResponse("this picture is not kept any more", 404)
    return Response(jpeg, media_type="image/jpeg", headers=FOREVER)


async def _live(socket: WebSocket) -> None:
    state = socket.app.state
    if state.browsers >= MOST_BROWSERS:
        await socket.close(4429, f"{MOST_BROWSERS} browsers watch already")
        return
    state.browsers += 1
    try:
        await asyncio.to_thread(state.feed.watch, 1)
        try:
            await Browser(socket, state.board, state.desk).run()
        finally:
            await asyncio.shield(asyncio.to_thread(state.feed.watch, -1))
    finally:
        state.browsers -= 1

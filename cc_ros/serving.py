"""A listening socket and uvicorn on it, for what is served by HTTP."""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any

from cc_ros.errors import CCError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LONGEST_MESSAGE = 16384  # bytes of a WebSocket's message


def is_loopback(host: str) -> bool:
    """Whether an address or a name can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    :param port: 0 = any free one.
    :raises CCError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except (OSError, OverflowError) as error:
        raise CCError(f"cannot listen on {host}, port {port}: {error}; port 0 takes any free one") from error


def address(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, listening: socket.socket, stop: threading.Event) -> None:
    """Serve until SIGINT or SIGTERM, which uvicorn takes meanwhile and hands on once it has ended.

    :param stop: set where one of them came before that.
    """
    import uvicorn

    options: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,  # addresses hold the token once
        "server_header": False,
        "ws_max_size": LONGEST_MESSAGE,
        "ws_per_message_deflate": False,  # JPEG does not shrink
        "limit_concurrency": 128,
        "timeout_graceful_shutdown": 2,
        "lifespan": "on",
    }
    server = uvicorn.Server(uvicorn.Config(app, **options))
    server.should_exit = stop.is_set()
    server.run(sockets=[listening])

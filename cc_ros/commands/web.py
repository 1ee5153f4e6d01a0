"""a live page of what the running nodes see, and a place to ask them

Shows the picture with tracks, the keyframes, a map, the timeline, and the state of the nodes. For this machine alone
unless --host says otherwise, which needs a token. Ctrl-C stops it; the nodes may come and go meanwhile.

  cc-ros web
  CC_ROS_TOKEN=... cc-ros web --host 0.0.0.0
"""

from __future__ import annotations

import argparse
import importlib.util
import os

from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError

PORT = 8600
TOKEN = "CC_ROS_TOKEN"  # in the environment, where other users of the machine do not see it
NEEDS = ("starlette", "uvicorn", "websockets")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help="0 = any free one; default %(default)s")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on; any but loopback needs a token"
    )
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"that browsers show once, as ?token=T; {TOKEN} in the environment is not seen by ps",
    )
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")


def need_web() -> None:
    """See that the server can be had.

    :raises CCError: a package is missing.
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise CCError(f"the live page needs {', '.join(missing)}: pip install 'cc_ros[web]'")


def main(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    need_ros()
    need_web()
    from cc_ros.serving import address, listen, serve
    from cc_ros.tracking.priority import WATCHED, give_way
    from cc_ros.web.server import check_token, make_app

    give_way(WATCHED)
    token = os.environ.get(TOKEN, "") if options.token is None else options.token
    check_token(options.host, token)
    with stop_on_signals() as stop, listen(options.host, options.port) as listening:
        how = ", the first time with ?token= and the token" if token else ""
        print(f"cc_ros: open {address(listening)}/{how}", flush=True)
        serve(make_app(options.namespace, token), listening, stop)
    return 0

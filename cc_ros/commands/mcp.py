"""serve agents by the Model Context Protocol: look, ask, measure

Over stdin and stdout, as most programs start it, or over HTTP on this machine (http://127.0.0.1:N/mcp). Agents can send
the robot somewhere only with --allow-goals, and then a person is asked by the agent's program each time.

  cc-ros mcp
  cc-ros mcp --http 8601
"""

from __future__ import annotations

import argparse
import importlib.util

from cc_ros.commands.options import amount
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP on loopback instead of stdin and stdout")
    parser.add_argument("--allow-goals", action="store_true", help="let agents send the robot before an object")
    parser.add_argument(
        "--goal-distance", type=float, default=5.0, metavar="M", help="goals lie within so many metres; default 5"
    )
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")
    parser.add_argument(
        "--wait",
        type=amount(float),
        default=10.0,
        metavar="S",
        help="that a call waits for the nodes; default 10",
    )


def main(options: argparse.Namespace) -> int:
    """Serve until the agent's program ends, or until interrupted."""
    need_ros()
    if importlib.util.find_spec("mcp") is None:
        raise CCError("agents are served by the package mcp, which is missing: pip install 'cc_ros[mcp]'")
    from cc_ros.client import SpatialMemory
    from cc_ros.mcp.goals import GoalLimits
    from cc_ros.mcp.server import make_server

    goals = GoalLimits(options.goal_distance) if options.allow_goals else None
    with SpatialMemory(options.namespace, name="cc_mcp", wait=options.wait) as memory:
        server = make_server(memory, goals)
        if options.http is None:
            server.run()
            return 0
        from cc_ros.serving import address, listen, serve

        # On loopback alone: nothing here asks who calls.
        with stop_on_signals() as stop, listen("127.0.0.1", options.http) as listening:
            print(f"cc_ros: agents connect to {address(listening)}/mcp", flush=True)
            serve(server.streamable_http_app(host="127.0.0.1"), listening, stop)
    return 0

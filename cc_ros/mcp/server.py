"""The server, over stdin and stdout or over HTTP on loopback."""

from __future__ import annotations

from mcp.server import MCPServer

from cc_ros import __version__
from cc_ros.client import SpatialMemory
from cc_ros.mcp.goals import GoalLimits, add_goal_tool
from cc_ros.mcp.tools import add_tools

INSTRUCTIONS = (
    "A robot's spatial memory. The same number is the same object in every picture of an episode; use these numbers in "
    "questions. Look with keyframes, list with objects, measure with where, ask for anything else with ask."
)


def make_server(memory: SpatialMemory, goals: GoalLimits | None = None) -> MCPServer:
    """Return the server with its tools.

    :param memory: the client of the nodes, which may come and go.
    :param goals: None = agents cannot send the robot anywhere.
    """
    server = MCPServer("cc_ros", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    add_tools(server, memory)
    if goals is not None:
        add_goal_tool(server, memory, goals)
    return server

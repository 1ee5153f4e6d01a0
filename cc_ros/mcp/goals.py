"""The tool that makes a robot move."""

# No postponed annotations: the SDK evaluates those of a tool outside the function that makes it.
import math
import threading
import time
from dataclasses import dataclass
from typing import Annotated

import anyio
from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation, DeclinedElicitation
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from cc_ros.client import SpatialMemory
from cc_ros.mcp.tools import in_thread
from cc_ros.mcp.values import Sent
from cc_ros.reasoning.types import Goal

MOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)
Mark = Annotated[int, Field(ge=1, le=65535, description="number of the object")]


@dataclass(frozen=True, slots=True)
class GoalLimits:
    """What limits the goals of agents.

    :param distance: metres from the robot to the object.
    :param pause: seconds between two goals.
    """

    distance: float = 5.0
    pause: float = 10.0


class Agreed(BaseModel):
    """What the person beside the robot says."""

    go: bool = Field(description="Let the robot drive there")


def add_goal_tool(server: MCPServer, memory: SpatialMemory, limits: GoalLimits) -> None:
    """Add it; a person is shown the very place and has to agree, by the agent's program, each time."""
    sent_at = -math.inf
    one_at_a_time = anyio.Lock()
    shown: dict[int, Goal] = {}  # by mark, what a person was asked about last

    async def confirm(mark: Mark) -> Elicit[Agreed]:
        goal = await in_thread(lambda _: memory.goal(mark))
        here = await in_thread(lambda _: memory.where(mark))
        if here.distance is None or here.distance > limits.distance:
            far = "at an unknown distance" if here.distance is None else f"{here.distance:.1f} m away"
            raise ToolError(f"mark {mark} is {far}; goals of agents lie within {limits.distance:g} m")
        shown[mark] = goal
        place = f"({goal.x:.1f}, {goal.y:.1f}) in {goal.frame or 'an unnamed frame'}"
        return Elicit(f"Send the robot before mark {mark}, to {place}? It may begin to drive at once.", Agreed)

    @server.tool(annotations=MOVES)
    async def goal(
        mark: Mark,
        agreed: Annotated[AcceptedElicitation[Agreed] | DeclinedElicitation | CancelledElicitation, Resolve(confirm)],
    ) -> Sent:
        """Send the robot before an object. The person beside it is asked first, and nothing is sent without a yes."""
        nonlocal sent_at
        if not (isinstance(agreed, AcceptedElicitation) and agreed.data.go):
            raise ToolError("nobody agreed: no goal was sent")
        async with one_at_a_time:
            wait = limits.pause - (time.monotonic() - sent_at)
            if wait > 0:
                raise ToolError(f"a goal was sent a moment ago; the next one in {wait:.0f} s")

            def work(cancel: threading.Event) -> Sent:
                found = memory.send_goal(mark, shown[mark], cancel=cancel)
                return Sent(mark=mark, x=round(found.x, 2), y=round(found.y, 2), frame=found.frame)

            result = await in_thread(work)
            sent_at = time.monotonic()
            return result

"""The tools for agents by the SDK's own client, over stdio and over HTTP, against nodes over DDS."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import anyio
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mcp.server")  # "mcp" alone is this folder as well

from geometry_msgs.msg import PoseStamped
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import ElicitResult, ImageContent
from support.model_server import Handler, Hang, ModelServer, reply
from support.rig import cc_ros, environment, isolated, until
from support.robot import ROOM, robot

from cc_ros.client import SpatialMemory
from cc_ros.geometry.changes import Changes, Moved
from cc_ros.mcp.goals import GoalLimits
from cc_ros.mcp.server import make_server


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with isolated(), ModelServer() as server:
        yield server


@asynccontextmanager
async def over_stdio(*options: str, **callbacks: Any) -> AsyncIterator[Client]:
    command = ["-m", "cc_ros.cli", "mcp", *options]
    async with Client(
        StdioServerParameters(command=sys.executable, args=command, env=environment()), **callbacks
    ) as client:
        yield client


@asynccontextmanager
async def over_http(*options: str, **callbacks: Any) -> AsyncIterator[Client]:
    with cc_ros("mcp", "--http", "0", *options) as program:
        await anyio.to_thread.run_sync(program.wait_for, "/mcp")
        async with Client(program.text.split("connect to ")[1].split()[0], **callbacks) as client:
            yield client


@dataclass
class UntilHeard:
    """Say a reply, and hold its end back until its begin was heard: however busy the machine is, it is told."""

    text: str
    heard: threading.Event

    def run(self, handler: Handler, body: dict[str, Any]) -> None:
        begin, comma, end = self.text.partition(",")
        handler.start_chunks("text/event-stream")
        piece = begin + comma
        while not self.heard.is_set():
            handler.event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            handler.wait(0.05)
            piece = " "
        handler.event({"choices": [{"index": 0, "delta": {"content": end}, "finish_reason": "stop"}]})
        handler.chunk(b"data: [DONE]\n\n")
        handler.end_chunks()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(90):
            await work()

    anyio.run(bounded)


async def fails(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return result.content[0].text


def test_a_client_comes_back_by_itself_after_the_nodes_were_restarted(server: ModelServer) -> None:
    async def work() -> None:
        async with over_http() as client:
            for _ in range(2):  # the nodes are started, and started again
                with robot(server):
                    await uses(client, server)

    run(work)


async def uses(client: Client, server: ModelServer) -> None:
    heard = threading.Event()
    server.always(UntilHeard(reply("two chairs", marks=[2]), heard))
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)
        if "two" in (message or ""):
            heard.set()

    result = await client.call_tool("ask", {"question": "What stands in the corner?"}, progress_callback=progress)
    assert not result.is_error, result.content
    assert result.structured_content["answer"] == "two chairs" and result.structured_content["marks"] == [2]
    assert any(message and "two" in message for message in told), told
    result = await client.call_tool("keyframes", {"frames": 2})
    pictures = [part for part in result.content if isinstance(part, ImageContent)]
    assert len(pictures) == 2 and {part.mime_type for part in pictures} == {"image/jpeg"}
    assert all(base64.b64decode(part.data).startswith(b"\xff\xd8") for part in pictures)
    result = await client.call_tool("objects", {})
    seen = {one["mark"]: one for one in result.structured_content["objects"]}
    assert set(seen) == set(ROOM) and seen[2]["pictures"] == 3 and seen[2]["point"] == [2.0, 0.0, 0.7]
    result = await client.call_tool("where", {"mark": "2"})
    assert result.structured_content["distance"] == pytest.approx(2.0, abs=0.05)
    assert result.structured_content["frame"] == "odom"
    result = await client.call_tool("changed", {"seconds": 0.6})
    assert result.structured_content["new"] == [] and result.structured_content["moved"] == []
    assert not result.structured_content["remembered"]


def test_tools_are_bounded_and_what_is_given_up_ends(server: ModelServer) -> None:
    async def work() -> None:
        async with over_stdio("--wait", "10") as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"ask", "keyframes", "objects", "where", "changed"}
            assert all(tool.description and tool.annotations.read_only_hint for tool in tools.values())
            with robot(server):
                await uses(client, server)
                assert "less than or equal to 16" in await fails(client, "keyframes", frames=17)
                assert "at most 2000 characters" in await fails(client, "ask", question="x" * 2001)
                assert "no keyframe shows mark 77" in await fails(client, "where", mark=77)
                assert "is no time" in await fails(client, "changed", since="sometime")
                assert "Unknown tool" in await fails(client, "goal", mark=2)
                server.script(Hang())
                assert "TIMEOUT" in await fails(client, "ask", question="Will this take long?", timeout=0.5)
                server.script(Hang())
                before = len(server.received)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(client.call_tool, "ask", {"question": "And this?"}))
                    await anyio.to_thread.run_sync(until, lambda: len(server.received) > before)
                    tasks.cancel_scope.cancel()
                assert await anyio.to_thread.run_sync(server.wait_idle), "the model is still being asked"

    run(work)


def test_changes_that_are_remembered_are_told_with_the_time_that_they_are_since() -> None:
    class Remembering:
        def changed(self, seconds: float, since: float) -> Changes:
            return Changes((5,), (2,), (), (Moved(4, None, (1.0, 2.004, 0.5)),), since, remembered=True)

    async def work() -> None:
        async with Client(make_server(cast(SpatialMemory, Remembering()))) as client:
            result = await client.call_tool("changed", {"since": "2026-11-26 08:30"})
            assert result.structured_content == {
                **{"since": "2026-11-26 08:30:00", "remembered": True, "new": [5], "absent": [2], "unseen": []},
                "moved": [{"mark": 4, "before": None, "now": [1.0, 2.0, 0.5]}],
            }

    run(work)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_robot_moves_only_after_a_persons_yes(server: ModelServer, mode: str) -> None:
    said: list[str] = []
    answers = iter([ElicitResult(action="decline"), ElicitResult(action="accept", content={"go": False})])

    async def person(context: Any, params: Any) -> ElicitResult:
        said.append(params.message)
        return next(answers, ElicitResult(action="accept", content={"go": True}))

    async def work() -> None:
        with robot(server) as look, SpatialMemory() as memory:
            goals = look.listen(PoseStamped, "cc/goal")
            tools = make_server(memory, GoalLimits())
            async with Client(tools, mode=mode) as client:
                (tool,) = (tool for tool in (await client.list_tools()).tools if tool.name == "goal")
                assert tool.annotations.destructive_hint and set(tool.input_schema["properties"]) == {"mark"}
                with pytest.raises(MCPError, match="elicitation"):  # nobody can be asked
                    await client.call_tool("goal", {"mark": 2})
            async with Client(tools, mode=mode, elicitation_callback=person) as client:
                assert "within 5 m" in await fails(client, "goal", mark=3)
                assert "no keyframe shows mark 77" in await fails(client, "goal", mark=77)
                for _ in range(2):
                    assert "nobody agreed" in await fails(client, "goal", mark=2)
                assert goals == []
                result = await client.call_tool("goal", {"mark": 2})
                assert not result.is_error, result.content
                await anyio.to_thread.run_sync(until, lambda: goals)
                assert goals[0].pose.position.x == pytest.approx(result.structured_content["x"], abs=0.01)
                assert "before mark 2" in said[0] and "odom" in said[0]
                assert "the next one in" in await fails(client, "goal", mark=2)
                assert len(goals) == 1

    run(work)

"""The tools: each one call of the client, bounded, in a thread, and ended when the agent gives it up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.types import Image
from mcp_types import ToolAnnotations
from pydantic import Field

from cc_ros.client import SpatialMemory
from cc_ros.client.places import places_in
from cc_ros.errors import CCError
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.mcp.values import Answered, Changed, MovedObject, Objects, Seen, Whereabouts, known
from cc_ros.reasoning.when import instant

T = TypeVar("T")
TIMES = "2026-11-25 14:30, 14:30, yesterday, this morning, 2 hours ago"
MOST_BYTES = 6_000_000  # of pictures in one result
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Question = Annotated[str, Field(min_length=1, max_length=2000, description="in plain words; objects by their number")]
LastSeconds = Annotated[float, Field(ge=0, le=1e6, description="only from the last so many seconds; 0 = all")]


def add_tools(server: MCPServer, memory: SpatialMemory) -> None:
    """Add the tools that only look."""

    @server.tool(annotations=READS)
    async def ask(
        question: Question,
        ctx: Context,
        choices: Annotated[list[str], Field(max_length=26, description="answers to choose from")] = [],  # noqa: B006
        last_seconds: LastSeconds = 0,
        timeout: Annotated[float, Field(gt=0, le=300, description="seconds")] = 60,
    ) -> Answered:
        """Ask about the scene that the robot's camera has seen: what, where, how many, left or right of what.

        Questions about numbered objects alone are measured; others are answered by the model that is set up.
        """
        told = _Progress(ctx)

        def work(cancel: threading.Event) -> Answered:
            answer = memory.ask(
                question,
                choices=choices,
                last_seconds=last_seconds,
                timeout=timeout,
                on_progress=told,
                cancel=cancel,
            )
            if not answer.ok:
                raise ToolError(f"{answer.status.name}: {answer.message}")
            return Answered.of(answer)

        return await in_thread(work)

    @server.tool(annotations=READS, structured_output=False)
    async def keyframes(
        frames: Annotated[int, Field(ge=1, le=16, description="pictures")] = 4,
        last_seconds: LastSeconds = 0,
        style: Annotated[
            Literal["marks", "raw"], Field(description="with numbers on the objects or without")
        ] = "marks",
    ) -> list[str | Image]:
        """Look: pictures spread over what the camera has seen, the same number on the same object in each."""
        found = await in_thread(lambda _: memory.keyframes(frames, last_seconds=last_seconds, style=style))
        return _pictures(found)

    @server.tool(annotations=READS)
    async def objects(last_seconds: LastSeconds = 0) -> Objects:
        """List the numbered objects: how often each was seen, when last, and where it is."""
        return await in_thread(lambda _: _objects(memory.keyframes(last_seconds=last_seconds)))

    @server.tool(annotations=READS)
    async def where(
        mark: Annotated[int | str, Field(description="its number, or a question such as: Which mark is the lamp?")],
        timeout: Annotated[float, Field(gt=0, le=300, description="seconds")] = 60,
    ) -> Whereabouts:
        """Tell where one object is, in metres and as seen from the camera now."""
        wanted = int(mark) if isinstance(mark, str) and mark.strip().isdecimal() else mark
        return await in_thread(lambda _: Whereabouts.of(memory.where(wanted, timeout=timeout)))

    @server.tool(annotations=READS)
    async def changed(
        seconds: Annotated[float, Field(gt=0, le=1e6, description="compare these last seconds with before")] = 60,
        since: Annotated[str, Field(max_length=40, description=f"instead, compare since then: {TIMES}")] = "",
    ) -> Changed:
        """Tell what changed: what came, what is gone, what moved; over restarts where the robot keeps a memory."""
        begin = _begin_of(since)

        def work(_: threading.Event) -> Changed:
            found = memory.changed(seconds, since=begin)
            return Changed(
                since=f"{datetime.fromtimestamp(found.since):%Y-%m-%d %H:%M:%S}",
                remembered=found.remembered,
                new=list(found.new),
                absent=list(found.absent),
                unseen=list(found.unseen),
                moved=[MovedObject(mark=m.mark, before=known(m.before), now=known(m.now)) for m in found.moved],
            )

        return await in_thread(work)


def _begin_of(text: str) -> float:
    """Return the begin of a time in words, seconds since 1970; 0 where none is named.

    :raises ToolError: it is no time.
    """
    try:
        return instant(text, time.time())[0] if text else 0.0
    except ValueError as error:
        raise ToolError(str(error)) from error


class _Progress:
    """Tells an agent how a question gets on; called in a thread of ``in_thread``."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._count = 0

    def __call__(self, stage: str, text: str) -> None:
        self._count += 1
        anyio.from_thread.run(self._ctx.report_progress, float(self._count), None, f"{stage}: {text[-500:]}")


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Do what waits in a thread; what the agent gives up is cancelled.

    :param work: is given a flag that says so.
    :raises ToolError: with the words of what it raises.
    """
    cancel = threading.Event()
    try:
        return await anyio.to_thread.run_sync(work, cancel, abandon_on_cancel=True)
    except CCError as error:
        raise ToolError(str(error)) from error
    finally:
        cancel.set()


def _pictures(found: list[MarkedKeyframe]) -> list[str | Image]:
    newest = found[-1].stamp
    kept: list[MarkedKeyframe] = []
    size = 0
    for keyframe in reversed(found):
        size += len(keyframe.jpeg)
        if size <= MOST_BYTES or not kept:
            kept.insert(0, keyframe)
    result: list[str | Image] = []
    if len(kept) < len(found):
        result.append(f"{len(found) - len(kept)} older pictures are left out: all would be {size / 1e6:.0f} MB")
    for keyframe in kept:
        marks = ", ".join(str(mark.id) for mark in keyframe.marks) or "none"
        result += [
            f"{newest - keyframe.stamp:.1f} s before the newest; marks: {marks}",
            Image(data=keyframe.jpeg, format="jpeg"),
        ]
    return result


def _objects(found: list[MarkedKeyframe]) -> Objects:
    newest = found[-1].stamp
    seen: list[Seen] = []
    for place in places_in(found):
        stamps = [frame.stamp for frame in found if any(mark.id == place.mark for mark in frame.marks)]
        known = Whereabouts.of(place).model_dump()
        seen.append(Seen(**known, pictures=len(stamps), last_seen=round(newest - max(stamps), 1)))
    return Objects(objects=seen)

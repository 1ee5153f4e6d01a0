"""One browser: what is new goes out to it, the newest first; what it wants done comes in."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import anyio
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from cc_ros.web.board import Board
from cc_ros.web.desk import Ask, Cancel, Desk, Go, More, Reset, Stop, Wish

AHEAD = 2  # pictures on their way that a browser has not shown yet: one on the wire while one is drawn
MOST_QUESTIONS = 4  # of one browser at a time
PICTURE = "picture"

log = logging.getLogger(__name__)
_WISHES: TypeAdapter[Any] = TypeAdapter(Wish)


class Browser:
    """Serves one WebSocket until it closes.

    A picture is sent only when the browser has shown an earlier one, so that a slow one gets fewer and newer pictures
    instead of a queue of old ones.
    """

    def __init__(self, socket: WebSocket, board: Board, desk: Desk) -> None:
        self._socket = socket
        self._board = board
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._credit = AHEAD
        self._outbox: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._questions: dict[int, threading.Event] = {}
        self._notices = 0

    async def run(self) -> None:
        """Serve it."""
        await self._socket.accept()
        self._board.join(self._wake)
        self._wake.set()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send)
                await self._receive(tasks)
                tasks.cancel_scope.cancel()
        finally:
            self._board.leave(self._wake)

    # -- out

    async def _send(self) -> None:
        seen: dict[str, int] = {}
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    (kind, _), value = self._outbox.popitem(last=False)
                    await self._socket.send_text(json.dumps({"kind": kind, "value": value}))
                for kind in self._board.kinds:
                    news = self._board.newer(kind, seen.get(kind, 0))
                    if news is None or (kind == PICTURE and not self._credit):
                        continue
                    seen[kind], data = news
                    if isinstance(data, bytes):
                        self._credit -= 1
                        await self._socket.send_bytes(data)
                    else:
                        await self._socket.send_text(data)
        except (WebSocketDisconnect, RuntimeError):  # closed while something was sent: the receiver notices as well
            return

    def _put(self, kind: str, number: int, value: Any) -> None:
        """Send something to this browser alone; what waits under the same number is replaced."""
        self._outbox[kind, number] = value
        self._wake.set()

    def _notice(self, text: str) -> None:
        self._notices += 1
        self._put("notice", self._notices, text)

    # -- in

    async def _receive(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except (WebSocketDisconnect, KeyError):  # KeyError: bytes came
                return
            try:
                self._take(_WISHES.validate_json(text or ""), tasks)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                self._notice(f"Not understood: {'.'.join(map(str, first['loc']))}: {first['msg']}")

    def _take(self, wish: Any, tasks: anyio.abc.TaskGroup) -> None:
        if isinstance(wish, More):
            self._credit = min(self._credit + 1, AHEAD)
            self._wake.set()
        elif isinstance(wish, Cancel):
            if wish.id in self._questions:
                self._questions[wish.id].set()
        elif isinstance(wish, Reset):
            tasks.start_soon(self._tell, self._desk.reset)
        elif isinstance(wish, Go):
            tasks.start_soon(self._tell, lambda: self._desk.go(wish))
        elif isinstance(wish, Stop):
            for cancel in self._questions.values():
                cancel.set()
            tasks.start_soon(self._tell, self._desk.stop)
        elif wish.id in self._questions or len(self._questions) >= MOST_QUESTIONS:
            refusal = f"{MOST_QUESTIONS} questions at a time: wait, or cancel one"
            self._put("answer", wish.id, {"id": wish.id, "ok": False, "cancelled": False, "message": refusal})
        else:
            self._questions[wish.id] = threading.Event()
            tasks.start_soon(self._ask, wish)

    async def _ask(self, wish: Ask) -> None:
        def on_progress(stage: str, text: str) -> None:
            told = {"id": wish.id, "stage": stage, "text": text}
            self._loop.call_soon_threadsafe(self._put, "progress", wish.id, told)

        cancel = self._questions[wish.id]
        try:
            answer = await _in_thread(lambda: self._desk.ask(wish, on_progress, cancel))
        except Exception as error:  # a defect met in one question must not end the page
            log.exception("a question failed")
            answer = {"ok": False, "cancelled": False, "message": f"the page failed: {error!r}"}
        finally:
            cancel.set()  # also where the browser has gone: nobody waits for the answer any more
            del self._questions[wish.id]
        self._outbox.pop(("progress", wish.id), None)
        self._put("answer", wish.id, {"id": wish.id, **answer})

    async def _tell(self, work: Callable[[], str]) -> None:
        self._notice(await _in_thread(work))


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Do what waits in a thread; once the browser has gone it is left alone, and its cancelled questions end."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

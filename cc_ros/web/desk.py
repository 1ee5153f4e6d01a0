"""What a browser can have done: questions, goals, a new episode, a stop. It waits, so it is called in threads."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cc_ros.client import NodeError, SpatialMemory
from cc_ros.client.places import places_in
from cc_ros.errors import CCError
from cc_ros.reasoning.types import Goal, Progress
from cc_ros.web import views
from cc_ros.web.board import Board
from cc_ros.web.feed import Feed

MOST_EVIDENCE = 8  # pictures beside an answer


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Ask(_Wish):
    """A question; zero means as cc_reasoner is set up."""

    do: Literal["ask"]
    id: int
    question: str = Field(min_length=1, max_length=2000)
    last_seconds: float = Field(0.0, ge=0, le=1e6)


class Cancel(_Wish):
    """Nobody wants the answer to a question any more."""

    do: Literal["cancel"]
    id: int


class Go(_Wish):
    """Send the robot before a mark, where somebody has seen and agreed to the goal."""

    do: Literal["go"]
    mark: int = Field(ge=1, le=65535)
    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    frame: str


class Reset(_Wish):
    """Begin a new episode."""

    do: Literal["reset"]


class Stop(_Wish):
    """Stop the robot and all questions."""

    do: Literal["stop"]


class More(_Wish):
    """The last picture is on the screen: the next one may come."""

    do: Literal["more"]


Wish = Annotated[Ask | Cancel | Go | Reset | Stop | More, Field(discriminator="do")]


class Desk:
    """Does what browsers ask for by the client of the nodes; thread-safe."""

    def __init__(self, memory: SpatialMemory, board: Board, feed: Feed) -> None:
        self._memory = memory
        self._board = board
        self._feed = feed
        self._going = threading.Lock()  # held while a goal is being sent
        self._stopped = threading.Event()  # ends the sending under way

    def ask(self, wish: Ask, on_progress: Progress, cancel: threading.Event) -> views.Plain:
        """Return the answer to a question with its evidence, or why there is none."""
        try:
            result = self._memory.query(
                wish.question, last_seconds=wish.last_seconds, on_progress=on_progress, cancel=cancel
            )
        except CCError as error:
            return {"ok": False, "cancelled": False, "message": str(error)}
        keyframes, places = [], []
        if result.status == result.OK:
            try:
                keyframes = self._memory.keyframes(last_seconds=wish.last_seconds)
                places = places_in(keyframes)
            except CCError:  # the answer is good without its pictures: the episode may just have been reset
                keyframes = []
        about = set(result.mark_ids)
        shown = [keyframe for keyframe in keyframes if not about or about & {mark.id for mark in keyframe.marks}]
        fill = self._feed.fill
        evidence = views.keyframes_view(shown[-MOST_EVIDENCE:], self._board.add_picture, fill)
        return views.answer_view(result, places, evidence, fill)

    def go(self, wish: Go) -> str:
        """Publish the goal that was agreed to; return what was done, or why nothing was."""
        with self._going:
            stopped = self._stopped = threading.Event()
            try:
                goal = self._memory.send_goal(wish.mark, Goal(wish.x, wish.y, 0.0, wish.frame), cancel=stopped)
            except CCError as error:
                return f"No goal was sent: {error}"
        return f"Sent on cc/goal: before mark {wish.mark}, ({goal.x:.2f}, {goal.y:.2f}) in {goal.frame}."

    def reset(self) -> str:
        """Begin a new episode in every node."""
        try:
            self._memory.reset()
        except NodeError as error:
            return f"Not reset: {error}"
        return "A new episode has begun."

    def stop(self) -> str:
        """Stop every question and whatever drives the robot; return what was stopped."""
        self._stopped.set()
        self._memory.cancel()
        try:
            stopped = self._memory.stop()
            if self._going.locked():  # one that goes out just now is stopped as well
                with self._going:
                    stopped += self._memory.stop()
        except CCError as error:
            return f"Could NOT stop: {error}"
        return "Stop: " + (
            "; ".join(stopped) or "no navigation was found that could be stopped; questions are cancelled"
        )

"""Looking into the memory by tool calls: what is shown, what is refused, and that it is bounded."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from support.marked_scene import keyframe, looking, see
from support.model_server import Calls, HttpStatus, ModelServer, reply

from cc_ros.errors import CCError
from cc_ros.keyframes import KeyframeRequest, KeyframeSet, MarkedKeyframe, RememberedObject
from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.looks import FRAMES, MOST


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-26 {text}").timestamp()


NOW = at("14:50")
MORNING = [keyframe(10 + i, {7: (100, 100), 8: (300, 200)}, at("08:00") + i) for i in range(6)]
LATELY = see([looking(0, 0, 5), looking(0, 0, -5)], {1: (3, 1, 1), 2: (3, -1, 1)}, depth=True)
EARLIER = ("look", {"from": "this morning", "to": "2026-11-26 12:00"})


class Memory:
    """What the running episode shows, and what is remembered."""

    def __init__(self, lately: list[MarkedKeyframe] = LATELY, since: float = at("08:00")) -> None:
        self.asked: list[tuple[KeyframeRequest, tuple[int, ...]]] = []
        self.lately, self.since = lately, since

    def __call__(self, request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        assert timeout > 0
        self.asked.append((request, blur))
        if not request.reaches_back:
            return KeyframeSet(tuple(self.lately), remembered_since=self.since)
        found = [
            frame
            for frame in MORNING
            if request.since <= frame.stamp <= (request.until or NOW)
            and (not request.near or request.near in {mark.id for mark in frame.marks})
        ]
        if not found:
            raise CCError("no keyframes of that: the memory holds this morning")
        objects = (RememberedObject(7, "unseen", at("08:00"), at("08:01"), 0.0),) if request.near == 7 else ()
        return KeyframeSet(tuple(found[: request.frames]), objects=objects, remembered_since=self.since)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def quiet(server: ModelServer) -> None:
    server.script_only()
    server.always(reply("a plain answer"))
    server._server.received.clear()


@pytest.fixture
def reasoner(server: ModelServer) -> Iterator[Reasoner]:
    settings = ReasonerSettings(base_url=server.base_url, timeout=20.0, retries=0, blur_marks="8", marks=5)
    with Reasoner(settings, environ={}, now=lambda: NOW) as reasoner:
        yield reasoner


def ask(reasoner: Reasoner, memory: Any, text: str = "Was the mug always there?", **fields: Any) -> Answer:
    return reasoner.ask(Question(text, **fields), memory)


def offered(server: ModelServer, request: int = 0) -> set[str]:
    return {tool["function"]["name"] for tool in server.received[request].body.get("tools", ())}


def brought(server: ModelServer) -> list[dict[str, Any]]:
    return [json.loads(m["content"]) for m in server.received[-1].body["messages"] if m["role"] == "tool"]


def test_a_model_looks_at_an_earlier_time_and_may_name_what_it_saw(server: ModelServer, reasoner: Reasoner) -> None:
    memory, told = Memory(), list[tuple[str, str]]()
    server.script(Calls([EARLIER]), reply("it was by 7", marks=[7]))
    answer = reasoner.ask(Question("Was the mug always there?"), memory, lambda *event: told.append(event))
    assert (answer.status, answer.text, answer.mark_ids) == (Status.OK, "it was by 7", (7,)), answer.message
    assert "looked at: 4 pictures of 2026-11-26 08:00 to 2026-11-26 08:00" in answer.reason
    assert ("looking", "4 pictures of 2026-11-26 08:00 to 2026-11-26 08:00") in told
    request, blur = memory.asked[1]
    assert (request.since, request.until, request.frames, request.marks) == (at("05:00"), at("12:00"), FRAMES, 5)
    assert (request.style, blur) == ("marks", (8,)), "marked, and blurred, as the question's own pictures"
    assert {"look", "look_near", "measure_distance"} <= offered(server)
    assert "since Thursday 2026-11-26 08:00; now it is Thursday 2026-11-26 14:50" in server.received[0].texts[0]
    result, shown = server.received[1].body["messages"][-2:]
    assert result["role"] == "tool" and json.loads(result["content"])["pictures"] == FRAMES
    assert shown["role"] == "user" and "1: Thursday 2026-11-26 08:00:00, marks 7, 8" in shown["content"][-1]["text"]
    assert server.received[1].images[2:] == [frame.jpeg for frame in MORNING[:FRAMES]]
    assert answer.usage.images == 2 + FRAMES and answer.usage.requests == 2
    assert answer.usage.estimated_tokens > 0


def test_a_model_looks_for_an_object_that_is_not_in_the_newest_pictures(
    server: ModelServer, reasoner: Reasoner
) -> None:
    memory = Memory()
    server.script(Calls([("look_near", {"mark": 7})]), reply("a mug", marks=[7]))
    answer = ask(reasoner, memory, "What was mark 7?")
    assert (answer.status, answer.text, answer.mark_ids) == (Status.OK, "a mug", (7,)), answer.message
    assert memory.asked[-1][0].near == 7 and answer.places[0].missing == "no keyframe shows mark 7"
    assert ask(reasoner, memory, "What was mark 9?").status is Status.UNKNOWN_MARK, "the memory knows none"


def test_without_calibration_it_can_look_all_the_same(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(Calls([EARLIER, ("measure_distance", {"mark": 1})]), reply("no"))
    assert ask(reasoner, Memory([keyframe(0, {1: (9, 9)})])).ok
    assert offered(server) == {"look", "look_near"}
    assert brought(server)[1] == {"error": "there is no such tool; there are look, look_near"}


def test_looks_are_bounded(server: ModelServer, reasoner: Reasoner) -> None:
    memory = Memory()
    server.always(lambda body: reply("enough") if body.get("tool_choice") == "none" else Calls([EARLIER, EARLIER]))
    answer = ask(reasoner, memory)
    assert answer.text == "enough" and len(memory.asked) == 1 + MOST
    assert len(server.received[-1].images) == 2 + MOST * FRAMES
    assert [set(one) for one in brought(server)] == [{"pictures", "shown"}] * MOST + [{"error"}] * (2 * 4 - MOST)
    roles = [message["role"] for message in server.received[1].body["messages"]]
    assert roles[-4:] == ["assistant", "tool", "tool", "user"], "the pictures of a round are one turn"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("look", {"from": "sometime"}, "is no time"),
        ("look", {"to": "08:00"}, "from and to must be times"),
        ("look", {"from": "12:00", "to": "08:00"}, "to is before from"),
        ("look", {"from": "yesterday", "mark": 3}, "'mark' is none of its arguments; they are from, to"),
        ("look", '{"from": ', "not valid JSON"),
        ("look", {"from": "2026-11-20", "to": "2026-11-21"}, "the memory holds this morning"),
        ("look_near", {"mark": "7"}, "must be the number"),
        ("look_near", {"mark": True}, "must be the number"),
        ("look_near", {"mark": 70000}, "must be the number"),
        ("look_near", {"mark": 3}, "the memory holds this morning"),
    ],
)
def test_a_look_that_makes_no_sense_is_told_what_is_wrong(
    server: ModelServer, reasoner: Reasoner, name: str, arguments: Any, why: str
) -> None:
    server.script(Calls([(name, arguments)]), reply("so it seems"))
    assert ask(reasoner, Memory()).reason == "seen"
    assert why in brought(server)[0]["error"]


@pytest.mark.parametrize("wish", [{"style": "raw"}, {"style": "set_of_mark"}, {"style": "marks_measured"}])
def test_a_style_whose_numbers_are_not_those_of_objects_has_no_looks(
    server: ModelServer, reasoner: Reasoner, wish: dict[str, Any]
) -> None:
    assert ask(reasoner, Memory(), **wish).ok
    assert not offered(server)


def test_without_a_memory_or_tools_there_are_no_looks(server: ModelServer, reasoner: Reasoner) -> None:
    assert ask(reasoner, Memory(since=0.0)).ok and ask(reasoner, LATELY, "And now?").ok
    assert "look" not in offered(server, 0) | offered(server, 1)
    settings = ReasonerSettings(base_url=server.base_url, tools=False)
    with Reasoner(settings, environ={}) as plain:
        assert ask(plain, Memory()).ok
    server.script(HttpStatus(400, "registry.ai/tiny does not support tools"))
    assert ask(reasoner, Memory([keyframe(0, {1: (9, 9)})]), "And then?").ok
    assert [bool(offered(server, i)) for i in (2, 3, 4)] == [False, True, False]
    assert "The robot remembers" not in server.received[-1].texts[0]


def test_budget_and_deadline_hold_for_looks(server: ModelServer) -> None:
    server.always(Calls([EARLIER]))
    settings = ReasonerSettings(base_url=server.base_url, max_requests=2)
    with Reasoner(settings, environ={}, now=lambda: NOW) as reasoner:
        assert ask(reasoner, Memory()).status is Status.SPENDING_LIMIT

    class Slow(Memory):
        def __call__(self, request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
            if request.reaches_back:
                assert timeout < 1.0
                time.sleep(timeout)
                raise CCError("it did not answer")
            return super().__call__(request, blur, timeout)

    with Reasoner(dataclasses.replace(settings, max_requests=0), environ={}, now=lambda: NOW) as reasoner:
        begun = time.monotonic()
        assert ask(reasoner, Slow(), timeout=1.0).status is Status.TIMEOUT
        assert time.monotonic() - begun < 2.0


def test_a_question_is_cancelled_while_it_looks(server: ModelServer, reasoner: Reasoner) -> None:
    cancel, memory = threading.Event(), Memory()

    def source(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        if request.reaches_back:
            cancel.set()
        return memory(request, blur, timeout)

    server.script(Calls([EARLIER]))
    assert reasoner.ask(Question("And before?"), source, cancel=cancel).status is Status.CANCELLED

"""Measuring by tool calls: what is offered and answered, and how models and servers get it wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.known_room import scene
from support.marked_scene import keyframe, looking, see
from support.model_server import Calls, HttpStatus, ModelServer, Say, reply
from support.rig import until

from cc_ros.geometry.queries import Bearing, Beside, Distance, Is
from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.measured import tools
from cc_ros.reasoning.talk import CALLS, ROUNDS

ROOM = see([looking(0, 0, 5), looking(0, 0, -5)], {1: (3, 1, 1), 2: (3, -1, 1)}, depth=True)
APART = ("measure_distance", {"mark": 1, "of": 2})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def reasoner(server: ModelServer) -> Iterator[Reasoner]:
    settings = ReasonerSettings(base_url=server.base_url, timeout=20.0, backoff=0.01, retries=1)
    with Reasoner(settings, environ={}) as reasoner:
        yield reasoner


def ask(reasoner: Reasoner, text: str = "Is the sofa near the lamp?", frames: Any = ROOM, **fields: Any) -> Answer:
    return reasoner.ask(Question(text, **fields), frames)


def brought(server: ModelServer) -> list[dict[str, Any]]:
    """What the tools brought, as the last request tells it."""
    return [json.loads(m["content"]) for m in server.received[-1].body["messages"] if m["role"] == "tool"]


def test_every_query_but_motions_is_a_tool_with_a_schema_that_needs_nothing_else() -> None:
    names = {tool["function"]["name"] for tool in tools.definitions()}
    assert {"measure_distance", "measure_is", "measure_list_marks"} < names and len(names) == 12
    text = json.dumps(tools.definitions())
    assert "$ref" not in text and '"null"' not in text and "go_to" not in text
    assert all(tool["function"]["description"] for tool in tools.definitions())


@pytest.mark.parametrize("shape", [{}, {"whole": True}, {"numbered": False}, {"named": False}, {"piece": 1}])
def test_a_model_measures_before_it_answers(server: ModelServer, reasoner: Reasoner, shape: dict[str, Any]) -> None:
    beside = ("measure_is", {"mark": 1, "condition": {"relation": "left", "of": 2}})
    server.script(Calls([APART, beside], **shape), reply("no, two metres", marks=[1, 2]))
    told: list[tuple[str, str]] = []
    answer = reasoner.ask(Question("Is the sofa near the lamp?"), ROOM, lambda *event: told.append(event))
    assert (answer.text, answer.mark_ids, answer.source) == ("no, two metres", (1, 2), "model"), answer.message
    assert "measured: distance mark 1 of 2: 2.0 m (± 0.1 m" in answer.reason and answer.reason.startswith("seen")
    assert [fact for stage, fact in told if stage == "measuring"][1].startswith(
        "is mark 1 condition Beside(relation left"
    )
    distance, left = brought(server)
    assert (distance["answer"], left["answer"]) == ("2.0 m", "yes") and distance["sigma"] > 0
    called, *results = server.received[1].body["messages"][-3:]
    assert [call["id"] for call in called["tool_calls"]] == [result["tool_call_id"] for result in results]
    assert json.loads(called["tool_calls"][1]["function"]["arguments"]) == beside[1]
    assert answer.usage.requests == 2


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("measure_distance", '{"mark": 1', "not valid JSON"),
        ("measure_distance", "[1]", "not a JSON object"),
        ("measure_distance", '{"mark": "the sofa"}', "mark"),
        ("measure_distance", '{"mark": 1, "to": 2}', "'to' is none of its arguments"),
        ("measure_is", '{"mark": 1, "condition": {"relation": "left", "of": 2, "metres": 3}}', "'metres' is none"),
        ("measure_is", '{"mark": 1, "condition": {"relation": "nigh"}}', "condition"),
        ("measure_where", '{"mark": 1, "view": {"at": 2}}', "faces one mark"),
        ("measure_go_to", '{"mark": 1}', "no such tool"),
        ("rm", '{"mark": 1}', "no such tool"),
        ("measure_distance", '{"mark": 1, "of": ' + "2" * 3000 + "}", "longer than"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_what_is_wrong(name: str, arguments: str, why: str) -> None:
    found = tools.call(name, arguments, scene())
    assert not found.told and why in json.loads(found.content)["error"]


def test_what_cannot_be_measured_is_refused_with_the_reason_and_named_nowhere(
    server: ModelServer, reasoner: Reasoner
) -> None:
    server.script(Calls([("measure_distance", {"mark": 9}), ("measure_distance", '{"mark": ')]), reply("it seems near"))
    assert ask(reasoner).reason == "seen"
    unknown, broken = brought(server)
    assert unknown == {"unknown": "no keyframe shows mark 9; they show 1, 2", "cause": "unknown_mark"}
    assert broken == {"error": "the arguments are not valid JSON"}
    called = next(m for m in server.received[-1].body["messages"] if "tool_calls" in m)
    assert called["tool_calls"][1]["function"]["arguments"] == "{}"  # what servers can read again


@given(st.text(max_size=30) | st.sampled_from(sorted(tools.QUERIES)), st.text(max_size=60))
def test_no_call_raises(name: str, arguments: str) -> None:
    json.loads(tools.call(name, arguments, scene()).content)


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(["left", "above", "behind"]))
def test_a_call_is_the_query_that_it_spells(a: int, b: int, relation: Any) -> None:
    for name, arguments, query in (
        ("measure_bearing", {"mark": a, "of": b}, Bearing(a, b)),
        ("measure_distance", {"mark": a}, Distance(a)),
        ("measure_is", {"mark": a, "condition": {"relation": relation, "of": b}}, Is(a, Beside(relation, b))),
    ):
        assert tools._query(name, json.dumps(arguments)) == query


def test_a_model_that_measures_for_ever_has_to_answer(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(lambda body: reply("enough") if body.get("tool_choice") == "none" else Calls([APART] * (CALLS + 1)))
    answer = ask(reasoner)
    assert (answer.text, answer.usage.requests) == ("enough", ROUNDS + 1)
    assert answer.reason.count("2.0 m") == 1  # the same fact once
    assert "calls at once" in brought(server)[CALLS]["error"]


def test_a_model_that_only_ever_calls_gives_no_answer(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(Calls([APART]))
    answer = ask(reasoner)
    assert answer.status is Status.BAD_REPLY and "calls tools where an answer is due" in answer.message
    assert answer.usage.requests == ROUNDS + 2


def test_budget_and_deadline_hold_over_all_rounds(server: ModelServer) -> None:
    settings = ReasonerSettings(base_url=server.base_url, timeout=20.0, max_requests=2)
    server.always(Calls([APART]))
    with Reasoner(settings, environ={}) as reasoner:
        assert ask(reasoner).status is Status.SPENDING_LIMIT
    assert len(server.received) == 2
    server.always(Calls([APART], pause=0.3))
    with Reasoner(ReasonerSettings(base_url=server.base_url), environ={}) as reasoner:
        begun = time.monotonic()
        assert ask(reasoner, timeout=1.5).status is Status.TIMEOUT
        assert time.monotonic() - begun < 1.5 + 1


def test_a_question_is_cancelled_between_its_rounds(server: ModelServer, reasoner: Reasoner) -> None:
    cancel = threading.Event()
    server.script(Calls([APART]), Say("x", before=10.0))

    def told(stage: str, text: str) -> None:
        if stage == "measuring":
            cancel.set()

    assert reasoner.ask(Question("How far?"), ROOM, told, cancel).status is Status.CANCELLED
    until(lambda: len(server.received) <= 2)


def test_calls_larger_than_an_answer_may_be_are_cut_off(server: ModelServer) -> None:
    settings = ReasonerSettings(base_url=server.base_url, timeout=20.0, max_answer_tokens=20)
    server.script(Calls([("measure_distance", " " * 5000)], piece=1000))
    with Reasoner(settings, environ={}) as reasoner:
        answer = ask(reasoner)
    assert answer.status is Status.BAD_REPLY and "past its limit" in answer.message


@pytest.mark.parametrize(
    "refusal",
    [
        HttpStatus(400, "registry.ai/tiny does not support tools"),
        HttpStatus(400, '"auto" tool choice requires --enable-auto-tool-choice'),
        HttpStatus(400, "Function calling with a response mime type: 'application/json' is unsupported"),
        HttpStatus(500, "tools param requires --jinja flag"),
    ],
    ids=["ollama", "vllm", "gemini", "llama.cpp"],
)
def test_where_a_server_takes_no_tools_the_model_gets_the_table_of_marks(
    server: ModelServer, reasoner: Reasoner, refusal: HttpStatus
) -> None:
    server.script(refusal, reply("two metres"), reply("left"))
    answer = ask(reasoner)
    assert (answer.status, answer.text, answer.usage.requests) == (Status.OK, "two metres", 2), answer.message
    assert ask(reasoner, "And the door?").text == "left"
    assert ["tools" in request.body for request in server.received] == [True, False, False]
    assert any("mark 1: 3.2 m (± 0.1) away" in text for text in server.received[1].texts)
    assert "rely on what was measured" in server.received[1].texts[0]


def test_a_request_may_ask_for_the_table(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(reply("fine"))
    assert ask(reasoner, style="marks_measured").ok
    (sent,) = server.received
    assert "tools" not in sent.body and any("mark 2: 3.2 m" in text for text in sent.texts)


@pytest.mark.parametrize("wish", [{"style": "raw"}, {"style": "set_of_mark"}, {"frames": [keyframe(0, {1: (9, 9)})]}])
def test_tools_are_offered_only_where_there_is_something_to_measure(
    server: ModelServer, reasoner: Reasoner, wish: dict[str, Any]
) -> None:
    server.always(reply("fine"))
    assert ask(reasoner, **wish).ok
    assert "tools" not in server.received[0].body


def test_an_answer_that_was_measured_is_kept(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(Calls([APART]), reply("two metres"))
    first, again = ask(reasoner), ask(reasoner)
    assert (first.source, again.source, again.reason) == ("model", "cache", first.reason)
    assert len(server.received) == 2

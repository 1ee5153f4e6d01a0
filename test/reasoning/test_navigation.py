"""Navigation: a conversation of one picture and one move a turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.marked_scene import keyframe, picture
from support.model_server import Hang, HttpStatus, ModelServer, Say, reply

from cc_ros.keyframes import KeyframeRequest, KeyframeSet
from cc_ros.reasoning import Action, Answer, Move, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.llm.endpoint import resolve_endpoint
from cc_ros.reasoning.prompts.images import Picture
from cc_ros.reasoning.prompts.messages import Episode, Writer

INSTRUCTION = "Walk past the sofa (mark 40) and stop at the door."


def move(name: str, value: float = 0.0, **fields: object) -> str:
    return reply(action=name, value=value, **fields)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def reasoner(server: ModelServer) -> Iterator[Reasoner]:
    settings = ReasonerSettings(base_url=server.base_url, timeout=5.0, retries=0, history_tokens=2500)
    with Reasoner(settings, environ={}) as reasoner:
        yield reasoner


def turn(reasoner: Reasoner, number: int, text: str = INSTRUCTION) -> Answer:
    return reasoner.ask(Question(text, kind="navigate"), [keyframe(number, {number + 1: (100, 100)})])


def test_every_turn_brings_a_move_and_the_conversation_grows(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(move("FORWARD", 1.5, marks=[1]), move("TURN_LEFT", 30, marks=[1, 2]), move("STOP"))
    answers = [turn(reasoner, number) for number in range(3)]
    assert [answer.action for answer in answers] == [
        Action(Move.FORWARD, 1.5),
        Action(Move.TURN_LEFT, 30.0),
        Action(Move.STOP),
    ]
    assert [answer.text for answer in answers] == ["FORWARD(1.5)", "TURN_LEFT(30)", "STOP"]
    assert answers[1].mark_ids == (1, 2)  # marks of earlier turns still count
    assert [request.images for request in server.received] == [[picture(i) for i in range(n)] for n in (1, 2, 3)]
    last = server.received[2].body["messages"]
    assert [message["role"] for message in last] == ["system", *["user", "assistant"] * 2, "user"]
    assert "FORWARD" in last[2]["content"] and "1.5" in last[2]["content"]
    texts = server.received[2].texts
    assert sum(INSTRUCTION in text for text in texts) == 1
    assert [f"Turn {n}." in " ".join(texts) for n in (1, 2, 3)] == [True] * 3
    assert [answer.usage.images for answer in answers] == [1, 2, 3]


def test_only_the_newest_keyframe_is_asked_for(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(move("FORWARD", 1))
    wanted: list[KeyframeRequest] = []

    def source(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        wanted.append(request)
        return KeyframeSet((keyframe(0, {}),))

    assert reasoner.ask(Question(INSTRUCTION, kind="navigate", frames=8), source).ok
    assert wanted[0].frames == 1


def test_the_oldest_pictures_go_first_when_the_history_is_full(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(move("FORWARD", 1))
    for number in range(8):
        assert turn(reasoner, number).ok
    shown = [len(request.images) for request in server.received]
    assert shown[:3] == [1, 2, 3] and 2 <= shown[-1] < 8
    newest = server.received[-1]
    assert newest.images == [picture(i) for i in range(8 - shown[-1], 8)]
    assert sum(message["role"] == "assistant" for message in newest.body["messages"]) == 7  # the moves all stay


def test_a_turn_that_fails_leaves_no_trace(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(move("FORWARD", 1), HttpStatus(400), move("FORWARD", 99), move("FORWARD", 99), move("STOP"))
    assert turn(reasoner, 0).ok
    assert turn(reasoner, 1).status is Status.REJECTED
    too_far = turn(reasoner, 2)
    assert too_far.status is Status.BAD_REPLY and too_far.action is None and "at most 5" in too_far.message
    assert turn(reasoner, 3).action == Action(Move.STOP)
    assert server.received[-1].images == [picture(0), picture(3)]


def test_another_instruction_or_a_reset_starts_a_new_episode(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(move("FORWARD", 1))
    for text in (INSTRUCTION, INSTRUCTION, "Go back."):
        assert turn(reasoner, 0, text).ok
    reasoner.reset()
    assert turn(reasoner, 0, "Go back.").ok
    assert [len(request.images) for request in server.received] == [1, 2, 1, 1]


def test_another_conversation_starts_a_new_episode_and_a_note_is_told(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(move("FORWARD", 1))
    for conversation, note in (("a", ""), ("a", "The last move ended after 0.2 metres."), ("b", "")):
        question = Question(INSTRUCTION, kind="navigate", conversation=conversation, note=note)
        assert reasoner.ask(question, [keyframe(0, {1: (100, 100)})]).ok
    assert [len(request.images) for request in server.received] == [1, 2, 1]
    assert "Turn 2. The last move ended after 0.2 metres. This is" in " ".join(server.received[1].texts)
    assert "Turn 1. This is" in " ".join(server.received[2].texts)


def test_marks_of_another_episode_are_invented(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(move("FORWARD", 1, marks=[1]), move("FORWARD", 1, marks=[1]), move("FORWARD", 1, marks=[1]))
    assert turn(reasoner, 0).ok
    reasoner.reset()
    assert turn(reasoner, 1).status is Status.INVENTED_MARK


def test_one_move_at_a_time(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(Say(move("STOP"), before=0.5))
    first: list[Answer] = []
    thread = threading.Thread(target=lambda: first.append(turn(reasoner, 0)))
    thread.start()
    while not server.received:
        time.sleep(0.005)
    second = turn(reasoner, 1)
    assert second.status is Status.QUEUE_FULL and "one move at a time" in second.message
    thread.join()
    assert first[0].action == Action(Move.STOP)


def test_a_turn_asked_before_a_reset_does_not_return_after_it(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(Say(move("FORWARD", 1), before=0.4), move("STOP"))
    thread = threading.Thread(target=turn, args=(reasoner, 0))
    thread.start()
    while not server.received:
        time.sleep(0.005)
    reasoner.reset()
    thread.join()
    assert turn(reasoner, 1).ok
    assert server.received[-1].images == [picture(1)]


def test_moves_are_never_kept_for_later(server: ModelServer, reasoner: Reasoner) -> None:
    server.always(move("FORWARD", 1))
    assert [turn(reasoner, 0).source for _ in range(2)] == ["model", "model"]


def test_a_cancelled_turn_brings_no_move(server: ModelServer, reasoner: Reasoner) -> None:
    server.script(Hang())
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    answer = reasoner.ask(Question(INSTRUCTION, kind="navigate"), [keyframe(0, {})], cancel=cancel)
    assert (answer.status, answer.action) == (Status.CANCELLED, None)


def test_a_server_without_a_system_role_gets_its_text_first(server: ModelServer) -> None:
    server.always(move("STOP"))
    with Reasoner(ReasonerSettings(base_url=server.base_url, preset="transformers"), environ={}) as reasoner:
        assert turn(reasoner, 0).ok and turn(reasoner, 1).ok
    messages = server.received[1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "analyze a series of images" in messages[0]["content"][0]["text"]


@given(st.integers(0, 60), st.integers(0, 5000))
def test_a_conversation_keeps_its_budget_and_its_order(count: int, budget: int) -> None:
    endpoint = resolve_endpoint(ReasonerSettings(base_url="http://127.0.0.1/v1"), {})
    assert endpoint is not None
    writer = Writer(endpoint, "auto")
    views = [Picture(b"%d" % i, f"data:image/jpeg;base64,{i}", 320, 240) for i in range(count + 1)]
    episode = Episode("go")
    for number, view in enumerate(views[:-1]):
        episode.add(view, f"turn {number}", Action(Move.TURN_LEFT, 30.0))
    turns, pictures, texts = episode.write(writer, "opening", views[-1], "now", budget)
    assert episode.write(writer, "opening", views[-1], "now", budget) == (turns, pictures, texts)
    assert episode.next_turn == count + 1
    least = writer.tokens(views[-1:], "opening", "now")
    assert writer.tokens(pictures, *texts) <= max(budget, least)
    assert pictures == views[len(views) - len(pictures) :]  # what the robot sees now is always among them
    assert pictures
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"]
    assert turns[0]["content"][-1]["text"].startswith("opening")
    assert turns[-1]["content"][-1]["text"].endswith("now")

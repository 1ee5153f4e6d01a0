"""Replies as servers really send them: thoughts beside the text, lists of parts, errors of any shape, missing ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.marked_scene import keyframe
from support.model_server import HttpStatus, ModelServer, Pieces, Raw, Say, Whole, reply

from cc_ros.keyframes import KeyframeSet
from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Status
from cc_ros.reasoning.llm.presets import PRESETS

FRAMES = [keyframe(0, {1: (100, 200), 2: (300, 200)})]
JSON = "application/json"
KEY = "sk-test-0123456789abcdef"
STOP = '{"action": "STOP", "value": 0}'
DRAFT = 'I could say {"action": "FORWARD", "value": 4.0} but a person stands there.\n'
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[ModelServer, Reasoner]]:
    with ModelServer() as server:
        settings = ReasonerSettings(
            base_url=server.base_url, timeout=5.0, retries=1, backoff=0.01, cache_seconds=0.0, breaker_failures=1000
        )
        with Reasoner(settings, environ={"OPENAI_API_KEY": KEY}) as reasoner:
            yield server, reasoner


@pytest.fixture
def server(shared: tuple[ModelServer, Reasoner]) -> ModelServer:
    server = shared[0]
    server.script_only()
    server.always(HttpStatus(400, "one request too many"))
    return server


@pytest.fixture
def ask(shared: tuple[ModelServer, Reasoner]) -> Ask:
    def ask(text: str = "Is the door left or right?", **fields: Any) -> Answer:
        shared[1].reset()
        return shared[1].ask(Question(text, **fields), FRAMES)

    return ask


@pytest.mark.parametrize("how", [Say, Whole, lambda text: Pieces([{"content": text[:20]}, {"content": text[20:]}])])
@pytest.mark.parametrize(
    "text",
    [
        f"{DRAFT}</think>\n\n{STOP}",
        f"<think>{DRAFT}</think>{STOP}",
        "Maybe TURN_LEFT(90)? ... so I stop.\n</think>\n\nSTOP",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{STOP}",
    ],
)
def test_a_robot_stops_though_its_model_thought_of_driving(
    server: ModelServer, ask: Ask, how: Callable[[str], Any], text: str
) -> None:
    server.script(how(text))
    answer = ask("Go on.", kind="navigate")
    assert (answer.status, answer.text) == (Status.OK, "STOP"), answer.message


def test_answers_that_disagree_are_asked_for_again_and_then_none(server: ModelServer, ask: Ask) -> None:
    both = f"{DRAFT} so {STOP}"
    server.script(both, STOP)
    answer = ask("Go on.", kind="navigate")
    assert (answer.text, answer.usage.requests) == ("STOP", 2)
    assert "does not say which is final" in server.received[-1].texts[-1]
    server.script(both, both)
    answer = ask("Go on.", kind="navigate")
    assert answer.status is Status.BAD_REPLY and answer.action is None and not answer.text


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "right, or"}]},
    {"type": "text", "text": '{"answer": "le'},
    {"type": "text", "text": 'ft"}'},
]


@pytest.mark.parametrize(
    "step",
    [
        Whole(PARTS),
        Pieces([{"content": [part]} for part in PARTS]),
        Whole(reply("left"), more={"reasoning_content": "right?"}),
        Pieces([{"reasoning": "right?", "content": None}, {"reasoning": "no"}, {"content": reply("left")}]),
        Pieces([{"content": ""}, {"content": None, "reasoning_content": "right"}, {"content": reply("left")}]),
        Whole([{"type": "reasoning", "text": None}, {"type": "output_text", "text": "left"}]),
    ],
)
def test_content_in_parts_and_beside_thoughts_is_read(server: ModelServer, ask: Ask, step: Any) -> None:
    server.script(step)
    answer = ask()
    assert (answer.status, answer.text, answer.usage.requests) == (Status.OK, "left", 1), answer.message


@pytest.mark.parametrize(
    "step",
    [
        Whole(None, more={"reasoning": reply("left")}),
        Whole("", more={"reasoning_content": reply("left")}),
        Pieces([{"content": None, "reasoning": reply("left")}]),
        Pieces([{"content": [PARTS[0]]}]),
        Say(f"<think>{reply('left')}</think>"),
        Say(f"<think>{reply('left')}"),
    ],
)
def test_thoughts_alone_are_no_answer_and_are_not_said_back(server: ModelServer, ask: Ask, step: Any) -> None:
    server.script(step, reply("right"))
    answer = ask()
    assert (answer.text, answer.usage.requests) == ("right", 2), answer.message
    messages = server.received[-1].body["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "thoughts" in messages[-1]["content"][-1]["text"]
    assert all(message["content"] for message in messages)


@pytest.mark.parametrize("kind", ["", "navigate", "free"])
@pytest.mark.parametrize(
    "step",
    [
        Whole(None, finish="length", more={"reasoning": "hm " * 50}),
        Pieces([{"reasoning_content": "hm"}], finish="length"),
        Say("<think>hm, left", finish="length"),
    ],
)
def test_thoughts_that_used_up_the_tokens_are_told_as_that(server: ModelServer, ask: Ask, kind: str, step: Any) -> None:
    server.script(step, step)
    answer = ask(kind=kind)
    assert answer.status is Status.BAD_REPLY
    assert "thoughts used up max_answer_tokens" in answer.message


def test_a_stream_that_says_done_and_is_whole_is_an_answer(server: ModelServer, ask: Ask) -> None:
    server.script(Say(reply("left"), finish=None), Say("right", finish=None), Say(STOP, finish=None))
    assert [ask().text, ask().text, ask("Go.", kind="navigate").text] == ["left", "right", "STOP"]
    server.script(Say("FORWARD(4)", finish=None), STOP)
    assert ask("Go.", kind="navigate").text == "STOP"  # the text may have been longer
    for half in (reply("left")[:-1], "<think>left", ""):
        server.script(Say(half, finish=None), reply("right"))
        answer = ask()
        assert (answer.text, answer.usage.requests) == ("right", 2)


@pytest.mark.parametrize(
    ("step", "status", "told"),
    [
        (
            Raw(b'{"error": {"message": "no such thing", "code": 400}}', JSON),
            Status.REJECTED,
            "no such thing",
        ),
        (Raw(b'{"error": "out of luck", "choices": []}', JSON), Status.SERVER_ERROR, "out of luck"),
        (
            Raw(b'{"object": "error", "message": "bad luck", "code": 404}', JSON),
            Status.REJECTED,
            "bad luck",
        ),
        (
            Raw(b'[{"error": {"code": 429, "message": "slow down"}}]', JSON),
            Status.RATE_LIMITED,
            "slow down",
        ),
        (Raw(b'{"detail": "Not Found"}', JSON), Status.SERVER_ERROR, "Not Found"),
        (Raw(b'data: {"error": {"message": "overloaded", "code": "503"}}\n\n'), Status.SERVER_ERROR, "overloaded"),
        (
            Raw(b'[{"error": {"code": 400, "message": "as a list"}}]', JSON, code=400),
            Status.REJECTED,
            "as a list",
        ),
        (
            Raw(b'{"detail": [{"loc": ["body", "model"], "msg": "field required"}]}', JSON, code=422),
            Status.REJECTED,
            "body.model: field required",
        ),
        (
            Raw(
                b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>",
                "text/html",
                code=502,
            ),
            Status.SERVER_ERROR,
            ": 502 Bad Gateway nginx",
        ),
        (Raw(b"upstream is gone", "text/plain", code=503), Status.SERVER_ERROR, "upstream is gone"),
        (Raw(b"", "text/plain", code=500), Status.SERVER_ERROR, "Internal Server Error"),
        (Raw(b"\xff\xfe", "text/plain", code=500), Status.SERVER_ERROR, "answered 500"),
        (Raw(b"<html><title>Log in</title></html>", "text/html"), Status.BAD_REPLY, "Log in"),
        (Raw(b"request entity too large", "text/plain", code=413), Status.REJECTED, "fewer frames"),
        (
            HttpStatus(400, "'temperature' does not support 0.0"),
            Status.REJECTED,
            "temperature at -1",
        ),
        (
            HttpStatus(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
            Status.REJECTED,
            "parameter preset",
        ),
        (
            HttpStatus(400, "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"),
            Status.REJECTED,
            "fewer frames",
        ),
        (HttpStatus(400, "response_format is not supported"), Status.REJECTED, "structured"),
        (HttpStatus(400, "max_tokens must be at most 512"), Status.REJECTED, "max_answer_tokens"),
        (HttpStatus(400, "this model does not support image input"), Status.REJECTED, "model take pictures"),
        (HttpStatus(404, "no such model"), Status.REJECTED, "have the model 'scripted'"),
        (HttpStatus(401, f"Incorrect API key provided: {KEY}"), Status.NOT_AUTHORISED, "check the key"),
    ],
)
def test_the_words_of_the_server_reach_the_user_with_what_to_do(
    server: ModelServer, ask: Ask, step: Any, status: Status, told: str
) -> None:
    server.script(step, step)
    answer = ask()
    assert answer.status is status, answer.message
    assert told in answer.message
    assert "\n" not in answer.message and len(answer.message) < 700


@pytest.mark.parametrize("spelling", [KEY, KEY[:-3], KEY.replace("-", "&#45;"), f"Bearer {KEY}", f"x{KEY}x", KEY * 3])
@pytest.mark.parametrize("shape", ['{{"error": {{"message": "{}"}}}}', "<html><body>{}</body></html>", "{}", '["{}"]'])
@pytest.mark.parametrize("code", [200, 401, 500])
def test_no_error_repeats_the_key(server: ModelServer, ask: Ask, spelling: str, shape: str, code: int) -> None:
    body = shape.format(spelling).encode()
    kind = (
        "text/html" if shape[0] == "<" else "application/json" if shape[0] in "{[" and len(shape) > 2 else "text/plain"
    )
    step = Raw(body, kind, code=code)
    server.script(step, step)
    answer = ask()
    assert not answer.ok
    assert KEY[:12] not in repr(answer)


def test_the_model_that_answered_is_recorded(server: ModelServer, ask: Ask) -> None:
    server.script(Whole(reply("left")), reply("right"))
    assert [ask().usage.model, ask().usage.model] == ["whole-1", "scripted"]


def test_counts_that_no_message_can_hold_are_cut(server: ModelServer, ask: Ask) -> None:
    server.script(Say(reply("left"), usage={"prompt_tokens": 10**30, "completion_tokens": -5, "total_tokens": 0}))
    usage = ask().usage
    assert (usage.prompt_tokens, usage.answer_tokens) == (2**31 - 1, 0)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_no_preset_sends_a_temperature_unless_one_is_set(server: ModelServer, preset: str) -> None:
    for temperature in (None, 0.0):
        more = {} if temperature is None else {"temperature": temperature}
        settings = ReasonerSettings(base_url=server.base_url, preset=preset, key_env="K", **more)
        with Reasoner(settings, environ={"K": KEY}) as reasoner:
            server.script(reply("left"))
            assert reasoner.ask(Question("Left or right?"), FRAMES).ok
        assert server.received[-1].body.get("temperature") == temperature


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("socks5://127.0.0.1:1", "pip install socksio"),
        ("socks://127.0.0.1:1", "pip install socksio"),
        ("socks4://127.0.0.1:1", "HTTPS_PROXY"),
        ("ftp://user:secret@127.0.0.1", "HTTPS_PROXY"),
        ("http://[::1", "HTTPS_PROXY"),
        ("http://127.0.0.1:99999999", "HTTPS_PROXY"),
        ("://", "HTTPS_PROXY"),
        ("127.0.0.1:9", "through the proxy http://127.0.0.1:9"),
        ("http://user:secret@127.0.0.1:9", "through the proxy http://127.0.0.1:9"),
        ("http://user:secret@[::1]:9", "through the proxy http://[::1]:9"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_status(monkeypatch: pytest.MonkeyPatch, proxy: str, told: str) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    settings = ReasonerSettings(base_url="https://models.invalid/v1", retries=0)
    with Reasoner(settings, environ={}) as reasoner:
        answer = reasoner.ask(Question("What is there?"), FRAMES)
        degraded = str(reasoner.status().get("degraded"))
    usable = "through" in told
    assert answer.status is (Status.UNREACHABLE if usable else Status.MISCONFIGURED), answer.message
    assert told in answer.message and "secret" not in answer.message
    assert usable or told in degraded


def test_certificates_that_are_none_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with Reasoner(ReasonerSettings(base_url="https://models.invalid/v1"), environ={}) as reasoner:
        answer = reasoner.ask(Question("What is there?"), FRAMES)
    assert answer.status is Status.MISCONFIGURED and "gone.pem" in answer.message


def test_other_trouble_of_the_environment_is_a_status_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cc_ros.reasoning.llm.transport.httpx2.AsyncClient", _raise)
    with Reasoner(ReasonerSettings(base_url="https://models.invalid/v1"), environ={}) as reasoner:
        answer = reasoner.ask(Question("What is there?"), FRAMES)
    assert answer.status is Status.MISCONFIGURED and "a defect" in answer.message


STEPS = [
    "cc_ros.reasoning.validation.problem",
    "cc_ros.reasoning.context.kind_of",
    "cc_ros.reasoning.measured.questions.named_marks",
    "cc_ros.reasoning.context.Context.stop",
    "cc_ros.reasoning.context.Context.seen",
    "cc_ros.reasoning.request_queue.RequestQueue.place",
    "cc_ros.reasoning.prompts.images.PictureStore.get_all",
    "cc_ros.reasoning.answer_cache.AnswerCache.get",
    "cc_ros.reasoning.answer_cache.AnswerCache.put",
    "cc_ros.reasoning.prompts.templates.Prompts.system",
    "cc_ros.reasoning.prompts.templates.Prompts.question",
    "cc_ros.reasoning.prompts.messages.Writer.user",
    "cc_ros.reasoning.prompts.messages.Writer.messages",
    "cc_ros.reasoning.prompts.messages.Writer.size",
    "cc_ros.reasoning.reask.ReaskLoop.run",
    "cc_ros.reasoning.reask.ReaskLoop.usage",
    "cc_ros.reasoning.reask.replies.fields",
    "cc_ros.reasoning.reask.replies.read_reply",
    "cc_ros.reasoning.reask.check",
    "cc_ros.reasoning.llm.retry.RetryingClient.complete",
    "cc_ros.reasoning.llm.client.ChatClient.complete",
    "cc_ros.reasoning.llm.client._take_chunk",
    "cc_ros.reasoning.llm.circuit_breaker.CircuitBreaker.allow",
    "cc_ros.reasoning.llm.circuit_breaker.CircuitBreaker.worked",
    "cc_ros.reasoning.llm.budget.Budget.book",
    "cc_ros.reasoning.llm.budget.Budget.settle",
    "cc_ros.reasoning.llm.loop_thread.LoopThread.wait",
    "cc_ros.reasoning.reasoner.Reasoner._with_goal",
]


@pytest.mark.parametrize("step", STEPS)
def test_whatever_a_step_raises_the_question_ends_with_a_status(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server.always(reply("left"))
    errors = ZeroDivisionError("a defect"), ValueError(KEY), OSError(5, "broken"), RecursionError(), MemoryError()
    settings = ReasonerSettings(base_url=server.base_url, retries=0)
    with Reasoner(settings, environ={"OPENAI_API_KEY": KEY}) as reasoner:
        for number, error in enumerate(errors, 1):
            question = Question("Is it left or right" + number * "?")  # none that was answered before
            with monkeypatch.context() as patch:
                patch.setattr(step, lambda *_, error=error, **__: _raise(error))
                answer = reasoner.ask(question, FRAMES)
            assert answer.status is not Status.OK, step
            assert answer.message and not answer.text
            assert KEY not in repr(answer)
            assert reasoner.ask(question, FRAMES).ok, "the next question is answered again"


def test_a_source_of_keyframes_that_fails_in_any_way_is_a_status(
    ask: Ask, shared: tuple[ModelServer, Reasoner]
) -> None:
    def source(*wanted: object) -> KeyframeSet:
        raise ZeroDivisionError("a defect")

    answer = shared[1].ask(Question("What is there?"), source)
    assert answer.status is not Status.OK and "a defect" in answer.message


def _raise(error: object = None, **_: object) -> None:
    raise error if isinstance(error, Exception) else RuntimeError("a defect")


def test_json_in_the_answer_stays_what_it_is(server: ModelServer, ask: Ask) -> None:
    server.script(json.dumps({"answer": 'the sign says "{left}"', "marks": []}))
    assert ask("What does it say?", kind="free").text == 'the sign says "{left}"'

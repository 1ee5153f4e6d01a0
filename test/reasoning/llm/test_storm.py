"""Many questions at once to a server that misbehaves in every way it can; CC_ROS_STORM=2000 makes it the long run."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from support.clock import MachineClock
from support.marked_scene import keyframe
from support.model_server import Cut, Endless, Hang, HttpStatus, ModelServer, Raw, Say, Whole, reply

from cc_ros.reasoning import Answer, Question, Reasoner, ReasonerSettings, Status

QUESTIONS = int(os.environ.get("CC_ROS_STORM", "150"))
KEY = "sk-storm-0123456789abcdef"
FRAMES = [keyframe(0, {1: (100, 200), 2: (300, 200)})]
FINE = {Status.OK}
FAULTS = set(Status) - {Status.OK, Status.BAD_REQUEST, Status.NO_KEYFRAMES, Status.NEEDS_MODEL, Status.MISCONFIGURED}


def misbehave(rng: random.Random, body: dict[str, Any]) -> Any:
    """Choose what happens to a request; whatever counts as an answer holds the question's own number."""
    text = " ".join(part["text"] for part in body["messages"][1]["content"] if part["type"] == "text")
    number = re.search(r"number (\d+)\?", text)
    assert number
    good = reply(f"this is {number[1]}", marks=[1])
    return rng.choice(
        [
            *[good] * 4,
            Say(good, pause=0.01),
            Say(good, before=rng.uniform(0, 0.5)),
            Say(good, pause=0.1, piece=2),
            Say(good, done=False, hold=5),
            Say(good, done=False, usage=None),
            Say(good, finish=None, done=False),
            Say(good[: len(good) // 2]),
            Say(reply("wrong", marks=[77])),
            Say(f"my key is {KEY} and mark 1 is {number[1]}"),
            Say("", finish="content_filter"),
            Whole(good),
            *[HttpStatus(code, f"you sent {KEY}") for code in (400, 401, 403, 404, 408, 409, 418, 429, 500, 503)],
            HttpStatus(429, retry_after="0.05"),
            HttpStatus(429, retry_after="600"),
            HttpStatus(307, headers={"Location": "http://127.0.0.1:9/"}),
            Raw(b"<html>hello</html>", "text/html"),
            Raw(b'data: {"choices": [{"del'),
            Raw(b'data: {"choices": 7}\n\n'),
            Raw(b"data: " + b"[" * 200_000 + b"\n\n"),
            Raw(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
            Raw(b"\xff\xfe\x00"),
            Raw(b"{}", "application/json"),
            Raw(b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}),
            Raw(b"x" * 10_000_000),
            Raw(b"y" * 10_000_000, "application/json"),
            Cut(),
            Cut(reset=True),
            Cut('{"answer": "this is'),
            Cut('{"answer": "this is', reset=True),
            Endless(),
            Endless(pause=0.01),
            Endless(b": nothing\n\n", pause=0.001),
            Endless(b": nothing\n\n"),
            Hang(),
        ]
    )


@pytest.mark.timeout(1200)
def test_a_storm_of_faults_ends_every_question_in_time_and_leaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    process = psutil.Process()
    rng = random.Random(20240801)
    lock = threading.Lock()

    def choose(body: dict[str, Any]) -> Any:
        with lock:
            return misbehave(rng, body)

    settings = ReasonerSettings(
        retries=2,
        backoff=0.01,
        max_parallel=8,
        max_queue=4,
        breaker_failures=40,
        breaker_seconds=0.2,
        cache_seconds=0,
        max_answer_tokens=1024,
        model="m",
    )
    with ModelServer() as server:
        server.always(choose)
        threads, descriptors = threading.active_count(), process.num_fds()
        reasoner = Reasoner(
            ReasonerSettings(**{**vars(settings), "base_url": server.base_url}), environ={"OPENAI_API_KEY": KEY}
        )
        with MachineClock() as clock, ThreadPoolExecutor(10) as pool:
            results = list(pool.map(lambda number: ask(reasoner, number, clock), range(QUESTIONS)))
        report = repr(reasoner.status())
        reasoner.close()
        assert server.wait_idle(10)
        received = server.received
        deadline = time.monotonic() + 5
        # The server's threads end once they see the closed connections; what others left may end meanwhile as well.
        while leaked(process, threads, descriptors) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not leaked(process, threads, descriptors)
    ended = Counter(answer.status for answer, _, _ in results)
    late = [(answer, over) for answer, over, _ in results if over > 1.0]
    assert not late
    assert set(ended) <= FINE | FAULTS
    assert ended[Status.OK] > QUESTIONS / 20
    for number, (answer, _, shown) in enumerate(results):
        if answer.ok:
            assert re.search(rf"\b{number}$", answer.text), answer
        else:
            assert answer.message and not answer.text and not answer.mark_ids
        assert KEY not in repr(answer) + shown
    unread = sum(answer.usage.requests for answer, _, _ in results) - len(received)
    assert 0 <= unread <= ended[Status.TIMEOUT] + ended[Status.CANCELLED]  # given up before the server read them
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in received)
    assert KEY not in caplog.text + report
    assert sum(value for name, value in reasoner.status().items() if name.startswith("ended_")) == QUESTIONS


def leaked(process: psutil.Process, threads: int, descriptors: int) -> list[str]:
    """Return what there is now beyond so many threads and file descriptors."""
    more = []
    if threading.active_count() > threads:
        more.append(f"threads: {threading.enumerate()}")
    if process.num_fds() > descriptors:
        more.append(f"{process.num_fds()} descriptors, {descriptors} before")
    return more


def ask(reasoner: Reasoner, number: int, clock: MachineClock) -> tuple[Answer, float, str]:
    """Return the answer, by how much it was late, and all that was shown meanwhile."""
    rng = random.Random(number)
    timeout = rng.uniform(0.2, 1.5)
    cancel = threading.Event()
    timer = threading.Timer(rng.uniform(0, timeout), cancel.set) if rng.random() < 0.1 else None
    if timer:
        timer.start()
    shown: list[str] = []
    start = clock.seconds
    answer = reasoner.ask(
        Question(f"What is number {number}?", timeout=timeout), FRAMES, lambda stage, text: shown.append(text), cancel
    )
    if timer:
        timer.cancel()
        timer.join()
    return answer, clock.seconds - start - timeout, "\n".join(shown)

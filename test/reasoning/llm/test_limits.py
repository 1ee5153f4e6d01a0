"""The breaker, the budget, the cache and the queue, each by itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.errors import SettingsError
from cc_ros.reasoning import Answer, ReasonerSettings, Status
from cc_ros.reasoning.answer_cache import MAX_ANSWERS, AnswerCache
from cc_ros.reasoning.llm.budget import HOUR, Budget
from cc_ros.reasoning.llm.circuit_breaker import CircuitBreaker
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.request_queue import RequestQueue


class Clock:
    """A clock that only moves when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_breaker_opens_after_faults_in_a_row_and_lets_one_try(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 10.0)
    for _ in range(2):
        breaker.failed()
    breaker.worked()
    for _ in range(3):
        assert breaker.allow()
        breaker.failed()
    assert breaker.state() == "open" and not breaker.allow()
    assert breaker.open_for() == pytest.approx(10.0)
    assert "3 times in a row" in breaker.describe()
    clock.now += 10.0
    assert breaker.state() == "half open" and breaker.open_for() == 0
    assert breaker.allow() and not breaker.allow()  # one only
    breaker.failed()
    assert not breaker.allow()
    clock.now += 10.0
    assert breaker.allow()
    breaker.gave_up()  # cancelled: another may try
    assert breaker.allow()
    breaker.worked()
    assert breaker.state() == "closed" and breaker.allow() and breaker.allow()


def test_requests_are_limited_per_hour_and_in_all(clock: Clock) -> None:
    budget = Budget(ReasonerSettings(max_requests_per_hour=2, max_requests=3))
    for _ in range(2):
        budget.book(10)
    assert "2 requests per hour" in budget.refusal()
    with pytest.raises(ModelFault) as refused:
        budget.book(10)
    assert refused.value.status is Status.SPENDING_LIMIT
    clock.now += HOUR + 1
    budget.book(10)
    clock.now += HOUR + 1
    assert "3 requests in all" in budget.refusal()


def test_tokens_and_money_are_limited_by_what_the_server_counted() -> None:
    budget = Budget(ReasonerSettings(max_tokens=1000, max_cost=1.0, price_prompt=100.0, price_answer=1000.0))
    booking = budget.book(900)
    budget.settle(booking, 200, 50)
    assert budget.spent()["tokens"] == 250
    assert budget.spent()["cost"] == pytest.approx(200e-4 + 50e-3)
    assert budget.refusal() == ""
    budget.settle(budget.book(100), 100, 950)
    assert "tokens" in budget.refusal() or "cost" in budget.refusal()


def test_a_limit_in_money_needs_prices() -> None:
    with pytest.raises(SettingsError, match="price"):
        Budget(ReasonerSettings(max_cost=1.0))


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 500)), max_size=20))
def test_what_is_spent_is_the_sum_of_what_was_settled(requests: list[tuple[int, int, int]]) -> None:
    budget = Budget(ReasonerSettings(price_prompt=1.0, price_answer=2.0))
    bookings = [budget.book(estimate) for estimate, _, _ in requests]
    for booking, (_, prompt, answer) in zip(bookings, requests, strict=True):
        budget.settle(booking, prompt, answer)
    spent = budget.spent()
    assert spent["requests"] == spent["requests_last_hour"] == len(requests)
    assert spent["tokens"] == spent["tokens_last_hour"] == sum(p + a for _, p, a in requests)
    assert spent["cost"] == pytest.approx(sum(p + 2 * a for _, p, a in requests) / 1e6, abs=1e-6)


def test_a_request_that_outlives_its_hour_does_not_count_twice(clock: Clock) -> None:
    budget = Budget(ReasonerSettings())
    booking = budget.book(500)
    clock.now += HOUR + 1
    assert budget.spent()["tokens_last_hour"] == 0
    budget.settle(booking, 600, 0)
    assert budget.spent()["tokens_last_hour"] == 0 and budget.spent()["tokens"] == 600


def test_answers_are_kept_for_a_while_and_not_too_many(clock: Clock) -> None:
    cache = AnswerCache(5.0)
    cache.put("a", Answer(Status.OK, text="x"))
    clock.now += 4.0
    kept = cache.get("a")
    assert kept is not None and kept[0].text == "x" and kept[1] == pytest.approx(4.0)
    clock.now += 1.5
    assert cache.get("a") is None
    for number in range(2 * MAX_ANSWERS):
        cache.put(number, Answer(Status.OK))
    assert cache.get(MAX_ANSWERS - 1) is None and cache.get(MAX_ANSWERS) is not None
    cache.clear()
    assert cache.get(MAX_ANSWERS) is None
    off = AnswerCache(0)
    off.put("a", Answer(Status.OK))
    assert off.get("a") is None


def nothing() -> None:
    pass


def test_turns_come_in_order_and_a_full_queue_says_so_at_once() -> None:
    queue = RequestQueue(1, 3)
    order: list[int] = []
    go = threading.Event()

    def ask(number: int) -> None:
        with queue.place(time.monotonic() + 10, nothing):
            go.wait(5)
            order.append(number)

    with ThreadPoolExecutor(4) as pool:
        futures = []
        for number in range(4):
            futures.append(pool.submit(ask, number))
            while sum(queue.counts()) <= number:
                time.sleep(0.001)
        assert queue.counts() == (1, 3)
        start = time.monotonic()
        with pytest.raises(ModelFault) as refused, queue.place(time.monotonic() + 10, nothing):
            pass
        assert refused.value.status is Status.QUEUE_FULL
        assert time.monotonic() - start < 0.5
        go.set()
    assert order == [0, 1, 2, 3]
    assert queue.counts() == (0, 0)


def test_waiting_ends_at_the_deadline_or_when_cancelled_and_frees_the_place() -> None:
    queue = RequestQueue(1, 1)
    with queue.place(time.monotonic() + 10, nothing):
        with pytest.raises(ModelFault) as late, queue.place(time.monotonic() + 0.1, nothing):
            pass
        assert late.value.status is Status.TIMEOUT
        cancelled = ModelFault(Status.CANCELLED, "no more")

        def stop() -> None:
            raise cancelled

        with pytest.raises(ModelFault) as stopped, queue.place(time.monotonic() + 10, stop):
            pass
        assert stopped.value is cancelled
        assert queue.counts() == (1, 0)
    with queue.place(time.monotonic() + 1, nothing):
        assert queue.counts() == (1, 0)


def test_turns_survive_many_threads_that_come_give_up_and_go() -> None:
    queue = RequestQueue(3, 5)
    running, most, lock = 0, 0, threading.Lock()

    def ask(number: int) -> Status:
        nonlocal running, most
        try:
            with queue.place(time.monotonic() + 0.002 * (number % 7), nothing):
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.001)
                with lock:
                    running -= 1
            return Status.OK
        except ModelFault as fault:
            return fault.status

    with ThreadPoolExecutor(12) as pool:
        ended = list(pool.map(ask, range(400)))
    assert most <= 3 and queue.counts() == (0, 0)
    assert set(ended) <= {Status.OK, Status.TIMEOUT, Status.QUEUE_FULL} and Status.OK in ended

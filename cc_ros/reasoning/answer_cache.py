"""Answers kept for a while: the same question about the same pictures is not sent twice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

from cc_ros.reasoning.types import Answer

MAX_ANSWERS = 256


class AnswerCache:
    """The newest answers by question and pictures. Thread-safe.

    :param seconds: how long an answer is kept; 0 = not at all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[Answer, float] | None:
        """Return a kept answer and its age in seconds."""
        with self._lock:
            kept = self._answers.get(key)
            if kept is None:
                return None
            age = time.monotonic() - kept[0]
            if age > self._seconds:
                del self._answers[key]
                return None
            return kept[1], age

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer that is OK."""
        if self._seconds <= 0:
            return
        with self._lock:
            self._answers[key] = time.monotonic(), answer
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget all: a new episode."""
        with self._lock:
            self._answers.clear()

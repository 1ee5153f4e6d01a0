"""Spending limits: requests, tokens and money, per hour and in all, for the life of the process."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass

from cc_ros.errors import SettingsError
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.types import Status

HOUR = 3600.0
CHARACTERS_A_TOKEN = 4  # as estimated where the server does not count


@dataclass(slots=True)
class Spent:
    """Requests, tokens and money, of one request or a sum."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def add(self, other: Spent, sign: int = 1) -> None:
        """Add or take away."""
        self.requests += sign * other.requests
        self.tokens += sign * other.tokens
        self.cost += sign * other.cost


@dataclass(slots=True)
class UsageCount:
    """What the requests for one question took so far.

    :param requests: sent.
    :param prompt_tokens: as the server counted them.
    :param answer_tokens: likewise.
    :param model: that answered, as the server names it.
    """

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    model: str = ""


class Budget:
    """What has been spent and what may be. Thread-safe.

    A request is booked with its estimate before it is sent and corrected to what the server counted afterwards, so that
    requests in flight count. Once a limit is reached, nothing more is sent.

    :param settings: the limits and prices.
    :raises SettingsError: a limit in money without prices.
    """

    def __init__(self, settings: ReasonerSettings) -> None:
        self._price_prompt, self._price_answer = settings.price_prompt, settings.price_answer
        if (settings.max_cost or settings.max_cost_per_hour) and not self.priced:
            raise SettingsError("max_cost and max_cost_per_hour need price_prompt and price_answer")
        self._limits = {
            "per hour": Spent(settings.max_requests_per_hour, settings.max_tokens_per_hour, settings.max_cost_per_hour),
            "in all": Spent(settings.max_requests, settings.max_tokens, settings.max_cost),
        }
        self._lock = threading.Lock()
        self._total = Spent()
        self._hour = Spent()
        self._recent: deque[tuple[float, Spent]] = deque()

    @property
    def priced(self) -> bool:
        """Whether costs can be told."""
        return self._price_prompt > 0 or self._price_answer > 0

    def cost(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Return the price of a request in the currency of the configured prices."""
        return (prompt_tokens * self._price_prompt + answer_tokens * self._price_answer) / 1e6

    def refusal(self) -> str:
        """Return why nothing more may be sent, "" where something may."""
        with self._lock:
            return self._refusal()

    def book(self, prompt_tokens: int) -> Spent:
        """Book a request about to be sent and return the booking.

        :raises ModelFault: SPENDING_LIMIT; a limit is reached.
        """
        booking = Spent(1, prompt_tokens, self.cost(prompt_tokens, 0))
        with self._lock:
            refusal = self._refusal()
            if refusal:
                raise ModelFault(Status.SPENDING_LIMIT, f"{refusal}; nothing more is sent")
            self._total.add(booking)
            self._hour.add(booking)
            self._recent.append((time.monotonic(), booking))
        return booking

    def settle(self, booking: Spent, prompt_tokens: int, answer_tokens: int) -> None:
        """Correct a booking to what the request really took."""
        change = Spent(
            0, prompt_tokens + answer_tokens - booking.tokens, self.cost(prompt_tokens, answer_tokens) - booking.cost
        )
        with self._lock:
            self._total.add(change)
            # An hour's booking that has run out of the window meanwhile is no longer in its sum.
            if any(kept is booking for _, kept in self._recent):
                self._hour.add(change)
            booking.add(change)

    def spent(self) -> dict[str, int | float]:
        """Return what was spent, for diagnostics."""
        with self._lock:
            self._forget_old()
            sums = (("", self._total), ("_last_hour", self._hour))
            return {name + when: round(value, 6) for when, spent in sums for name, value in asdict(spent).items()}

    def _refusal(self) -> str:
        self._forget_old()
        for period, spent in (("per hour", self._hour), ("in all", self._total)):
            limit = self._limits[period]
            for what in ("requests", "tokens", "cost"):
                most, so_far = getattr(limit, what), getattr(spent, what)
                if 0 < most <= so_far:
                    return f"the limit of {most:g} {what} {period} is reached ({so_far:g} spent)"
        return ""

    def _forget_old(self) -> None:
        while self._recent and self._recent[0][0] < time.monotonic() - HOUR:
            self._hour.add(self._recent.popleft()[1], sign=-1)

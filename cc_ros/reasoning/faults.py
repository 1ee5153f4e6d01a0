"""What can go wrong between a question and a model's text."""

from __future__ import annotations

from cc_ros.errors import ModelError
from cc_ros.reasoning.request import Status, Usage


class ModelFault(ModelError):
    """A request that brought no text.

    :param status: how the question ends if nothing helps.
    :param message: for people; never holds a key.
    :param again: whether the same request may work later.
    :param wait: seconds that the server asks to be left alone (Retry-After), 0 = it does not say.
    :param sick: whether the fault speaks against the server (counts for the circuit breaker).
    :param may_have_cost: whether the server may have worked, and charged, for the request.
    """

    def __init__(
        self,
        status: Status,
        message: str,
        *,
        again: bool = False,
        wait: float = 0.0,
        sick: bool = False,
        may_have_cost: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.again = again
        self.wait = wait
        self.sick = sick
        self.may_have_cost = may_have_cost
        self.usage = Usage()  # filled in by who knows the whole question

"""What can go wrong between a question and a model's text."""

from __future__ import annotations

from cc_ros.errors import CCError, ModelError, SettingsError
from cc_ros.reasoning.types import Answer, Status, Usage


class ModelFault(ModelError):
    """A request that brought no text.

    :param status: how the question ends if nothing helps.
    :param message: for people; never holds a key.
    :param again: whether the same request may work later.
    :param wait: seconds that the server asks to be left alone (Retry-After), 0 = it does not say.
    :param sick: whether the fault speaks against the server (counts for the circuit breaker).
    :param may_have_cost: whether the server may have worked, and charged, for the request.
    :param about_tools: whether it is that the server takes no tools.
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
        about_tools: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.again = again
        self.wait = wait
        self.sick = sick
        self.may_have_cost = may_have_cost
        self.about_tools = about_tools
        self.usage = Usage()  # filled in by who knows the whole question


def answer_to(error: BaseException) -> Answer:
    """Return what a question ends with where asking raised ``error``: whatever it is, a status and a message."""
    if isinstance(error, ModelFault):
        return Answer(error.status, str(error), usage=error.usage)
    if isinstance(error, SettingsError | ImportError):
        return Answer(Status.MISCONFIGURED, str(error))
    if isinstance(error, CCError):  # from the source of keyframes, or about a picture or a camera matrix
        return Answer(Status.NO_KEYFRAMES, f"the keyframes cannot be used: {error}")
    words = " ".join(str(error).split())[:300]
    return Answer(Status.SERVER_ERROR, f"asking failed, please report it: {type(error).__name__}: {words}")

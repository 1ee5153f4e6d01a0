"""What is asked and what comes back: the same fields as ``cc_ros/srv/SpatialQuery``, without ROS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from cc_ros.keyframes.drawing import MarkSettings
from cc_ros.keyframes.types import MarkedKeyframe


class Kind(str, Enum):
    """Kinds of questions; an empty kind in a request means that it is worked out from the text."""

    FREE = "free"
    CHOICE = "choice"
    LEFT_RIGHT = "left_right"
    COUNT = "count"
    VIEWPOINT = "viewpoint"
    WHICH_MARK = "which_mark"
    NAVIGATE = "navigate"


class Style(str, Enum):
    """How the pictures are marked and the model is prompted."""

    MARKS = "marks"
    RAW = "raw"
    SET_OF_MARK = "set_of_mark"
    MARKS_COT = "marks_cot"


class Status(IntEnum):
    """How a question ended; the numbers are the constants of ``cc_ros/srv/SpatialQuery``."""

    OK = 0
    BAD_REQUEST = 1
    """The request contradicts itself or has a value out of range."""
    UNKNOWN_MARK = 2
    """The question names a mark that is in none of the keyframes."""
    NO_KEYFRAMES = 3
    """There are no keyframes to answer from, or they could not be had."""
    NEEDS_MODEL = 4
    """Only a multimodal model can answer this, and none is configured."""
    CANNOT_TELL = 5
    """The model or the measurements say that the pictures do not tell."""
    QUEUE_FULL = 6
    TIMEOUT = 7
    CANCELLED = 8
    SPENDING_LIMIT = 9
    UNREACHABLE = 10
    """The server could not be reached, or the connection broke."""
    SERVER_ERROR = 11
    """The server answered 5xx, 408 or 409, also after retries."""
    RATE_LIMITED = 12
    """The server answered 429, also after retries."""
    NOT_AUTHORISED = 13
    """The server answered 401 or 403: the key is missing, wrong or not allowed."""
    REJECTED = 14
    """The server does not accept the request (400, 404, any other 4xx, a redirect)."""
    BAD_REPLY = 15
    """The server's reply is damaged, too long, or not an answer to this kind of question."""
    INVENTED_MARK = 16
    """The model named marks that are in none of the pictures, also when asked again."""
    REFUSED = 17
    """The model or the server's filter refuses to answer."""
    SERVER_DOWN = 18
    """After repeated failures the server is left alone for a while (circuit breaker)."""
    MISCONFIGURED = 19
    """A setting of the model's endpoint cannot be used."""
    CLOSED = 20
    """The reasoner is shutting down."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about the scene.

    :param text: the question, or the instruction to follow (navigation).
    :param kind: value of :class:`Kind`; "" = work it out (navigation is never worked out, only asked for).
    :param choices: the texts to choose from, without letters.
    :param frames: keyframes to use; 0 = as configured.
    :param marks: marks to use (K); 0 = as configured.
    :param last_seconds: only keyframes this recent; 0 = the whole episode.
    :param timeout: seconds until an answer must be there; 0 = as configured.
    :param style: value of :class:`Style`; "" = as configured.
    """

    text: str
    kind: str = ""
    choices: tuple[str, ...] = ()
    frames: int = 0
    marks: int = 0
    last_seconds: float = 0.0
    timeout: float = 0.0
    style: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The keyframes that a question wants.

    :param frames: how many; 0 = as the keyframe step is configured.
    :param marks: how many marks (K); 0 = as configured.
    :param kind: how they are marked: "marks", "raw" or "set_of_mark".
    :param last_seconds: time window; 0 = the whole episode.
    :param blur: ids of objects to be made unrecognisable.
    :param timeout: seconds left to come up with them.
    """

    frames: int
    marks: int
    kind: str
    last_seconds: float
    blur: tuple[int, ...]
    timeout: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The keyframes to answer from, oldest first, and what their marks look like."""

    keyframes: tuple[MarkedKeyframe, ...]
    look: MarkSettings = field(default_factory=MarkSettings)


KeyframeSource = Callable[[Wanted], Seen]
"""Comes up with keyframes within the given time, or raises a CCError that says why not."""

Progress = Callable[[str, str], None]
"""Told how a question gets on: a stage ("queued", "sent", "first_token", "answering", "retrying", "asking_again") and
the text so far."""


class Move(str, Enum):
    """The moves of navigation."""

    FORWARD = "FORWARD"
    TURN_LEFT = "TURN_LEFT"
    TURN_RIGHT = "TURN_RIGHT"
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class Action:
    """One move: metres for FORWARD, degrees for the turns, 0 for STOP."""

    move: Move
    value: float = 0.0

    def __str__(self) -> str:
        return self.move.value if self.move is Move.STOP else f"{self.move.value}({self.value:g})"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a question took.

    :param requests: HTTP requests sent.
    :param images: pictures in one request.
    :param bytes: size of those pictures as sent (base64), together with the text.
    :param estimated_tokens: prompt tokens as estimated before sending.
    :param prompt_tokens: as the server counted them, over all requests; 0 = it did not say.
    :param answer_tokens: likewise.
    :param seconds: from the question to the answer.
    :param cost: in the currency of the configured prices; NaN without prices.
    """

    requests: int = 0
    images: int = 0
    bytes: int = 0
    estimated_tokens: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    cost: float = math.nan


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, or why there is none.

    :param status: OK, or one kind of failure; only with OK do the other fields hold an answer.
    :param message: for people: what went wrong and what to do, or a remark on an answer.
    :param text: the answer; for a choice its letter and text, "B. two".
    :param choice: index into the question's choices, -1 = none.
    :param mark_ids: the marks that the answer is about, all of them in the keyframes.
    :param confidence: 0..1 as stated by the model or measured; 0 = not stated.
    :param source: "model", "geometry", "cache", or "" without an answer.
    :param reason: why, in a sentence or two.
    :param action: the next move, for navigation only.
    :param goal: (x, y, z) metres in the world frame of the poses: the place of the mark that was asked for.
    :param turn: whether the goal is only to be faced, from where the robot is.
    :param no_goal: for people: why there is no goal though a place was asked for.
    :param model: that answered, as the server names it.
    :param kind: the kind that the question was taken for.
    :param usage: what it took.
    """

    status: Status
    message: str = ""
    text: str = ""
    choice: int = -1
    mark_ids: tuple[int, ...] = ()
    confidence: float = 0.0
    source: str = ""
    reason: str = ""
    action: Action | None = None
    goal: tuple[float, float, float] | None = None
    turn: bool = False
    no_goal: str = ""
    model: str = ""
    kind: str = ""
    usage: Usage = field(default_factory=Usage)

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.status is Status.OK

"""What is asked and what comes back: the same fields as ``cc_ros/srv/SpatialQuery``, without ROS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from cc_ros.keyframes import KeyframeRequest, KeyframeSet


def sendable(text: str) -> str:
    """Return text that a message can hold: without half surrogate pairs and NUL, which JSON allows."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


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
    MARKS_MEASURED = "marks_measured"

    @property
    def of_pictures(self) -> str:
        """The style of the keyframe step that its pictures are marked in."""
        return self.MARKS.value if self in (self.MARKS_COT, self.MARKS_MEASURED) else self.value


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
class Question(KeyframeRequest):
    """One question about the scene, and the keyframes to answer it from: the request of ``cc_ros/srv/SpatialQuery``.

    Zero and empty values mean: as configured.

    :param text: the question, or the instruction to follow (navigation).
    :param kind: value of :class:`Kind`; "" = work it out (navigation is never worked out, only asked for).
    :param choices: the texts to choose from, without letters.
    :param timeout: seconds until an answer must be there.
    :param send_goal: whether somebody waits for the answer's goal: then it is said why there is none.
    :param conversation: navigation: its name; another than in the turn before begins a new one.
    :param note: navigation: what the model is told beside the picture, such as how the last move ended.
    :param style: value of :class:`Style`.
    """

    text: str
    kind: str = ""
    choices: tuple[str, ...] = ()
    timeout: float = 0.0
    send_goal: bool = False
    conversation: str = ""
    note: str = ""


KeyframeSource = Callable[[KeyframeRequest, tuple[int, ...], float], KeyframeSet]
"""Comes up with keyframes, or raises a CCError that says why not. It is given the request, the ids of objects to be
made unrecognisable, and the seconds that are left for it."""

Progress = Callable[[str, str], None]
"""Told how a question gets on: a stage ("queued", "sent", "first_token", "answering", "retrying", "asking_again",
"measuring", "looking") and
the text so far."""

Exchanged = Callable[[Sequence[Mapping[str, Any]], str], None]
"""Told the messages that were sent to the model, and its reply as it came; called in a thread of the reasoner's."""


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
class Goal:
    """Where to go, on the ground: metres in the world of the keyframes' poses.

    :param yaw: heading in radians from the x axis to the left (REP 103).
    :param frame: name of that world, where it has one.
    """

    x: float
    y: float
    yaw: float
    frame: str = ""


Covariance = tuple[float, float, float, float, float, float, float, float, float]
"""3x3, row by row"""


@dataclass(frozen=True, slots=True)
class MarkPlace:
    """Where one mark is, as far as that was measured: ``cc_ros/msg/MarkPlace``. NaN and None are unknown.

    :param id: of the mark.
    :param bearing: radians to the left of where the camera looks now, negative to the right.
    :param bearing_sigma: its standard deviation.
    :param distance: metres from the camera's newest place.
    :param distance_sigma: its standard deviation.
    :param point: (x, y, z) in ``frame``, metres.
    :param covariance: of the point, m^2; zeros without a point.
    :param frame: that of the odometry; "" without a point.
    :param missing: for people: which input is missing for what is unknown; "" where nothing is.
    """

    id: int
    bearing: float = math.nan
    bearing_sigma: float = math.nan
    distance: float = math.nan
    distance_sigma: float = math.nan
    point: tuple[float, float, float] | None = None
    covariance: Covariance = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    frame: str = ""
    missing: str = ""


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
    :param model: that answered, as the server names it.
    """

    requests: int = 0
    images: int = 0
    bytes: int = 0
    estimated_tokens: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    cost: float = math.nan
    model: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, or why there is none: the response of ``cc_ros/srv/SpatialQuery``.

    :param status: OK, or one kind of failure; only with OK do the other fields hold an answer.
    :param message: for people: what went wrong and what to do, or a remark on an answer.
    :param text: the answer; for a choice its letter and text, "B. two".
    :param choice: index into the question's choices, -1 = none.
    :param mark_ids: the marks that the answer is about, all of them in the keyframes.
    :param places: where each of them is, in the same order; () where pictures are not marked, or not alike.
    :param confidence: 0..1 as stated by the model or measured; 0 = not stated.
    :param source: "model", "geometry", "cache", or "" without an answer.
    :param reason: why, in a sentence or two.
    :param kind: the kind that the question was taken for.
    :param prompt: the text that a model was asked with, beside the pictures; "" where none was.
    :param action: the next move, for navigation only.
    :param goal: a free place before the mark that was asked for, facing it.
    :param usage: what it took.
    """

    status: Status
    message: str = ""
    text: str = ""
    choice: int = -1
    mark_ids: tuple[int, ...] = ()
    places: tuple[MarkPlace, ...] = ()
    confidence: float = 0.0
    source: str = ""
    reason: str = ""
    kind: str = ""
    prompt: str = ""
    action: Action | None = None
    goal: Goal | None = None
    usage: Usage = field(default_factory=Usage)

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.status is Status.OK

"""Following one instruction: look, ask for the next move, drive it, and again."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from cc_ros.action import FollowInstruction, SpatialQuery
from cc_ros.errors import CCError
from cc_ros.keyframes import KeyframeRequest
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.motion.halt import Cause, FollowStatus, Halt
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.convert.images import jpeg_message
from cc_ros.nodes.convert.questions import to_answer
from cc_ros.nodes.convert.stamps import to_time
from cc_ros.nodes.driving import Driven, Driver, Halted, Step
from cc_ros.nodes.senses import Senses
from cc_ros.reasoning.types import Action, Answer, Kind, Move, Status, Style, sendable
from cc_ros.runs.episode_log import EpisodeLog
from cc_ros.settings import knob

LOOK_PERIOD = 0.05  # seconds between two looks while it waits
KEYFRAME_TIME = 5.0  # seconds for cc_keyframes to answer
TELL_PERIOD = 0.2  # seconds between two feedbacks while it drives
FUTILE_MOVES = 3  # in a row without way, after which it gives up
SOME_WAY = 0.05  # metres or radians that count as way
SAME_STAMP = 1e-4  # seconds: what floats since 1970 cannot tell apart
ENDS = {Cause.STALE: FollowStatus.NO_INPUT, Cause.BLIND: FollowStatus.REFUSED}
ENDS |= {cause: FollowStatus[cause.name] for cause in Cause if not cause.may_go_on and cause not in ENDS}


@dataclass(frozen=True)
class EpisodeSettings:
    """Limits of following one instruction."""

    max_steps: int = knob(30, "moves at most", ge=1, le=10000)
    timeout: float = knob(600.0, "for all of an instruction, in s", ge=1.0, le=86400.0)
    turn_timeout: float = knob(60.0, "for the model to say the next move, in s", ge=0.1, le=3600.0)
    patience: float = knob(5.0, "for inputs that stopped to come back while the robot stands, in s", ge=0.1, le=600.0)
    max_step: float = knob(3.0, "longest move ahead; longer ones are cut, and the model is told; m", ge=0.1, le=100)
    max_distance: float = knob(100.0, "longest way, in m", ge=0.1, le=100000.0)
    log_dir: str = knob("", "folder for logs of what was followed: JSON lines and pictures; empty = none")


class Ended(Exception):
    """The episode is over.

    :param status: how.
    """

    def __init__(self, status: FollowStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Parts:
    """What an episode works with.

    :param missed: tells which node is not heard: the robot stands meanwhile.
    :param keyframes: returns keyframes: the request, no ids, seconds.
    :param ask: returns the answer to a question, or None where it was given up; the goal, whether it is still wanted,
        and who is told the text as it comes.
    """

    node: BaseNode
    senses: Senses
    driver: Driver
    missed: Halted
    keyframes: Callable[[KeyframeRequest, tuple[int, ...], float], Any]
    ask: Callable[[SpatialQuery.Goal, Callable[[], bool], Callable[[str], None]], Any]


class Episode:
    """Follows one instruction.

    :param goal: ``FollowInstruction.Goal``.
    :param outer: tells why whoever wanted this, or the node, wants it no more.
    :param publish: sends a feedback.
    """

    def __init__(
        self, parts: Parts, settings: EpisodeSettings, goal: Any, outer: Halted, publish: Callable[[Any], None]
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._goal = goal
        self._outer = outer
        self._publish = publish
        self._begun = time.monotonic()
        self._deadline = self._begun + (goal.timeout or settings.timeout)
        self._name = uuid.uuid4().hex[:8]
        self._feedback = FollowInstruction.Feedback()
        self._telling = threading.Lock()
        self._log = EpisodeLog("", "")
        self._steps = 0
        self._way = 0.0
        self._moving = 0.0  # metres ahead in the move under way

    def run(self) -> Any:
        """Follow the instruction and return the result; the robot stands by then."""
        try:
            self._follow()
            status, message = FollowStatus.OK, "the model says that the instruction has been carried out"
        except Ended as end:
            status, message = end.status, str(end)
        except CCError as error:
            status, message = FollowStatus.NO_INPUT, str(error)
        result = FollowInstruction.Result(
            status=int(status),
            message=sendable(message),
            steps=self._steps,
            distance=self._way,
            seconds=time.monotonic() - self._begun,
            log=str(self._log.folder or ""),
        )
        self._note("end", status=status.name, message=message, steps=self._steps, distance=round(self._way, 3))
        return result

    def _follow(self) -> None:
        goal, settings = self._goal, self._settings
        wrong = self._wrong()
        if wrong:
            raise Ended(FollowStatus.BAD_REQUEST, wrong)
        try:
            self._log = EpisodeLog(settings.log_dir, self._name)
        except OSError as error:
            self._parts.node.fault("log_errors", f"there will be no log: {error}")
        self._note("begin", instruction=goal.instruction)
        most, note, futile = goal.max_steps or settings.max_steps, "", 0
        for number in range(1, most + 1):
            self._go_on()
            picture = self._look(number)
            answer = self._ask(number, picture, note)
            assert answer.action is not None
            if answer.action.move is Move.STOP:
                return
            driven, note = self._drive(number, answer.action)
            self._steps = number
            futile = 0 if driven.progress > SOME_WAY else futile + 1
            if futile >= FUTILE_MOVES:
                status = ENDS.get(driven.halt.cause, FollowStatus.BLOCKED)
                raise Ended(status, f"{futile} moves in a row were of no use; the last one: {note}")
        raise Ended(FollowStatus.TOO_FAR, f"{most} moves were driven and the model did not say STOP; raise max_steps")

    def _wrong(self) -> str:
        """Return what is wrong with the goal, "" where nothing is."""
        if not self._goal.instruction.strip():
            return "the instruction is empty"
        if not 0 <= self._goal.timeout < math.inf:
            return f"timeout must be 0 or more and finite, got {self._goal.timeout}"
        return ""

    def _halted(self) -> Halt | None:
        """Return why the robot has to stand."""
        if time.monotonic() > self._deadline:
            return Halt(Cause.TIMEOUT, f"the time for the instruction is up ({self._deadline - self._begun:g} s)")
        if self._way + self._moving > self._settings.max_distance:
            return Halt(Cause.TOO_FAR, f"the longest way ({self._settings.max_distance:g} m) was reached")
        return self._outer()

    def _go_on(self) -> None:
        """Raise Ended where there is a reason not to go on."""
        halt = self._halted()
        if halt is not None:
            raise Ended(ENDS[halt.cause], halt.text)

    # -- the parts of a turn

    def _look(self, number: int) -> MarkedKeyframe:
        """Return the newest keyframe, taken after the robot came to stand, once all inputs come."""
        parts, settings = self._parts, self._settings
        self._tell("looking", step=number, move="", value=0.0, done=0.0, words="")
        after, until, trouble = parts.senses.images.stamp * 1e-9, time.monotonic() + settings.patience, ""
        given = self._goal.style
        style = Style(given).of_pictures if given in list(Style) else ""  # the pictures' own, of a style of asking
        wish = KeyframeRequest(frames=1, marks=self._goal.marks, style=style)
        while True:
            self._go_on()
            halt, missing = parts.missed() or parts.senses.silent(), parts.driver.missing()
            if halt is not None or missing:
                trouble = missing or (halt.text if halt else "")
                after = max(after, parts.senses.images.stamp * 1e-9)
            else:
                try:
                    seen = parts.keyframes(wish, (), KEYFRAME_TIME).keyframes
                except CCError as error:
                    seen, trouble = (), str(error)
                if seen and seen[-1].stamp > after + SAME_STAMP:
                    return self._shown(number, seen[-1])
                trouble = trouble if not seen else "no keyframe is newer than the last move: does cc_tracker work?"
            if time.monotonic() > until:
                raise Ended(FollowStatus.NO_INPUT, trouble or "no keyframes came")
            time.sleep(LOOK_PERIOD)

    def _shown(self, number: int, picture: MarkedKeyframe) -> MarkedKeyframe:
        header = Header(stamp=to_time(round(picture.stamp * 1e9)))
        self._tell("asking", picture=jpeg_message(header, picture.jpeg))
        self._note("look", (number, bytes(picture.jpeg)), step=number, marks=[mark.id for mark in picture.marks])
        return picture

    def _ask(self, number: int, picture: MarkedKeyframe, note: str) -> Answer:
        """Return the model's next move, which is beyond doubt: see :mod:`cc_ros.reasoning.replies.moves`."""
        goal = self._goal
        left = max(0.1, min(self._settings.turn_timeout, self._deadline - time.monotonic()))
        question = SpatialQuery.Goal(
            question=goal.instruction,
            kind=Kind.NAVIGATE.value,
            style=goal.style,
            frames=goal.frames,
            marks=goal.marks,
            timeout=left,
            conversation=self._name,
            note=note,
        )
        overdue = time.monotonic() + left + 1.0
        try:
            result = self._parts.ask(
                question,
                lambda: self._halted() is not None or time.monotonic() > overdue,
                lambda text: self._tell("asking", words=text),
            )
        except CCError as error:
            raise Ended(FollowStatus.NO_ANSWER, f"cc_reasoner: {error}") from error
        self._go_on()
        if result is None:
            raise Ended(FollowStatus.NO_ANSWER, f"cc_reasoner hangs: it did not answer within {left:.1f} s")
        answer = to_answer(result)
        self._note("answer", step=number, text=answer.text, reason=answer.reason, message=answer.message)
        if not answer.ok or answer.action is None:
            status = FollowStatus.BAD_REQUEST if answer.status is Status.BAD_REQUEST else FollowStatus.NO_ANSWER
            raise Ended(status, answer.message or "the model names no move")
        words = answer.reason or answer.text
        self._tell("driving", move=answer.action.move.value, value=float(answer.action.value), words=words)
        return answer

    def _drive(self, number: int, action: Action) -> tuple[Driven, str]:
        """Drive a move; return how it ended, and in words what the model should know of that."""
        step = _step(action, self._settings.max_step)
        told_at = 0.0

        def told(progress: float) -> None:
            nonlocal told_at
            self._moving = 0.0 if step.turning else max(progress, 0.0)
            if time.monotonic() - told_at > TELL_PERIOD:
                told_at = time.monotonic()
                self._tell("driving", done=_in_unit(progress, step))

        if not step.turning:
            self._wait_for_depth()
        try:
            driven = self._parts.driver.drive(step, lambda: self._halted() or self._parts.missed(), told)
        finally:
            self._moving = 0.0
        self._way += driven.travelled
        done, halt = _in_unit(driven.progress, step), driven.halt
        note = ""
        if halt.cause is not Cause.DONE or (abs(step.amount) < action.value and not step.turning):
            unit = "degrees" if step.turning else "metres"
            why = halt.text or f"longer moves than {self._settings.max_step:g} metres are cut"
            note = f"The last move ended after {max(done, 0.0):.2f} {unit}: {why}."
        self._tell("driven", done=done, words=note)
        self._note("driven", step=number, move=str(action), done=round(done, 3), end=halt.cause.word, text=halt.text)
        if not halt.cause.may_go_on:
            self._steps = number
            raise Ended(ENDS[halt.cause], halt.text)
        return driven, note

    def _wait_for_depth(self) -> None:
        """Give depth the time to come."""
        until = time.monotonic() + self._settings.patience
        while True:
            self._go_on()
            _, halt = self._parts.senses.ahead()
            if halt is None or halt.cause not in (Cause.BLIND, Cause.STALE):
                return
            if time.monotonic() > until:
                raise Ended(ENDS[halt.cause], halt.text)
            time.sleep(LOOK_PERIOD)

    # -- telling

    def _tell(self, phase: str, **fields: Any) -> None:
        """Send a feedback; what is not said stays as it was, but the picture, which is sent once."""
        with self._telling:
            feedback = self._feedback
            feedback.phase = phase
            for name, value in fields.items():
                setattr(feedback, name, sendable(value) if isinstance(value, str) else value)
            self._publish(feedback)
            feedback.picture = CompressedImage()

    def _note(self, event: str, picture: tuple[int, bytes] | None = None, **fields: Any) -> None:
        try:
            self._log.note(event, picture, **fields)
        except OSError as error:  # a full disk does not end the episode
            self._parts.node.fault("log_errors", f"the log could not be written: {error}")


def _step(action: Action, longest: float) -> Step:
    """Return a move of the model's as one of the robot's."""
    if action.move is Move.FORWARD:
        return Step(min(action.value, longest), False)
    angle = math.radians(action.value)
    return Step(angle if action.move is Move.TURN_LEFT else -angle, True)


def _in_unit(progress: float, step: Step) -> float:
    """Return the progress of a move in metres or degrees."""
    return math.degrees(progress) if step.turning else progress

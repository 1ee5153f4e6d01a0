"""Answers as people see them: on the terminal and in the report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError

if TYPE_CHECKING:
    from cc_ros.keyframes import Archive, KeyframeRequest, Keyframes, KeyframeSet
    from cc_ros.memory import Memory
    from cc_ros.reasoning import Answer, KeyframeSource, ReasonerSettings


def source_of(keyframes: Keyframes) -> KeyframeSource:
    """Return the keyframe step as what a question gets its pictures from."""
    from cc_ros.keyframes import KeyframeSet

    def fetch(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        marked = tuple(keyframes.marked(request, blur=blur))
        objects = keyframes.objects(request)
        if not marked and not objects:
            raise CCError(keyframes.missing(request))
        return KeyframeSet(marked, keyframes.look, objects=objects)

    return fetch


def remembering(archive: Archive) -> KeyframeSource:
    """Return a memory as what a question gets its pictures from: all of it where the question names no time."""
    from cc_ros.keyframes import Keyframes
    from cc_ros.reasoning.context import EVER

    of_all = source_of(Keyframes(archive=archive))
    return lambda request, blur, timeout: of_all(
        request if request.reaches_back else dataclasses.replace(request, since=EVER), blur, timeout
    )


class _Noting:
    """Passes keyframes on, and notes which came.

    :ivar stamps: seconds, as those of the keyframes.
    """

    def __init__(self, source: KeyframeSource) -> None:
        self._source = source
        self.stamps: tuple[float, ...] = ()

    def __call__(self, request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        seen = self._source(request, blur, timeout)
        self.stamps = tuple(keyframe.stamp for keyframe in seen.keyframes)
        return seen


def describe(answer: Answer) -> str:
    """Return an answer, or why there is none, in one or two lines."""
    if not answer.ok:
        return answer.message
    marks = f", marks {', '.join(map(str, answer.mark_ids))}" if answer.mark_ids else ""
    model = f" {answer.usage.model}" if answer.source == "model" and answer.usage.model else ""
    return f"{answer.text}\n  (by {answer.source}{model}{marks}, {answer.usage.seconds:.2f} s)"


def ask_all(
    questions: Sequence[str],
    settings: ReasonerSettings,
    keyframes: Keyframes,
    memory: Memory | None = None,
    now: float | None = None,
) -> tuple[list[tuple[str, Answer]], bool]:
    """Ask about what was tracked and print the answers; whatever goes wrong stands in their place.

    :param memory: keeps them.
    :param now: seconds since 1970 that times in words go by; None = by the clock.
    :return: each question with its answer or the reason why there is none, and whether Ctrl-C ended it.
    """
    answers: list[tuple[str, Answer]] = []
    if not questions:
        return answers, False
    from cc_ros.memory import Asked
    from cc_ros.reasoning import Answer, Question, Reasoner, Status
    from cc_ros.reasoning.llm.errors import answer_to

    def clock() -> float:
        return time.time() if now is None else now

    otherwise, interrupted = Answer(Status.CANCELLED, "interrupted"), False
    try:
        with stop_on_signals() as stop, Reasoner(settings, now=clock) as reasoner:
            for question in questions:
                source = _Noting(source_of(keyframes))
                try:
                    answer = reasoner.ask(Question(question), source, cancel=stop)
                except Exception as error:  # the next question may have an answer
                    answer = answer_to(error)
                if memory is not None:
                    seen = tuple(keyframes.begin + stamp for stamp in source.stamps)
                    memory.note(Asked.of(question, answer, clock(), seen))
                print(f"\n{question}\n  {describe(answer)}")
                answers.append((question, answer))
                interrupted = stop.is_set()
                if interrupted:
                    break
    except KeyboardInterrupt:
        interrupted = True
    except Exception as error:  # settings that cannot be used: the run is done, and its report is still to be written
        otherwise = answer_to(error)
    for question in questions[len(answers) :]:
        print(f"\n{question}\n  {otherwise.message}")
        answers.append((question, otherwise))
    print()
    return answers, interrupted

"""Answers as people see them: on the terminal and in the report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError

if TYPE_CHECKING:
    from cc_ros.geometry.ground_seen import SeenGround
    from cc_ros.geometry.places import PlaceMap
    from cc_ros.keyframes import Archive, KeyframeRequest, Keyframes, KeyframeSet
    from cc_ros.memory import Asked
    from cc_ros.reasoning import Answer, GoalSettings, KeyframeSource, ReasonerSettings


def source_of(
    keyframes: Keyframes,
    places: PlaceMap | None = None,
    seen: SeenGround | None = None,
    remarks: Sequence[str] = (),
) -> KeyframeSource:
    """Return the keyframe step as what a question gets its pictures from.

    :param places: of the tracks of the episode.
    :param seen: what depth showed of the ground.
    :param remarks: for people: what limits those places.
    """
    from cc_ros.geometry.places import with_places
    from cc_ros.keyframes import SET_OF_MARK, KeyframeSet

    def fetch(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        marked = keyframes.marked(request, blur=blur)
        objects = keyframes.objects(request)
        if not marked and not objects:
            raise CCError(keyframes.missing(request))
        own = (request.style or keyframes.settings.kind) == SET_OF_MARK  # its numbers are those of each picture
        if places is not None and not own and not request.reaches_back:
            known = places.places({mark.id for keyframe in marked for mark in keyframe.marks})
            marked = [with_places(keyframe, known) for keyframe in marked]
        ground = seen.ground() if seen is not None else None
        grounds = () if ground is None else (ground,)
        since = keyframes.remembered_since()
        return KeyframeSet(tuple(marked), keyframes.look, tuple(remarks), grounds, objects, since)

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
        self.stamps = tuple(sorted({*self.stamps, *(keyframe.stamp for keyframe in seen.keyframes)}))
        return seen


def describe(answer: Answer) -> str:
    """Return an answer, or why there is none, in one or two lines."""
    if not answer.ok:
        return answer.message
    marks = f", marks {', '.join(map(str, answer.mark_ids))}" if answer.mark_ids else ""
    model = f" {answer.usage.model}" if answer.source == "model" and answer.usage.model else ""
    goal = ""
    if answer.goal is not None:
        goal = f", goal ({answer.goal.x:.2f}, {answer.goal.y:.2f})"
    return f"{answer.text}\n  (by {answer.source}{model}{marks}{goal}, {answer.usage.seconds:.2f} s)"


def ask_all(
    questions: Sequence[str],
    settings: ReasonerSettings,
    goals: GoalSettings,
    source: KeyframeSource,
    keep: Callable[[Asked], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> tuple[list[tuple[str, Answer]], bool]:
    """Ask about what was tracked and print the answers; whatever goes wrong stands in their place.

    :param source: of the keyframes.
    :param keep: takes each question with its answer and the stamps of its keyframes, for a memory.
    :param clock: seconds since 1970 that times in words go by.
    :return: each question with its answer or the reason why there is none, and whether Ctrl-C ended it.
    """
    answers: list[tuple[str, Answer]] = []
    if not questions:
        return answers, False
    from cc_ros.memory import Asked
    from cc_ros.reasoning import Answer, Question, Reasoner, Status
    from cc_ros.reasoning.llm.errors import answer_to

    otherwise, interrupted = Answer(Status.CANCELLED, "interrupted"), False
    try:
        with stop_on_signals() as stop, Reasoner(settings, goals=goals, now=clock) as reasoner:
            for question in questions:
                noting = _Noting(source)
                try:
                    answer = reasoner.ask(Question(question), noting, cancel=stop)
                except Exception as error:  # the next question may have an answer
                    answer = answer_to(error)
                if keep is not None:
                    keep(Asked.of(question, answer, clock(), noting.stamps))
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

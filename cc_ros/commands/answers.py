"""Answers as people see them: on the terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cc_ros.commands.signals import stop_on_signals

if TYPE_CHECKING:
    from cc_ros.geometry.ground_seen import SeenGround
    from cc_ros.geometry.places import PlaceMap
    from cc_ros.keyframes import Keyframes
    from cc_ros.reasoning import Answer, GoalSettings, KeyframeSource, ReasonerSettings


def source_of(keyframes: Keyframes, places: PlaceMap, seen: SeenGround, remarks: Sequence[str] = ()) -> KeyframeSource:
    """Return the keyframe step as what a question gets its pictures from.

    :param places: of the tracks.
    :param seen: what depth showed of the ground.
    :param remarks: for people: what limits those places.
    """
    from cc_ros.geometry.places import with_places
    from cc_ros.keyframes import SET_OF_MARK, KeyframeRequest, KeyframeSet

    def fetch(request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        marked = keyframes.marked(request, blur=blur)
        if (request.style or keyframes.settings.kind) != SET_OF_MARK:  # its numbers are those of each picture
            known = places.places({mark.id for keyframe in marked for mark in keyframe.marks})
            marked = [with_places(keyframe, known) for keyframe in marked]
        ground = seen.ground()
        return KeyframeSet(tuple(marked), keyframes.look, tuple(remarks), () if ground is None else (ground,))

    return fetch


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
    questions: Sequence[str], settings: ReasonerSettings, goals: GoalSettings, source: KeyframeSource
) -> tuple[list[tuple[str, Answer]], bool]:
    """Ask about what was tracked and print the answers; whatever goes wrong stands in their place.

    :return: each question with its answer or the reason why there is none, and whether Ctrl-C ended it.
    """
    answers: list[tuple[str, Answer]] = []
    if not questions:
        return answers, False
    from cc_ros.reasoning import Answer, Question, Reasoner, Status
    from cc_ros.reasoning.llm.errors import answer_to

    otherwise, interrupted = Answer(Status.CANCELLED, "interrupted"), False
    try:
        with stop_on_signals() as stop, Reasoner(settings, goals=goals) as reasoner:
            for question in questions:
                try:
                    answer = reasoner.ask(Question(question), source, cancel=stop)
                except Exception as error:  # the next question may have an answer
                    answer = answer_to(error)
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

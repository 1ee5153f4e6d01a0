"""Answers as people see them: on the terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cc_ros.commands.signals import stop_on_signals

if TYPE_CHECKING:
    from cc_ros.keyframes import Keyframes
    from cc_ros.reasoning import Answer, KeyframeSource, ReasonerSettings
    from cc_ros.runs.report import Answered


def source_of(keyframes: Keyframes) -> KeyframeSource:
    """Return the keyframe step as what a question gets its pictures from."""
    from cc_ros.keyframes import KeyframeRequest
    from cc_ros.reasoning import Seen, Wanted

    def fetch(wanted: Wanted) -> Seen:
        request = KeyframeRequest(wanted.frames, wanted.marks, wanted.kind, wanted.last_seconds, wanted.blur)
        return Seen(tuple(keyframes.marked(request)), keyframes.style)

    return fetch


def describe(answer: Answer) -> str:
    """Return an answer, or why there is none, in one or two lines."""
    if not answer.ok:
        return answer.message
    marks = f", marks {', '.join(map(str, answer.mark_ids))}" if answer.mark_ids else ""
    model = f" {answer.model}" if answer.source == "model" and answer.model else ""
    return f"{answer.text}\n  (by {answer.source}{model}{marks}, {answer.usage.seconds:.2f} s)"


def answered(question: str, answer: Answer) -> Answered:
    """Return an answer for the report."""
    from cc_ros.runs.report import Answered

    if not answer.ok:
        return Answered(question, error=answer.message)
    usage = _shown(answer.usage, answer.model)
    return Answered(question, answer.text, answer.source, answer.mark_ids, answer.confidence or None, usage)


def ask_all(questions: Sequence[str], settings: ReasonerSettings, keyframes: Keyframes) -> tuple[list[Answered], bool]:
    """Ask about what was tracked and print the answers; whatever goes wrong stands in their place.

    :return: an answer or a reason for each question, and whether Ctrl-C ended it.
    """
    answers: list[Answered] = []
    if not questions:
        return answers, False
    from cc_ros.reasoning import Question, Reasoner
    from cc_ros.reasoning.llm.errors import answer_to
    from cc_ros.runs.report import Answered

    why, interrupted = "interrupted", False
    try:
        with stop_on_signals() as stop, Reasoner(settings) as reasoner:
            for question in questions:
                try:
                    answer = reasoner.ask(Question(question), source_of(keyframes), cancel=stop)
                    text, result = describe(answer), answered(question, answer)
                except Exception as error:  # the next question may have an answer
                    text = answer_to(error).message
                    result = Answered(question, error=text)
                print(f"\n{question}\n  {text}")
                answers.append(result)
                interrupted = stop.is_set()
                if interrupted:
                    break
    except KeyboardInterrupt:
        interrupted = True
    except Exception as error:  # settings that cannot be used: the run is done, and its report is still to be written
        why = answer_to(error).message
    for question in questions[len(answers) :]:
        print(f"\n{question}\n  {why}")
        answers.append(Answered(question, error=why))
    print()
    return answers, interrupted


def _shown(usage: Any, model: str) -> dict[str, Any]:
    shown = {"seconds": round(usage.seconds, 2), "images": usage.images}
    return {**shown, "model": model} if model else shown


def from_response(question: str, response: Any) -> Answered:
    """Return the response of ``cc/ask`` for the report."""
    from cc_ros.runs.report import Answered

    if response.status != response.OK:
        return Answered(question, error=response.message or f"no answer (status {response.status})")
    usage = _shown(response.usage, response.usage.model)
    marks = list(response.mark_ids)
    return Answered(question, response.answer, response.source, marks, response.confidence or None, usage)

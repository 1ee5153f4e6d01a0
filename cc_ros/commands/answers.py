"""Answers as people see them: on the terminal and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cc_ros.keyframes import Keyframes
    from cc_ros.reasoning import Answer, KeyframeSource
    from cc_ros.sources.report import Answered


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
    return f"{answer.text}\n  (by {answer.source}{marks}, {answer.usage.seconds:.2f} s)"


def answered(question: str, answer: Answer) -> Answered:
    """Return an answer for the report."""
    from cc_ros.sources.report import Answered

    if not answer.ok:
        return Answered(question, error=answer.message)
    usage = {"seconds": round(answer.usage.seconds, 2), "images": answer.usage.images}
    return Answered(question, answer.text, answer.source, answer.mark_ids, answer.confidence or None, usage)


def from_response(question: str, response: Any) -> Answered:
    """Return the response of ``cc/ask`` for the report."""
    from cc_ros.sources.report import Answered

    if response.status != response.OK:
        return Answered(question, error=response.message)
    usage = {"seconds": round(response.usage.seconds, 2), "images": response.usage.images}
    marks = list(response.mark_ids)
    return Answered(question, response.answer, response.source, marks, response.confidence or None, usage)

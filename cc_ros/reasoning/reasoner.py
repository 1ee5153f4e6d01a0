"""The reasoner: takes questions from any thread, answers with a model or from measurements, and never hangs."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from cc_ros.geometry import GeometryError, SceneMap
from cc_ros.geometry.evaluate import not_shown
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.queries import GoTo, TurnTo
from cc_ros.keyframes import KeyframeSet, MarkedKeyframe
from cc_ros.reasoning import validation
from cc_ros.reasoning.context import Context, Flag
from cc_ros.reasoning.kinds import Form
from cc_ros.reasoning.llm.endpoint import how_to_configure, resolve_endpoint
from cc_ros.reasoning.llm.errors import answer_to
from cc_ros.reasoning.measured import answers, questions, reading
from cc_ros.reasoning.measured import remembered as recall
from cc_ros.reasoning.measured.places import mark_places
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.request_queue import RequestQueue
from cc_ros.reasoning.settings import GoalSettings, ReasonerSettings, ids_of
from cc_ros.reasoning.types import Answer, Exchanged, KeyframeSource, Kind, Progress, Question, Status, Style
from cc_ros.reasoning.vlm import Model


class Reasoner(AbstractContextManager["Reasoner"]):
    """Answers questions about marked keyframes. Thread-safe.

    >>> with Reasoner(ReasonerSettings(), environ={}) as reasoner:
    ...     reasoner.ask(Question("How many chairs are there?"), []).status.name
    'NEEDS_MODEL'

    :param settings: the knobs.
    :param environ: where keys are looked up.
    :param goals: where goals lie.
    :param now: returns the time that questions such as "since this morning" go by, seconds since 1970.
    :raises SettingsError: settings that contradict themselves, a key file open to others, or a bad prompts folder.
    """

    def __init__(
        self,
        settings: ReasonerSettings,
        environ: Mapping[str, str] = os.environ,
        goals: GoalSettings = GoalSettings(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._settings = settings
        self._goal_rules = goals.rules
        self._blur = ids_of(settings.blur_marks)
        self._queue = RequestQueue(settings.max_parallel, settings.max_queue)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._ended: Counter[str] = Counter()
        prompts = Prompts(settings.prompts_dir)
        reading.grammar()  # so that the first question does not wait for it
        endpoint = resolve_endpoint(settings, environ)
        self._model = None if endpoint is None else Model(settings, endpoint, prompts)

    def ask(
        self,
        question: Question,
        keyframes: KeyframeSource | Sequence[MarkedKeyframe],
        on_progress: Progress | None = None,
        cancel: Flag | None = None,
        on_exchange: Exchanged | None = None,
    ) -> Answer:
        """Answer a question, or say why there is no answer; returns before the deadline plus a second. Never raises.

        :param keyframes: the pictures, oldest first, or what comes up with them.
        :param on_progress: told in this thread how it gets on.
        :param cancel: once it is set, the request is closed and the answer is CANCELLED.
        :param on_exchange: told what is sent to the model and what it replies, once a request.
        """
        told = on_progress, cancel, self._closed, self._now(), on_exchange, self._blur
        context = Context(question, self._settings, keyframes, *told)
        try:
            answer = dataclasses.replace(self._answer(context), kind=context.kind_name)
        except Exception as error:
            answer = dataclasses.replace(answer_to(error), kind=question.kind)
            if self._model is not None:
                answer = dataclasses.replace(answer, message=self._model.endpoint.redact(answer.message))
        usage = dataclasses.replace(answer.usage, seconds=time.monotonic() - context.begun)
        with self._lock:
            self._ended[answer.source if answer.ok else answer.status.name.lower()] += 1
        return dataclasses.replace(answer, usage=usage)

    def reset(self) -> None:
        """Start a new episode: forget kept answers and the navigation conversation."""
        if self._model is not None:
            self._model.reset()

    def status(self) -> dict[str, str | int | float]:
        """Return counters and states for /diagnostics; ``degraded`` holds a reason for people, where there is one."""
        running, waiting = self._queue.counts()
        report: dict[str, str | int | float] = {"running": running, "waiting": waiting}
        with self._lock:
            report.update({f"ended_{how}": count for how, count in sorted(self._ended.items())})
        if self._model is None:
            report["degraded"] = f"no model: {how_to_configure(self._settings)}"
            return report
        endpoint = self._model.endpoint
        report.update({"endpoint": endpoint.base_url, "model": endpoint.model, "breaker": self._model.breaker.state()})
        report.update(self._model.budget.spent())
        degraded = self._model.unusable or self._model.down() or self._model.budget.refusal()
        if degraded:
            report["degraded"] = degraded
        return report

    def close(self) -> None:
        """Cancel what is being asked, close connections and threads; every question still open ends as CLOSED."""
        self._closed.set()
        if self._model is not None:
            self._model.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, context: Context) -> Answer:
        wrong = validation.problem(context.question, context.style_name)
        if wrong:
            return Answer(Status.BAD_REQUEST, wrong)
        context.stop()
        return self._by_memory(context) or self._seen(context)

    def _seen(self, context: Context) -> Answer:
        """Answer from keyframes: by the model, or measured from their marks."""
        if context.measurable and isinstance(context.asked, GoTo | TurnTo):
            return self._by_marks(context, Status.CANNOT_TELL, "")  # a model knows no places
        if self._model is None:
            return self._by_marks(context, Status.NEEDS_MODEL, how_to_configure(self._settings))
        down = self._model.down()
        if down:
            return self._by_marks(context, Status.SERVER_DOWN, down)
        if self._settings.prefer == "geometry" and context.measurable:
            answer = self._by_marks(context, Status.CANNOT_TELL, "")
            if answer.ok:
                return answer
        context.progress("queued", "")
        with self._queue.place(context.deadline, context.stop):
            return self._by_model(context, self._model)

    def _by_model(self, context: Context, model: Model) -> Answer:
        seen = context.seen(context.style)
        if not seen.keyframes:
            return _NO_KEYFRAMES
        if context.spec.form is Form.MOVE:
            return self._with_goal(model.navigate(seen, context), context, None)
        ids = sorted({mark.id for frame in seen.keyframes for mark in frame.marks})
        missing = [id for id in questions.named_marks(context.question.text) if id not in ids]
        if seen.remembered_since:  # the model can look at what is not in these pictures
            missing = [id for id in missing if not context.remembered(id, Style.MARKS).objects]
        if missing and context.style is not Style.RAW:
            return Answer(Status.UNKNOWN_MARK, not_shown(missing, ids))
        # In a set of marks, a number names something else in each picture.
        return self._with_goal(
            model.answer(seen, context), context, None if context.style is Style.SET_OF_MARK else seen
        )

    def _by_memory(self, context: Context) -> Answer | None:
        """Answer what a memory knows without pictures; None where it is not asked, or there is none."""
        question = context.question
        asked = None if question.choices else recall.read(context.plain.text)
        if asked is None or question.kind not in ("", Kind.FREE.value):
            return None
        seen = context.remembered(asked.mark, Style.MARKS)
        return recall.answer(asked, seen.objects, question.since, context.now) if seen.objects else None

    def _by_marks(self, context: Context, otherwise: Status, why: str) -> Answer:
        """Answer from measurements, or end with ``otherwise`` where the question is none about marks."""
        if context.asked is None or not context.measurable:
            return Answer(otherwise, f"this question needs a model; {why}")
        seen = context.seen(Style.MARKS)
        if not seen.keyframes:
            return _NO_KEYFRAMES
        scene = SceneMap.from_keyframes(seen.keyframes)
        answer = answers.answer_from_marks(context.plain, context.kind, scene)
        if answer is None:
            return Answer(otherwise, f"this question needs a model; {why}")
        if answer.status is Status.CANNOT_TELL and why:
            return dataclasses.replace(answer, message=f"{answer.message}; a model might: {why}")
        if answer.ok and why:
            answer = dataclasses.replace(answer, message=f"measured, without a model: {why}")
        return self._with_goal(answer, context, seen)

    def _with_goal(self, answer: Answer, context: Context, seen: KeyframeSet | None) -> Answer:
        """Add where its marks are, and where to go for the one that was asked for.

        Where somebody waits for a goal and there is none, it is said why; and who only wants to go has no answer then.

        :param seen: what the answer is about; None = nothing that has a place.
        """
        if not answer.ok:
            return answer
        goal, why = None, "the answer names no one mark to go to"
        try:
            if seen is not None:
                scene = SceneMap.from_keyframes(seen.keyframes)
                answer = dataclasses.replace(answer, places=mark_places(scene, answer.mark_ids))
                found = answers.goal_of(answer, context.kind, context.asked, scene, seen.grounds, self._goal_rules)
                if isinstance(found, Unknown):
                    why = found.reason
                else:
                    goal = found
        except GeometryError as error:  # a camera matrix that cannot be used does not spoil the answer
            why = str(error)
        if goal is None and isinstance(context.asked, GoTo) and context.measurable:
            return Answer(Status.CANNOT_TELL, f"the robot cannot go there: {why}", kind=answer.kind)
        remarks: tuple[str, ...] = ()
        if seen is not None and (goal is not None or answer.source == "geometry"):
            remarks = seen.remarks
        if goal is None and context.question.send_goal:
            remarks += (f"no goal was sent: {why}",)
        message = "; ".join(filter(None, (answer.message, *remarks)))
        return dataclasses.replace(answer, goal=goal, message=message)


_NO_KEYFRAMES = Answer(Status.NO_KEYFRAMES, "there are no keyframes yet; is the camera running, and the tracker?")

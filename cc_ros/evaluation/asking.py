"""Ask one question under one condition: track, mark, prompt, and note all that the report tells."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from cc_ros.errors import SettingsError
from cc_ros.evaluation import stages
from cc_ros.evaluation.conditions import Condition, Shown
from cc_ros.evaluation.measured import birds_eye, facts
from cc_ros.evaluation.oracle import MODEL as ORACLE
from cc_ros.evaluation.oracle import Oracle, Sight, angle_of
from cc_ros.evaluation.tracked import TrackedFrames, TrackerChoice, TrackingCache
from cc_ros.evaluation.truth import true_map, under
from cc_ros.evaluation.types import Answer, Question
from cc_ros.keyframes import KeyframeRequest, Keyframes, KeyframeSet, KeyframeSettings, MarkedKeyframe, MarkSettings
from cc_ros.reasoning import Question as Asked
from cc_ros.reasoning import Reasoner, ReasonerSettings
from cc_ros.reasoning.kinds import kind_of
from cc_ros.reasoning.prompts.images import PictureStore
from cc_ros.reasoning.types import Answer as Replied
from cc_ros.settings import checked

T = TypeVar("T")
SCENES_HELD, MARKED_HELD = 4, 16
ORACLE_PRESET, ORACLE_SIDE = "vllm", 1280
MAP_NOTE = "The first image is no photograph but a map seen from above, with the same numbers; the arrow is the camera."


@dataclass(frozen=True, slots=True)
class Task:
    """One question to be asked once."""

    question: Question
    condition: Condition
    direction: str
    trial: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """As of its answer."""
        return self.question.id, self.condition.name, self.direction, self.trial


@dataclass(frozen=True)
class Setup:
    """All that asking needs beside a task; it can be sent to another machine.

    :param cache: folder of what was tracked.
    :param settings: group (``reasoner``, ``keyframes``, ``mark`` and those of the trackers) -> name -> value.
    :param parallel: questions at the model at once.
    :param seed: of the oracle's coin.
    """

    cache: Path
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parallel: int = 2
    seed: int = 0

    def tracker(self, name: str) -> TrackerChoice:
        """Return a tracker with its settings."""
        others = ("reasoner", "keyframes", "mark")
        return TrackerChoice(name, {group: values for group, values in self.settings.items() if group not in others})

    def reasoner(self, condition: Condition, base_url: str = "") -> ReasonerSettings:
        """Return the settings of the reasoner: every answer is asked for anew, and as many as wanted at once."""
        given = {"max_parallel": self.parallel, "max_queue": 1000, **self.settings.get("reasoner", {})}
        if base_url:
            given |= {"base_url": base_url, "preset": ORACLE_PRESET, "max_image_side": ORACLE_SIDE}
        return checked(ReasonerSettings, {**given, "model": condition.model, "cache_seconds": 0.0})


class Asker(AbstractContextManager["Asker"]):
    """Answers tasks. Thread-safe; media are tracked one at a time.

    :param setup: how.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._cache = TrackingCache(setup.cache)
        self._lock = threading.Lock()
        self._tracking = threading.Lock()
        self._scenes: OrderedDict[Hashable, TrackedFrames] = OrderedDict()
        self._marked: OrderedDict[Hashable, tuple[KeyframeSet, dict[int, Any]]] = OrderedDict()
        self._reasoners: dict[str, Reasoner] = {}
        self._oracle: Oracle | None = None
        self._pictures: PictureStore | None = None

    def answer(self, task: Task) -> Answer:
        """Answer a task.

        :raises CCError: the media cannot be read or tracked, or settings cannot be used.
        """
        question, condition = task.question, task.condition
        shown = Shown(condition.style)
        seen, labels = self.pictures(task)
        measured = facts(seen.keyframes) if condition.marks else ""
        sent, text = seen, question.text
        if shown is Shown.MEASURED and measured:
            text = f"{text}\nMeasured, from where the camera is:\n{measured}"
        above = birds_eye(seen.keyframes, seen.look) if shown is Shown.BIRDS_EYE else None
        if above is not None:
            sent, text = dataclasses.replace(seen, keyframes=(above, *seen.keyframes)), f"{text}\n{MAP_NOTE}"
        if condition.suffix:
            text = f"{text}\n{condition.suffix}"
        said = _Transcript()
        reasoner = self._reasoner(condition)
        if condition.model == ORACLE:
            self._tell_oracle(question, text, sent.keyframes)
        kind = question.ask_as or kind_of(Asked(question.text, choices=question.choices)).value
        replied = reasoner.ask(
            Asked(text, kind=kind, choices=question.choices, style=shown.style.value),
            lambda request, blur, timeout: sent,
            on_exchange=said,
        )
        stage, why = stages.of_reply(question, replied.status.name, replied.text, replied.message)
        if not stage and condition.marks:
            stage, why = stages.of_pictures(question, seen.keyframes, labels, shown is Shown.SET_OF_MARK)
        return Answer(
            *(question.id, condition.name, task.direction, task.trial),
            **_fields(replied),
            reply=said.reply,
            prompt=said.prompt,
            pictures=tuple(map(_picture, seen.keyframes)),
            facts=measured,
            stage=stage,
            why=why,
        )

    def pictures(self, task: Task) -> tuple[KeyframeSet, dict[int, Any]]:
        """Return the marked pictures of a task, and what was tracked in them: frame index -> HxW uint16.

        :raises CCError: the media cannot be read or tracked.
        """
        condition = task.condition
        choice = self._setup.tracker(condition.tracker)
        looks = (condition.style, condition.frames, condition.marks, condition.diameter)
        scene = (task.question.media, task.direction, condition.tracker)
        key = (*scene, *looks, condition.outline, condition.overlay)

        def marked() -> tuple[KeyframeSet, dict[int, Any]]:
            tracked = self._held(
                self._scenes, SCENES_HELD, scene, lambda: self._cache.get(task.question.media, task.direction, choice)
            )
            return self._mark(condition, tracked)

        with self._tracking:
            return self._held(self._marked, MARKED_HELD, key, marked)

    def close(self) -> None:
        """Cancel what is being asked, and stop the oracle."""
        for reasoner in self._reasoners.values():
            reasoner.close()
        if self._oracle is not None:
            self._oracle.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mark(self, condition: Condition, tracked: TrackedFrames) -> tuple[KeyframeSet, dict[int, Any]]:
        given = self._setup.settings
        look = checked(
            MarkSettings,
            {
                **given.get("mark", {}),
                **{"diameter": condition.diameter, "outline": condition.outline, "overlay": condition.overlay},
            },
        )
        wanted = {**given.get("keyframes", {}), "frames": condition.frames, "marks": condition.marks}
        keyframes = Keyframes(checked(KeyframeSettings, wanted), look)
        keyframes.store = tracked
        style = Shown(condition.style).style.of_pictures
        seen = KeyframeSet(tuple(keyframes.marked(KeyframeRequest(style=style))), look)
        labels = {kept.index: kept.labels() for kept in tracked.choose(condition.frames)} if condition.marks else {}
        return seen, labels

    def _held(self, kept: OrderedDict[Hashable, Any], most: int, key: Hashable, make: Callable[[], T]) -> T:
        if key in kept:
            kept.move_to_end(key)
        else:
            kept[key] = make()
            while len(kept) > most:
                kept.popitem(last=False)
        return cast(T, kept[key])

    def _reasoner(self, condition: Condition) -> Reasoner:
        with self._lock:
            if condition.model not in self._reasoners:
                url = ""
                if condition.model == ORACLE:
                    self._oracle = Oracle(self._setup.seed)
                    self._pictures = PictureStore(ORACLE_SIDE, ReasonerSettings().jpeg_quality)
                    url = self._oracle.base_url
                self._reasoners[condition.model] = Reasoner(self._setup.reasoner(condition, url))
            return self._reasoners[condition.model]

    def _tell_oracle(self, question: Question, text: str, keyframes: Sequence[MarkedKeyframe]) -> None:
        assert self._oracle is not None and self._pictures is not None
        asked = tuple(question.extra.get("objects") or ())
        if asked and question.media.truth is None:
            raise SettingsError(f"the oracle needs the true instance ids of {question.scene or question.id}")
        sights = []
        for frame in keyframes:
            objects: dict[int, int] = {}
            if frame.marks and question.media.truth is not None:
                truth = true_map(question.media.truth, frame.index, (frame.width, frame.height))
                objects = {mark.id: under(truth, mark.x, mark.y) for mark in frame.marks}
            sights.append(Sight({mark.id: angle_of(mark.x, frame.width) for mark in frame.marks}, objects))
        urls = [picture.url for picture in self._pictures.get_all(keyframes)]
        self._oracle.show(text, urls, sights, asked, bool(question.extra.get("mirrored")))


class _Transcript:
    """What was said to the model and what it replied, also where it was asked again."""

    def __init__(self) -> None:
        self.prompt = ""
        self.reply = ""

    def __call__(self, messages: Sequence[Mapping[str, Any]], reply: str) -> None:
        self.reply += f"\n\n[asked again]\n\n{reply}" if self.prompt else reply
        self.prompt = "\n\n".join(map(_in_words, messages))


def _in_words(message: Mapping[str, Any]) -> str:
    content = message["content"]
    parts = [content] if isinstance(content, str) else [part.get("text", "[picture]") for part in content]
    return f"{message['role']}: " + "\n".join(parts)


def _fields(replied: Replied) -> dict[str, Any]:
    usage = replied.usage
    counts = {"requests": usage.requests, "prompt_tokens": usage.prompt_tokens, "answer_tokens": usage.answer_tokens}
    spent = {**counts, "seconds": round(usage.seconds, 3), "model": usage.model}
    if usage.cost == usage.cost:  # NaN without prices
        spent["cost"] = usage.cost
    return {
        **{"status": replied.status.name, "text": replied.text, "choice": replied.choice},
        **{"message": replied.message, "usage": spent},
    }


def _picture(frame: MarkedKeyframe) -> dict[str, Any]:
    return {"index": frame.index, "marks": [[mark.id, round(mark.x), round(mark.y)] for mark in frame.marks]}

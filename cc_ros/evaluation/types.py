"""What a benchmark is made of: media, questions, answers, scores."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

FORWARD, REVERSE = "forward", "reverse"


@dataclass(frozen=True, slots=True)
class Media:
    """The pictures of a question, read only when they are tracked.

    One of ``path`` and ``images`` is given.

    :param path: a video, a folder of pictures or a bag: whatever ``cc-ros run`` reads.
    :param images: single pictures in order of time; one a second is assumed where nothing else is known.
    :param fps: of ``images``.
    :param truth: the true instance ids of every frame, where they are known: an ``.npz`` whose array ``ids`` is
        N x H x W, at the size of the frames or smaller.
    :param things: the true ids that are things and not walls or floors; empty = all.
    """

    path: Path | None = None
    images: tuple[Path, ...] = ()
    fps: float = 1.0
    truth: Path | None = None
    things: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a benchmark.

    :param id: unique in its benchmark and split.
    :param benchmark: name of the benchmark.
    :param text: as the model reads it, situation included.
    :param media: its pictures.
    :param answers: the reference answers; for a choice the right text as in ``choices``.
    :param choices: the texts to choose from, without letters.
    :param kind: the benchmark's own kind of question, by which tables are split; "" = it has none.
    :param ask_as: value of :class:`cc_ros.reasoning.Kind`; "" = worked out from the text.
    :param scene: id of the scene.
    :param extra: whatever else the benchmark needs to score it, JSON types only.
    """

    id: str
    benchmark: str
    text: str
    media: Media
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    kind: str = ""
    ask_as: str = ""
    scene: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one question under one condition: a line of ``answers.jsonl``.

    :param question: id of the question.
    :param condition: name of the condition, as in ``results.json``.
    :param direction: whether the pictures came in order of time: "forward" or "reverse".
    :param trial: from 0.
    :param status: name of the :class:`cc_ros.reasoning.Status`, "OK" where there is an answer.
    :param text: the answer; "" without one.
    :param choice: index into the question's choices, -1 = none.
    :param message: for people: why there is no answer.
    :param reply: the model's reply as it came.
    :param prompt: what was said to it: system prompt and question.
    :param pictures: for each picture ``{"index": frame, "marks": [[id, x, y], ...]}``, pixels.
    :param facts: what was measured between the marks, for people.
    :param stage: where a wrong answer went wrong, "" = it is right or nobody looked.
    :param why: that stage in a sentence.
    :param usage: ``requests``, ``prompt_tokens``, ``answer_tokens``, ``cost`` (absent without prices), ``seconds``,
        ``model`` as the server names it.
    :param figures: of a navigation episode, metric -> value.
    """

    question: str
    condition: str
    direction: str = FORWARD
    trial: int = 0
    status: str = "OK"
    text: str = ""
    choice: int = -1
    message: str = ""
    reply: str = ""
    prompt: str = ""
    pictures: tuple[Mapping[str, Any], ...] = ()
    facts: str = ""
    stage: str = ""
    why: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.status == "OK"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What is asked once in a run."""
        return self.question, self.condition, self.direction, self.trial

    def to_json(self) -> str:
        """Return the answer as one line of JSON."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Answer:
        """Read a line; fields that are not known are left out.

        :raises ValueError: it is no answer.
        """
        data = json.loads(line)
        known = {item.name for item in dataclasses.fields(cls)}
        try:
            return cls(**{name: _frozen(value) for name, value in data.items() if name in known})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"no answer: {error}") from None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of one condition.

    :param name: of the metric, e.g. "CIDEr".
    :param values: one a pair of question and answer, in their order; NaN where it does not apply.
    :param combine: returns the figure over some of the pairs, given their numbers (repeats allowed: the bootstrap
        draws with replacement); None = the mean of their values.
    """

    name: str
    values: Sequence[float]
    combine: Callable[[Sequence[int]], float] | None = None

    def over(self, numbers: Sequence[int]) -> float:
        """Return the figure over these pairs; NaN where none of them counts."""
        if self.combine is not None:
            return self.combine(numbers)
        counted = [self.values[number] for number in numbers if not math.isnan(self.values[number])]
        return math.fsum(counted) / len(counted) if counted else math.nan


Pair = tuple[Question, Answer]


class Scored(Protocol):
    """A benchmark as results need it."""

    @property
    def name(self) -> str:
        """As it is called on the command line."""

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return every figure of one condition.

        :param pairs: questions with their answers, failed ones included; a question comes once a trial and direction.
        """


class Benchmark(Scored, Protocol):
    """A benchmark: where its data come from, how it is read, and how answers are scored."""

    @property
    def needs(self) -> str:
        """What one has to have: where to get what, under which terms and in which layout. First line: a summary."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, the usual one first."""

    @property
    def directions(self) -> tuple[str, ...]:
        """In which orders of time every question is asked by default."""

    def load(self, data: Path, split: str, limit: int, seed: int) -> Iterable[Question]:
        """Yield the questions, in the same order each time.

        :param data: the folder with the benchmark's data, as :attr:`needs` says.
        :param split: one of :attr:`splits`; "" = the usual one.
        :param limit: at most so many, drawn with ``seed`` over the whole split; 0 = all.
        :param seed: of that draw.
        :raises cc_ros.errors.SourceError: files that are missing or damaged; the text says which and where to get them.
        """

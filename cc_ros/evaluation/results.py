"""From answers to rows: every figure of every condition with its interval, and what differs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cc_ros import __version__
from cc_ros.errors import SourceError
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.metrics.intervals import Interval, bootstrap, paired
from cc_ros.evaluation.stages import Stage
from cc_ros.evaluation.types import Answer, Pair, Question, Score, Scored

NAME = "results.json"
SHARES = ("forward", "reverse", "harmonic")  # metrics from 0 to 1; all others are in percent or in units of their own


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a figure is above another on the questions that both conditions were asked.

    :param p_value: two-sided: how often conditions swapped at random, question by question, differ as much.
    """

    value: float
    p_value: float


@dataclass(frozen=True)
class Row:
    """One condition: a row of a table.

    :param figures: metric -> its figure.
    :param kinds: kind of question -> metric -> its figure; only the benchmark's first metrics.
    :param stages: where its wrong answers went wrong -> how many.
    :param wrong: the wrong answers, prompts and replies left out, with their stages.
    :param cost: of its answers, NaN without prices.
    """

    condition: Condition
    trials: int
    questions: int
    answered: int
    figures: Mapping[str, Interval]
    kinds: Mapping[str, Mapping[str, Interval]]
    stages: Mapping[str, int]
    wrong: Sequence[Answer]
    models: Sequence[str]
    cost: float

    def as_dict(self, benchmark: str) -> dict[str, Any]:
        """Return the row as it is written: metrics as numbers by their names, intervals of 95 % beside them."""
        condition = self.condition.as_dict()
        condition["condition"] = condition.pop("name")
        return {
            **{"benchmark": benchmark, **condition, "trials": self.trials},
            **{"questions": self.questions, "answers": self.answered, "models": list(self.models)},
            **{name: _number(figure.value) for name, figure in self.figures.items()},
            "intervals": {name: [_number(one.low), _number(one.high)] for name, one in self.figures.items()},
            "kinds": {
                kind: {name: _number(one.value) for name, one in figures.items()}
                for kind, figures in self.kinds.items()
            },
            "stages": dict(self.stages),
            "cost": _number(self.cost),
        }


@dataclass(frozen=True)
class Results:
    """All rows of a run.

    :param differences: (condition, condition, metric) -> how far the first is above the second.
    :param about: what was run, for the file: data, split, limit, seed, wording.
    """

    benchmark: str
    rows: Sequence[Row]
    differences: Mapping[tuple[str, str, str], Difference]
    about: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``results.json``.

        :raises SourceError: it cannot be written.
        """
        data = {
            **{"benchmark": self.benchmark, "version": __version__, **self.about},
            "rows": [row.as_dict(self.benchmark) for row in self.rows],
            "differences": [
                {**{"a": a, "b": b, "metric": metric}, **{k: _number(v) for k, v in dataclasses.asdict(one).items()}}
                for (a, b, metric), one in self.differences.items()
            ],
        }
        write_whole(folder / NAME, json.dumps(data, indent=1, ensure_ascii=False).encode())


def results(
    benchmark: Scored,
    questions: Sequence[Question],
    conditions: Sequence[Condition],
    answers: Iterable[Answer],
    about: Mapping[str, Any],
    seed: int = 0,
) -> Results:
    """Score the answers of a run."""
    by_id = {question.id: question for question in questions}
    pairs: dict[str, list[Pair]] = {condition.name: [] for condition in conditions}
    for answer in answers:
        if answer.condition in pairs and answer.question in by_id:
            # What the report tells of single answers is read again from the file: it may be a lot.
            short = dataclasses.replace(answer, prompt="", reply="", pictures=(), facts="")
            pairs[answer.condition].append((by_id[answer.question], short))
    scored = {name: list(benchmark.score(of)) for name, of in pairs.items() if of}
    rows = [_row(one, pairs[one.name], scored[one.name], seed) for one in conditions if one.name in scored]
    return Results(benchmark.name, rows, _differences(rows, pairs, scored, seed), about)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once, so that none is ever half there.

    :raises SourceError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}") from error


def _row(condition: Condition, pairs: Sequence[Pair], scores: Sequence[Score], seed: int) -> Row:
    groups = [question.id for question, _ in pairs]
    right = _right(scores, len(pairs))
    wrong = [_with_stage(answer, condition) for (_, answer), good in zip(pairs, right, strict=True) if not good]
    costs = [answer.usage["cost"] for _, answer in pairs if "cost" in answer.usage]
    return Row(
        condition,
        trials=1 + max(answer.trial for _, answer in pairs),
        questions=len(set(groups)),
        answered=len(pairs),
        figures={score.name: _figure(score, groups, seed) for score in scores},
        kinds=_by_kind(pairs, scores, seed),
        stages=Counter(answer.stage for answer in wrong),
        wrong=wrong,
        models=sorted({str(answer.usage.get("model") or condition.model) for _, answer in pairs}),
        cost=math.fsum(costs) if costs else math.nan,
    )


def percent(metric: str) -> float:
    """Return what a metric is multiplied by to be in percent, where it is a share."""
    return 100.0 if metric.startswith(SHARES) else 1.0


def _right(scores: Sequence[Score], count: int) -> list[bool]:
    """Return of each answer whether it is right: half of what exact match, or else the first metric of it, can be."""
    ordered = sorted(scores, key=lambda score: score.name != "EM")
    alone = [(score.values, percent(score.name)) for score in ordered if len(score.values)]
    firsts = (
        next((scale * values[n] for values, scale in alone if not math.isnan(values[n])), 0.0) for n in range(count)
    )
    return [first >= 50.0 for first in firsts]


def _with_stage(answer: Answer, condition: Condition) -> Answer:
    """Say of a wrong answer what the pictures and the form of the reply do not explain."""
    if answer.stage:
        return answer
    if condition.marks or not answer.ok:
        return dataclasses.replace(answer, stage=Stage.MODEL.value, why=answer.message or "what was needed was marked")
    return dataclasses.replace(answer, stage=Stage.MODEL.value, why="the pictures carry no marks")


def _by_kind(pairs: Sequence[Pair], scores: Sequence[Score], seed: int) -> dict[str, dict[str, Interval]]:
    kinds: dict[str, list[int]] = {}
    for number, (question, _) in enumerate(pairs):
        kinds.setdefault(question.kind, []).append(number)
    if len(kinds) < 2:
        return {}
    table: dict[str, dict[str, Interval]] = {}
    for kind, numbers in sorted(kinds.items()):
        groups = [pairs[number][0].id for number in numbers]
        table[kind] = {}
        for score in scores:
            if any(score.name.endswith(f"_{other}") for other in kinds):
                continue  # one kind's own figure
            table[kind][score.name] = _figure(_part(score, numbers), groups, seed)
    return table


def _part(score: Score, numbers: Sequence[int]) -> Score:
    """Return a score of some of the pairs."""
    return Score(
        score.name,
        [score.values[number] for number in numbers] if len(score.values) else (),
        None if score.combine is None else lambda some: score.over([numbers[number] for number in some]),
    )


def _figure(score: Score, groups: Sequence[str], seed: int) -> Interval:
    """Return a figure with its interval; NaN where no answer counts towards it."""
    if math.isnan(score.over(range(len(groups)))):
        return Interval(math.nan, math.nan, math.nan)
    return bootstrap(score, groups, seed=seed)


def _differences(
    rows: Sequence[Row], pairs: Mapping[str, Sequence[Pair]], scored: Mapping[str, Sequence[Score]], seed: int
) -> dict[tuple[str, str, str], Difference]:
    """Compare every condition with the raw one of its model and number of frames, else with the first."""
    found = {}
    for row in rows:
        base = next((one for one in rows if _is_base(one.condition, row.condition)), rows[0])
        if base is row:
            continue
        a, b = row.condition.name, base.condition.name
        asked = [{answer.key[:1] + answer.key[2:]: n for n, (_, answer) in enumerate(pairs[name])} for name in (a, b)]
        both = [key for key in asked[0] if key in asked[1]]
        groups = [key[0] for key in both]
        for first in scored[a]:
            second = next((score for score in scored[b] if score.name == first.name), None)
            if second is None or not both:
                continue
            ours, theirs = (
                _part(score, [numbers[key] for key in both])
                for score, numbers in zip((first, second), asked, strict=True)
            )
            value = ours.over(range(len(both))) - theirs.over(range(len(both)))
            if not math.isnan(value):
                found[a, b, first.name] = Difference(value, paired(theirs, ours, groups, seed=seed).p_value)
    return found


def _is_base(base: Condition, other: Condition) -> bool:
    same = (base.model, base.frames, base.suffix, base.directions)
    return base.style == "raw" and same == (other.model, other.frames, other.suffix, other.directions)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

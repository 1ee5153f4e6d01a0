"""Write the results for people: tables like the paper's with its rows beside ours, plots, and where answers failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cc_ros.errors import CCError
from cc_ros.evaluation.answer_file import NAME as ANSWERS
from cc_ros.evaluation.answer_file import read_answers
from cc_ros.evaluation.asking import Asker, Setup
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.metrics.intervals import Interval
from cc_ros.evaluation.pages import render
from cc_ros.evaluation.published import PUBLISHED
from cc_ros.evaluation.question_page import Told, told
from cc_ros.evaluation.results import Results, Row, percent, write_whole
from cc_ros.evaluation.stages import Stage
from cc_ros.evaluation.types import Answer, Question

EXAMPLES = 2  # wrong answers that are shown, of each stage and condition
MOST_EXAMPLES = 12
VARIED = {
    "frames": "number of frames",
    "marks": "number of marks",
    "diameter": "size of marks, pixels",
    "outline": "outline",
    "overlay": "overlay",
    "tracker": "tracker",
    "style": "style",
    "suffix": "wording",
}


@dataclass(frozen=True)
class Bar:
    """One bar of a plot: label, share of the width (0..1) of value and interval, and the value in words."""

    label: str
    share: float
    low: float
    high: float
    text: str


def write_reports(folder: Path, table: Results, questions: Sequence[Question], setup: Setup) -> None:
    """Write ``report.md`` and ``report.html``, one self-contained page.

    :raises SourceError: they cannot be written, or an answer is damaged.
    """
    write_whole(folder / "report.md", markdown(table).encode())
    write_whole(folder / "report.html", page(table, _examples(folder, table, questions, setup)).encode())


def markdown(table: Results) -> str:
    """Return the tables as Markdown."""
    heading, rows = table_of(table)
    parts = [f"# {table.benchmark}", _markdown_table(heading, rows), ""]
    if table.differences:
        parts += ["## Differences", _markdown_table(("this", "above this", "metric", "by", "p"), _differences(table))]
    failures = _failures(table)
    if failures:
        parts += ["## Where wrong answers went wrong", _markdown_table(("condition", *_STAGES), failures), ""]
    return "\n\n".join(filter(None, parts)) + "\n"


def page(table: Results, examples: Sequence[tuple[Row, Told]]) -> str:
    """Return the page as HTML."""
    heading, rows = table_of(table)
    return render(
        "report.html.j2",
        table=table,
        heading=heading,
        rows=rows,
        plots=_plots(table),
        failures=_failures(table),
        stages=_STAGES,
        differences=_differences(table),
        examples=examples,
        about=table.about,
    )


def table_of(table: Results) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the main table, the paper's rows last."""
    metrics = list(table.rows[0].figures) if table.rows else []
    published = PUBLISHED.get(table.benchmark, ())
    heading = ["", "model", "style", "frames", "marks", "tracker", "trials", "answers", *metrics]
    rows = []
    for row in table.rows:
        condition = row.condition
        marks = str(condition.marks) if condition.marks else "-"
        more = _more(condition)
        style = f"{condition.style} ({more})" if more else condition.style
        cells = ["here", ", ".join(row.models), style, str(condition.frames), marks, condition.tracker]
        cells += [str(row.trials), str(row.answered)]
        rows.append([*cells, *(_figure(name, row.figures[name]) for name in metrics)])
    for one in published:
        cells = ["paper", one.model, "marks" if one.marks else "raw", str(one.frames), "", "", "", ""]
        rows.append([*cells, *(f"{one.metrics[name]:.1f}" if name in one.metrics else "" for name in metrics)])
    return heading, rows


def _differences(table: Results) -> list[tuple[str, ...]]:
    return [
        (a, b, metric, f"{percent(metric) * one.value:+.1f}", f"{one.p_value:.3g}")
        for (a, b, metric), one in table.differences.items()
    ]


def _more(condition: Condition) -> str:
    parts = [f"{condition.diameter} px"] * bool(condition.diameter)
    parts += ["no outline"] * (not condition.outline) + ["overlay"] * condition.overlay
    parts += [f"suffix {condition.suffix!r}"] * bool(condition.suffix)
    return ", ".join(parts)


def _figure(metric: str, figure: Interval) -> str:
    if math.isnan(figure.value):
        return "-"
    scale = percent(metric)
    return f"{scale * figure.value:.1f} [{scale * figure.low:.1f}, {scale * figure.high:.1f}]"


_STAGES = [stage.value for stage in Stage]


def _failures(table: Results) -> list[list[str]]:
    return [
        [row.condition.name, *(str(row.stages.get(stage, 0)) for stage in _STAGES)]
        for row in table.rows
        if sum(row.stages.values())
    ]


def _plots(table: Results) -> list[tuple[str, list[Bar]]]:
    """Return a title and bars for each plot: by kind of question, and by whatever the conditions differ in."""
    if not table.rows:
        return []
    metric = main_metric(table)
    plots = [(f"{metric} by condition", [_bar(row.condition.name, metric, row.figures[metric]) for row in table.rows])]
    for row in table.rows:
        if row.kinds:
            bars = [_bar(kind, metric, figures[metric]) for kind, figures in row.kinds.items() if metric in figures]
            plots.append((f"{metric} by kind of question: {row.condition.name}", bars))
    for field, title in VARIED.items():
        marked = [row for row in table.rows if row.condition.marks]
        values: dict[Any, list[Row]] = {}
        for row in marked:
            values.setdefault(getattr(row.condition, field), []).append(row)
        if len(values) > 1:
            bars = [
                _bar(f"{value} ({len(rows)} conditions)", metric, _mean([row.figures[metric] for row in rows]))
                for value, rows in values.items()
            ]
            plots.append((f"{metric} by {title}, marked pictures", bars))
    return _common_scale(plots)


def main_metric(table: Results) -> str:
    """Return the metric that stands for the benchmark: the harmonic mean, CIDEr, else its first."""
    figures = table.rows[0].figures
    names = [name for name, figure in figures.items() if not math.isnan(figure.value)] or list(figures)
    return next((name for name in ("harmonic", "CIDEr", "accuracy") if name in names), names[0])


def _mean(figures: Sequence[Interval]) -> Interval:
    columns = zip(*((one.value, one.low, one.high) for one in figures), strict=True)
    return Interval(*(math.fsum(column) / len(figures) for column in columns))


def _bar(label: str, metric: str, figure: Interval) -> Bar:
    share, low, high = (
        0.0 if math.isnan(value) else percent(metric) * value for value in (figure.value, figure.low, figure.high)
    )
    return Bar(label, share, low, high, _figure(metric, figure))


def _common_scale(plots: Sequence[tuple[str, list[Bar]]]) -> list[tuple[str, list[Bar]]]:
    top = max((bar.high for _, bars in plots for bar in bars), default=0.0) or 1.0

    def scaled(bar: Bar) -> Bar:
        share, low, high = (max(0.0, value) / top for value in (bar.share, bar.low, bar.high))
        return Bar(bar.label, share, low, high, bar.text)

    return [(title, [scaled(bar) for bar in bars]) for title, bars in plots]


def _examples(folder: Path, table: Results, questions: Sequence[Question], setup: Setup) -> list[tuple[Row, Told]]:
    """Return some wrong answers of each condition and stage with all that is known of them."""
    wanted: dict[tuple[str, str, str, int], Row] = {}
    for row in table.rows:
        shown: dict[str, int] = {}
        for answer in row.wrong:
            shown[answer.stage] = shown.get(answer.stage, 0) + 1
            if shown[answer.stage] <= EXAMPLES and len(wanted) < MOST_EXAMPLES:
                wanted[answer.key] = row
    by_id = {question.id: question for question in questions}
    stages = {answer.key: answer for row in table.rows for answer in row.wrong if answer.key in wanted}
    found = []
    with Asker(setup) as asker:
        for answer in read_answers(folder / ANSWERS):
            if answer.key in wanted:
                row = wanted[answer.key]
                found.append((row, _told(by_id[answer.question], answer, stages[answer.key], row.condition, asker)))
    return found


def _told(question: Question, answer: Answer, staged: Answer, condition: Condition, asker: Asker) -> Told:
    try:
        return told(question, answer, condition, asker, staged.stage, staged.why)
    except CCError as error:  # media that are gone: all but the pictures is still known
        return Told(question, answer, staged.stage, f"{staged.why}; no pictures: {error}", ())


def _markdown_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)

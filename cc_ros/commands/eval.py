"""ask a benchmark with marks and without, and write tables, intervals and a report

Asks every question under every condition (style, frames, marks, tracker, ...), scores the answers, and writes
answers.jsonl, results.json, report.md and report.html. Run it again with the same --out after an interruption: what has
an answer is not asked again. The exit status is 0 when every question has an answer.

  cc-ros eval sot --model oracle --styles raw,marks --out runs/sot
  cc-ros eval sot --data my_scenes --model gpt-4o --styles raw,marks --trials 20 --out runs/sot_gpt
  cc-ros eval sot --data my_scenes --model gpt-4o --grid grid.yaml --dry-run --out runs/grid
  cc-ros eval nav --model oracle --limit 10 --out runs/nav
  cc-ros eval sot make --video a.mp4 --video b.mp4 --sheet questions.csv --out my_scenes/kitchen

`oracle` is a scripted model that needs no key: it knows only which object lies under each mark.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.commands.options import amount, parse_assignments
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from cc_ros.evaluation.asking import Setup
    from cc_ros.evaluation.conditions import Condition
    from cc_ros.evaluation.runner import Outcome, Pool
    from cc_ros.evaluation.types import Answer, Benchmark, Question

MAKE = "make"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from cc_ros.evaluation.benchmarks import BENCHMARKS, benchmark
    from cc_ros.evaluation.benchmarks.episodes import EPISODES

    names = (*BENCHMARKS, *EPISODES)
    parser.add_argument("benchmark", choices=names, metavar="BENCHMARK", help=", ".join(names))
    parser.add_argument("action", nargs="?", choices=(MAKE,), help="sot make: make a scene of your own")
    parser.add_argument(
        "--data", metavar="DIR", help="the benchmark's data, laid out as said below; sot: default bundled"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write")
    parser.add_argument("--split", default="", metavar="S", help="default: the benchmark's usual one")
    parser.add_argument("--limit", type=amount(int), default=0, metavar="N", help="ask N, drawn over all; 0 = all")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw and of the intervals; default 0")
    parser.add_argument("--show", metavar="QUESTION", help="write a page about one question that was asked, and stop")
    parser.add_argument("--export-llava", type=Path, metavar="FILE", help="write the questions with their pictures as "
                        "LLaVA-format conversations to train on, and ask nothing")  # fmt: skip
    asking = parser.add_argument_group("asking")
    asking.add_argument("--model", metavar="oracle|NAME", help="the scripted oracle, or a name that the server knows")
    asking.add_argument(
        "--base-url", metavar="URL", help="OpenAI-compatible endpoint; the key comes from the environment"
    )
    asking.add_argument("--preset", metavar="NAME", help="kind of server: openai, gemini, claude, vllm, ollama, ...")
    asking.add_argument(
        "--parallel", type=int, default=4, metavar="N", help="questions at the model at once; default 4"
    )
    asking.add_argument("--prices", metavar="PROMPT,ANSWER", help="of a million tokens, to count money")
    asking.add_argument("--budget", type=float, default=math.inf, metavar="MONEY", help="ask no more once it is spent")
    asking.add_argument("--dry-run", action="store_true", help="count requests, tokens and money, and ask nothing")
    asking.add_argument("--ray", metavar="ADDRESS", help="spread over a Ray cluster: host:port, auto or local")
    compared = parser.add_argument_group("conditions")
    compared.add_argument("--styles", default="raw,marks", metavar="A,B", help="raw, marks, set_of_mark, marks_cot, "
                          "measured, birds_eye; default raw,marks")  # fmt: skip
    compared.add_argument(
        "--frames", type=int, metavar="M", help="keyframes a question; default: usual for the benchmark"
    )
    compared.add_argument("--marks", type=int, metavar="K", help="objects that get a mark; likewise")
    compared.add_argument("--tracker", default="flow", metavar="NAME", help="flow, sam2, auto, or truth; default flow")
    compared.add_argument("--suffix", default="", metavar="TEXT", help="put after every question")
    compared.add_argument("--trials", type=int, default=1, metavar="N", help="ask every question N times; default 1")
    compared.add_argument("--grid", type=Path, metavar="YAML", help="lists of model, style, frames, marks, diameter, "
                          "outline, overlay, tracker, suffix, direction: every combination is asked")  # fmt: skip
    compared.add_argument("--set", action="append", default=[], metavar="GROUP.NAME=VALUE", help="any other setting, "
                          "as `cc-ros run --list-settings` shows them")  # fmt: skip
    making = parser.add_argument_group("sot make")
    making.add_argument("--video", type=Path, action="append", default=[], metavar="FILE", help="viewpoint A, then B")
    making.add_argument("--sheet", type=Path, metavar="CSV", help="columns kind, video, question, answer")
    needs = "\n\n".join(
        [f"{name}: {benchmark(name).needs}" for name in BENCHMARKS]
        + [f"{name}: {episodes.needs}" for name, episodes in EPISODES.items()]
    )
    parser.epilog = f"benchmarks and where their data come from:\n\n{needs}".replace("%", "%%")


def main(options: argparse.Namespace) -> int:
    """Evaluate; return the exit status."""
    from cc_ros.evaluation.benchmarks import benchmark
    from cc_ros.evaluation.benchmarks.episodes import EPISODES
    from cc_ros.process import prepare_process

    prepare_process()
    if options.out is None:
        if not options.export_llava:
            raise SettingsError("say where to write: --out DIR")
        options.out = options.export_llava.with_suffix("")
    if options.action == MAKE:
        return _make(options)
    if options.benchmark in EPISODES:
        from cc_ros.commands.eval_episodes import drive

        parser = argparse.ArgumentParser()
        add_options(parser)
        return drive(options, EPISODES[options.benchmark], vars(parser.parse_args([options.benchmark])))
    if options.export_llava and not options.model:
        options.model = "none"  # nobody is asked
    chosen = benchmark(options.benchmark)
    questions = _questions(options, chosen)
    conditions = _conditions(options, chosen)
    setup = _setup(options)
    if options.export_llava:
        return _export(options, questions, conditions, setup)
    if options.show:
        return _show(options, questions, conditions, setup)
    if options.dry_run:
        from cc_ros.evaluation.dry_run import estimate

        print(estimate(questions, conditions, options.trials, setup).in_words())
        return 0
    return _run(options, chosen, questions, conditions, setup)


def _questions(options: argparse.Namespace, chosen: Benchmark) -> list[Question]:
    from cc_ros.evaluation.benchmarks import bundled

    data = Path(options.data) if options.data and options.data != "bundled" else bundled(options.benchmark)
    if data is None:
        raise SettingsError(f"say where the data are: --data DIR. {options.benchmark}: {chosen.needs}")
    if options.split and options.split not in chosen.splits:
        raise SettingsError(f"{options.benchmark} has the splits {', '.join(chosen.splits)}, not {options.split!r}")
    if options.limit < 0 or options.trials < 1 or options.parallel < 1:
        raise SettingsError("--limit must be 0 or more, --trials and --parallel 1 or more")
    questions = list(chosen.load(data, options.split or chosen.splits[0], options.limit, options.seed))
    if not questions:
        raise SourceError(f"{data} holds no question of {options.benchmark}")
    return questions


def _conditions(options: argparse.Namespace, chosen: Benchmark) -> list[Condition]:
    from cc_ros.evaluation.benchmarks import BENCHMARKS
    from cc_ros.evaluation.conditions import Condition, grid, read_grid, split_names

    usual = BENCHMARKS[options.benchmark]
    values = {"style": split_names(options.styles), **(read_grid(options.grid) if options.grid else {})}
    base = Condition(
        options.model or "",
        frames=options.frames if options.frames is not None else usual.frames,
        marks=options.marks if options.marks is not None else usual.marks,
        tracker=options.tracker,
        suffix=options.suffix,
        directions=tuple(chosen.directions),
    )
    conditions = grid(values, base)
    if not conditions:
        raise SettingsError("--styles names no style")
    return conditions


def _setup(options: argparse.Namespace) -> Setup:
    from cc_ros.commands.run import groups
    from cc_ros.evaluation.asking import Setup
    from cc_ros.evaluation.benchmarks import BENCHMARKS

    settings = parse_assignments(options.set, groups())
    for group, usual in BENCHMARKS[options.benchmark].settings.items():
        settings[group] = {**usual, **settings[group]}
    given: dict[str, Any] = {"base_url": options.base_url, "preset": options.preset}
    settings["reasoner"] |= {name: value for name, value in given.items() if value is not None}
    if options.prices:
        try:
            prompt, answer = map(float, options.prices.split(","))
        except ValueError:
            raise SettingsError(f"--prices wants two numbers such as 2.5,10, got {options.prices!r}") from None
        settings["reasoner"] |= {"price_prompt": prompt, "price_answer": answer}
    priced = settings["reasoner"].get("price_prompt") or settings["reasoner"].get("price_answer")
    if options.budget < math.inf and not priced:
        raise SettingsError("--budget needs --prices")
    filled = {group: values for group, values in settings.items() if values}
    return Setup(options.out / "tracked", filled, options.parallel, options.seed)


def _run(
    options: argparse.Namespace,
    chosen: Benchmark,
    questions: Sequence[Question],
    conditions: Sequence[Condition],
    setup: Setup,
) -> int:
    from cc_ros.evaluation.answer_file import AnswerFile, read_answers
    from cc_ros.evaluation.report import write_reports
    from cc_ros.evaluation.results import results, write_whole
    from cc_ros.evaluation.run_file import NAME, same_run
    from cc_ros.evaluation.wording import wording

    about = {
        **{"data": str(options.data or "bundled"), "split": options.split or chosen.splits[0]},
        **{"limit": options.limit, "seed": options.seed, "trials": options.trials},
        **{"settings": dict(setup.settings), "wording": wording(conditions, setup)},
    }
    with AnswerFile(options.out) as answers:
        earlier = same_run(options.out / NAME, about, bool(answers.done))
        known = {**about, "wording": earlier | about["wording"]}
        write_whole(options.out / NAME, json.dumps(known, indent=1, ensure_ascii=False).encode())
        outcome = _ask(options, questions, conditions, setup, answers)
        table = results(chosen, questions, conditions, read_answers(answers.path), about, options.seed)
        table.write(options.out)
        write_reports(options.out, table, questions, setup)
    for line in outcome.lines():
        print(line, file=sys.stderr)
    if outcome.stopped:
        print(f"{outcome.stopped}; the same command goes on from here", file=sys.stderr)
    print((options.out / "report.md").read_text(encoding="utf-8").partition("\n## ")[0].rstrip())
    print(f"\n{outcome.answered} answers, {len(answers.done)} in all -> {options.out}/report.html")
    interrupted = outcome.stopped == "stopped early"
    return 130 if interrupted else int(bool(outcome.left or outcome.stopped))


def _ask(
    options: argparse.Namespace,
    questions: Sequence[Question],
    conditions: Sequence[Condition],
    setup: Setup,
    answers: Any,
) -> Outcome:
    from tqdm import tqdm

    from cc_ros.evaluation.runner import run, tasks

    total = len(questions) * options.trials * sum(len(condition.directions) for condition in conditions)
    wanted = tasks(questions, conditions, options.trials)
    had = sum(task.key in answers.done for task in tasks(questions, conditions, options.trials))
    with stop_on_signals() as stop, tqdm(total=total, initial=had, unit="question", disable=None) as bar:

        def tell(answer: Answer | None) -> None:
            bar.update()
            if answers.cost:
                bar.set_postfix_str(f"cost {answers.cost:.2f}")

        pool = _pool(options, setup)
        under_way = options.parallel * getattr(pool, "workers", 1)  # so many on each machine
        try:
            return run(wanted, answers, pool, under_way, tell, options.budget, stop)
        finally:
            pool.close()


def _pool(options: argparse.Namespace, setup: Setup) -> Pool:
    if options.ray:
        from cc_ros.evaluation.cluster import RayPool

        return RayPool(options.ray, setup)
    from cc_ros.evaluation.runner import LocalPool

    return LocalPool(setup)


def _show(
    options: argparse.Namespace, questions: Sequence[Question], conditions: Sequence[Condition], setup: Setup
) -> int:
    from cc_ros.evaluation.question_page import write_question_page

    print(write_question_page(options.out, options.show, questions, conditions, setup))
    return 0


def _export(
    options: argparse.Namespace, questions: Sequence[Question], conditions: Sequence[Condition], setup: Setup
) -> int:
    from tqdm import tqdm

    from cc_ros.evaluation.export import export_llava

    with tqdm(total=len(questions), unit="question", disable=None) as bar:
        count, left = export_llava(options.export_llava, questions, conditions, setup, bar.update)
    for line in left[:10]:
        print(f"left out: {line}", file=sys.stderr)
    print(f"{count} conversations -> {options.export_llava}" + (f", {len(left)} left out" if left else ""))
    return int(bool(left))


def _make(options: argparse.Namespace) -> int:
    from cc_ros.evaluation.benchmarks.sot_make import make_scene

    if options.benchmark != "sot":
        raise SettingsError(f"`make` is of sot, not of {options.benchmark}")
    if options.sheet is None or not options.video:
        raise SettingsError("sot make needs --video FILE (once or twice) and --sheet CSV")
    count = make_scene(options.video, options.sheet, options.out)
    print(
        f"{count} questions -> {options.out}; ask them by: cc-ros eval sot --data {options.out} --model NAME --out DIR"
    )
    return 0

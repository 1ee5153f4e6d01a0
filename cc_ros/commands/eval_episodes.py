"""``cc-ros eval nav`` and ``cc-ros eval r2r``: episodes are driven by ``cc-ros sim``, and become rows of results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cc_ros.commands import sim
from cc_ros.commands.signals import INTERRUPTED
from cc_ros.errors import SettingsError
from cc_ros.evaluation.answer_file import AnswerFile, read_answers
from cc_ros.evaluation.benchmarks.episodes import Episodes
from cc_ros.evaluation.benchmarks.r2r import Rules, episodes_file, load_episodes
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.oracle import MODEL as ORACLE
from cc_ros.evaluation.report import markdown, page
from cc_ros.evaluation.results import results, write_whole
from cc_ros.evaluation.run_file import NAME, same_run
from cc_ros.evaluation.stages import Stage
from cc_ros.evaluation.types import FORWARD, Answer, Media, Question
from cc_ros.sim.episodes import Episode, building_of, read_episodes
from cc_ros.sim.habitat import HabitatWorld
from cc_ros.sim.settings import SimSettings
from cc_ros.sim.trial import Trial
from cc_ros.sim.world import MujocoWorld

USUAL = 10  # episodes
FRAMES, MARKS = 12, 30  # of the nodes, as `cc-ros sim` starts them
SAID = {"benchmark", "data", "out", "split", "limit", "seed", "model", "base_url", "tracker"}  # options that count here
CONTINUOUS = {"actions": "continuous", "success": "STOP within the goal's radius", "allow_sliding": True}  # of nav
SIM = "sim"  # folder of its files: report.html with the ways that were driven, nodes.log


def drive(options: argparse.Namespace, benchmark: Episodes, usual: Mapping[str, Any]) -> int:
    """Drive the episodes that have not been, write the results, and return the exit status.

    :param usual: the options as they are where nobody gives them.
    :raises CCError: options or data that cannot be used, or something that is needed is missing.
    """
    _refuse_others(options, usual)
    condition = Condition(options.model or "", "marks", FRAMES, MARKS, tracker=options.tracker).normal()
    simulate = _simulator(options)
    episodes = _episodes(options, benchmark, simulate)
    rules = None if benchmark.name == "nav" else Rules(allow_sliding=_slides(episodes))
    about = {
        **{"data": str(options.data or ""), "split": options.split or benchmark.splits[0], "limit": options.limit},
        **{"seed": options.seed, "trials": 1, "settings": {}, "wording": {}},
        "rules": rules.stated() if rules else CONTINUOUS,
    }
    questions = [Question(one.id, benchmark.name, one.instruction, Media(), scene=one.scene) for one in episodes]
    with AnswerFile(options.out) as answers:

        def left() -> list[Episode]:
            return [one for one in episodes if (one.id, condition.name, FORWARD, 0) not in answers.done]

        same_run(options.out / NAME, about, bool(answers.done))
        write_whole(options.out / NAME, json.dumps(about, indent=1).encode())
        status = 0
        if left():
            status = sim.follow(
                *(simulate, SimSettings(), left()),
                on_trial=lambda trial: answers.append(_answer(trial, benchmark, condition)),
                rules=rules,
            )
        table = results(benchmark, questions, [condition], read_answers(answers.path), about, options.seed)
        table.write(options.out)
        write_whole(options.out / "report.md", markdown(table).encode())
        write_whole(options.out / "report.html", page(table, []).encode())
        missing = len(left())
    print(markdown(table).partition("\n## ")[0].rstrip())
    print(f"\n{len(episodes) - missing} of {len(episodes)} episodes -> {options.out}/report.html")
    return status if status == INTERRUPTED else int(missing > 0)


def _refuse_others(options: argparse.Namespace, usual: Mapping[str, Any]) -> None:
    for name, value in vars(options).items():
        if name in usual and name not in SAID and value != usual[name] and (name, value) != ("styles", "marks"):
            raise SettingsError(f"{options.benchmark} is driven with marks, and has no --{name.replace('_', '-')}")
    if options.limit < 0:
        raise SettingsError("--limit must be 0 or more")
    if options.split and options.benchmark == "nav":
        raise SettingsError("nav has no --split")


def _simulator(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options of ``cc-ros sim`` that ours mean."""
    parser = argparse.ArgumentParser()
    sim.add_options(parser)
    said = ["--seed", str(options.seed), "--out", str(options.out / SIM), "--backend", options.tracker]
    said += ["--episodes", str(options.limit or USUAL)]
    if options.model and options.model != ORACLE:
        said += ["--real-model", "--model", options.model]
        said += ["--base-url", options.base_url] if options.base_url else []
    if options.data:
        said += ["--scenes", str(Path(options.data) / "scene_datasets")]
    return parser.parse_args(said)


def _episodes(options: argparse.Namespace, benchmark: Episodes, simulate: argparse.Namespace) -> Sequence[Episode]:
    if benchmark.name == "nav":
        from cc_ros.commands.sim_episodes import asked_for

        return asked_for(simulate)
    if not options.data:
        raise SettingsError(f"say where the data are: --data DIR. {benchmark.name}: {benchmark.needs}")
    data = Path(options.data)
    wanted = {one.id for one in load_episodes(data, options.split, options.limit, options.seed)}
    read = read_episodes(episodes_file(data, options.split))
    return [replace(one, radius=Rules().success) for one in read if one.id in wanted]


def _slides(episodes: Sequence[Episode]) -> bool:
    """Return whether the robot slides along what it touches where the episodes take place."""
    ours = all(building_of(scene) is not None for scene in {one.scene for one in episodes})
    return MujocoWorld.slides if ours else HabitatWorld.slides


def _answer(trial: Trial, benchmark: Episodes, condition: Condition) -> Answer:
    outcome = trial.outcome
    assert outcome is not None  # it has ended
    said = f"stopped {outcome.left:.2f} m from the goal" if outcome.stopped else f"gave up: {trial.why}"
    return Answer(
        *(trial.episode.id, condition.name),
        text=said,
        reply="\n".join(trial.said),
        stage="" if outcome.success else Stage.UNKNOWN.value,
        why="" if outcome.success else said,
        usage={"seconds": round(trial.seconds, 1), "model": condition.model},
        figures={name: of(outcome) for name, of in benchmark.figures.items()},
    )

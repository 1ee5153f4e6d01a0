"""look into a memory of earlier episodes, ask it, forget, export

The nodes keep it where `memory_dir` of cc_keyframes says, `cc-ros run` where --memory says. They may run meanwhile.

  cc-ros memory list --memory ~/.ros/cc_memory
  cc-ros memory show 3 --memory ~/.ros/cc_memory
  cc-ros memory ask "What has changed since this morning?" --memory ~/.ros/cc_memory
  cc-ros memory forget --since yesterday --memory ~/.ros/cc_memory
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from cc_ros.commands.options import amount
from cc_ros.commands.times import add_window, window_of
from cc_ros.errors import SettingsError
from cc_ros.memory.database import folder
from cc_ros.memory.forgetting import compact, export, forget
from cc_ros.memory.reading import MemoryReader

Act = Callable[[argparse.Namespace], int]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, text: str, window: bool = True) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--memory", metavar="DIR", required=True, help="the memory's folder")
        action.add_argument("--json", action="store_true", help="print JSON")
        if window:
            add_window(action)
        return action

    add("list", "list the episodes", window=False)
    show = add("show", "show objects: their numbers, when they were seen, whether they are there")
    show.add_argument("object", nargs="?", type=int, help="the number of one: its history as well")
    show.add_argument("--questions", nargs="?", const="", metavar="WORDS", help="show questions asked before instead")
    ask = add("ask", "ask a question; what the memory knows by itself needs no model")
    ask.add_argument("question", help="in plain words, with a time as in 'What was on the table yesterday?'")
    ask.add_argument("--frames", type=amount(int), default=0, metavar="M", help="keyframes to look at")
    ask.add_argument("--marks", type=amount(int), default=0, metavar="K", help="objects to mark")
    ask.add_argument("--base-url", default="", metavar="URL", help="OpenAI-compatible endpoint")
    ask.add_argument("--model", default="", metavar="NAME", help="the model's name; the key comes from the environment")
    ask.add_argument("--preset", default="", metavar="NAME", help="kind of server: openai, gemini, claude, ollama, ...")
    gone = add("forget", "forget keyframes with their pictures, objects, questions")
    gone.add_argument("--object", type=int, action="append", default=[], metavar="N", help="with all that shows it")
    gone.add_argument("--all", action="store_true", help="forget everything")
    gone.add_argument("--yes", action="store_true", help="do not ask first")
    out = add("export", "write pictures, maps and memory.json into a folder")
    out.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    add("compact", "give unused space back", window=False)


def main(options: argparse.Namespace) -> int:
    """Do what is asked; return the exit status."""
    actions: dict[str, Act] = {
        **{"list": _list, "show": _show, "ask": _ask, "forget": _forget},
        **{"export": _export, "compact": _compact},
    }
    return actions[options.action](options)


def _list(options: argparse.Namespace) -> int:
    with MemoryReader(options.memory) as reader:
        episodes = reader.episodes()
        if options.json:
            return _json([dataclasses.asdict(one) for one in episodes])
        for one in episodes:
            size = f"{one.keyframes} keyframes, {one.objects} objects, {one.bytes / 1e6:.1f} MB"
            about = ", ".join(filter(None, (one.source, one.world and f"poses in {one.world}")))
            print(f"{one.id:4d}  {_time(one.begin)} to {_time(one.end)}  {size}{f'  ({about})' if about else ''}")
        print(reader.told_span())
    return 0


def _show(options: argparse.Namespace) -> int:
    request = window_of(options, near=options.object or 0)
    with MemoryReader(options.memory) as reader:
        if options.questions is not None:
            asked = reader.questions(options.questions, request.since, request.until)
            if options.json:
                return _json([dataclasses.asdict(one) for one in asked])
            for one in asked:
                by = f"  ({one.source} {one.model})".replace(" )", ")") if one.source else ""
                print(f"{_time(one.stamp)}  {one.question}\n    {one.answer or one.message}{by}")
            return 0
        objects = reader.objects(request)
        if options.object and not objects:
            raise SettingsError(f"the memory knows no object {options.object} in that time; {reader.told_span()}")
        changes = reader.changes(options.object) if options.object else []
    if options.json:
        told = [dataclasses.asdict(one) for one in objects]
        return _json({**told[0], "changes": changes} if options.object else told)
    for known in objects:
        place = "" if known.place is None else "  at ({:.2f}, {:.2f}, {:.2f})".format(*known.place)
        frame = f" in {known.world_frame}" if place and known.world_frame else ""
        seen = f"first seen {_time(known.first_seen)}, last {_time(known.last_seen)}"
        print(f"{known.id:5d}  {known.state:8s}{seen}{place}{frame}")
    for stamp, state, before in changes:
        print(f"       {_time(stamp)}: {before} -> {state}")
    return 0


def _ask(options: argparse.Namespace) -> int:
    from cc_ros.commands.answers import describe, remembering
    from cc_ros.reasoning import Question, Reasoner, ReasonerSettings

    window = window_of(options)
    asked = {name: getattr(window, name) for name in ("since", "until", "episode")}
    question = Question(options.question, frames=options.frames, marks=options.marks, **asked)
    settings = ReasonerSettings(base_url=options.base_url, model=options.model, preset=options.preset)
    with MemoryReader(options.memory) as reader, Reasoner(settings) as reasoner:
        answer = reasoner.ask(question, remembering(reader))
    if options.json:
        _json({**dataclasses.asdict(answer), "status": answer.status.name})
    else:
        print(describe(answer), file=sys.stdout if answer.ok else sys.stderr)
    return 0 if answer.ok else 1


def _forget(options: argparse.Namespace) -> int:
    request = window_of(options)
    named = request.reaches_back or options.object
    if bool(named) == options.all:
        raise SettingsError("say what to forget: --since, --until, --episode or --object; or --all of it")
    if not options.yes:
        if not sys.stdin.isatty():
            raise SettingsError("nothing was forgotten: say --yes where nobody can be asked")
        if input("Forget this for good, pictures and all? [y/N] ").strip().lower() not in ("y", "yes"):
            return 1
    gone = forget(folder(options.memory), request, objects=options.object, progress=_progress("forgetting"))
    if options.json:
        return _json(dataclasses.asdict(gone))
    print(
        f"forgotten: {gone.keyframes} keyframes, {gone.objects} objects, {gone.questions} questions; "
        f"{gone.bytes / 1e6:.1f} MB are free"
    )
    return 0


def _export(options: argparse.Namespace) -> int:
    count = export(folder(options.memory), options.out, window_of(options), _progress("exporting"))
    if options.json:
        return _json({"keyframes": count, "out": str(options.out)})
    print(f"{count} keyframes -> {options.out}/memory.json")
    return 0


def _compact(options: argparse.Namespace) -> int:
    freed = compact(folder(options.memory))
    if options.json:
        return _json({"bytes": freed})
    print(f"{freed / 1e6:.1f} MB are free")
    return 0


def _progress(what: str) -> Callable[[int, int], None] | None:
    """Return what shows on a terminal how work gets on."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar = tqdm(desc=what, unit="keyframe")

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return show


def _json(content: Any) -> int:
    print(json.dumps(content, indent=1))
    return 0


def _time(stamp: float) -> str:
    return datetime.fromtimestamp(stamp).isoformat(" ", "seconds")

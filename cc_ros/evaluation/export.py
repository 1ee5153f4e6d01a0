"""Training data: LLaVA-format conversations with marked and plain pictures, streamed to disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from cc_ros.errors import CCError, SettingsError, SourceError
from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.conditions import Condition, Shown
from cc_ros.evaluation.types import Question
from cc_ros.keyframes import KeyframeSet
from cc_ros.reasoning import Question as Asked
from cc_ros.reasoning.kinds import kind_of
from cc_ros.reasoning.prompts.templates import Prompts

IMAGE = "<image>"


def export_llava(
    path: Path,
    questions: Iterable[Question],
    conditions: Sequence[Condition],
    setup: Setup,
    on_question: Callable[[], object] = lambda: None,
) -> tuple[int, list[str]]:
    """Write a JSON array of conversations, and their pictures into a folder beside it.

    An entry is ``{"id", "image": [paths beside the file], "conversations": [human, gpt]}`` with an ``<image>`` a
    picture. Pictures that several questions share are written once; nothing is held in memory.

    :param path: of the array; the pictures go to ``<path without suffix>_images``.
    :param conditions: each question comes once under each.
    :return: how many conversations were written, and why others were left out.
    :raises SettingsError: there is such a file already.
    :raises SourceError: it cannot be written.
    """
    folder = path.with_name(f"{path.stem}_images")
    if path.exists():
        raise SettingsError(f"{path} is there already; take another name")
    prompts = Prompts(setup.settings.get("reasoner", {}).get("prompts_dir", ""))
    part = path.with_name(f"{path.name}.part")
    count, left = 0, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file, Asker(setup) as asker:
            for question in questions:
                for condition in conditions if question.answers else ():
                    for direction in condition.directions:
                        task = Task(question, condition, direction, 0)
                        try:
                            seen, _ = asker.pictures(task)
                        except CCError as error:
                            left.append(f"{question.id}: {error}")
                            continue
                        entry = _entry(task, seen, prompts, folder)
                        file.write((",\n" if count else "[\n") + json.dumps(entry, ensure_ascii=False))
                        count += 1
                on_question()
            file.write("\n]\n" if count else "[]\n")
        part.replace(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}") from error
    return count, left


def _entry(task: Task, seen: KeyframeSet, prompts: Prompts, folder: Path) -> dict[str, Any]:
    question, condition = task.question, task.condition
    images = []
    for frame in seen.keyframes:
        # One picture is one scene under one condition in one direction, whatever is asked about it.
        place = folder / _safe(question.scene or question.id) / _safe(f"{condition.name} {task.direction}")
        place.mkdir(parents=True, exist_ok=True)
        image = place / f"{frame.index:06d}.jpg"
        if not image.exists() or image.read_bytes() != frame.jpeg:
            image.write_bytes(frame.jpeg)
        images.append(str(image.relative_to(folder.parent)))
    kind = kind_of(Asked(question.text, kind=question.ask_as, choices=question.choices))
    said = prompts.question(kind, question.text, question.choices)
    if condition.suffix:
        said = f"{said}\n{condition.suffix}"
    human = "\n".join((IMAGE * len(images), prompts.system(Shown(condition.style).style, seen.look), said))
    talk = [{"from": "human", "value": human}, {"from": "gpt", "value": _right(question)}]
    return {"id": "|".join(map(str, task.key)), "image": images, "conversations": talk}


def _right(question: Question) -> str:
    answer = question.answers[0]
    if answer in question.choices:
        return f"{chr(ord('A') + question.choices.index(answer))}. {answer}"
    return answer


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name).strip(".") or "_"

"""Make a SOT scene of one's own: one or two phone videos and a sheet of questions."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.benchmarks.sot import KINDS, SCENE_FILE, SIDES
from cc_ros.sources.open import open_source

COLUMNS = ("kind", "video", "question", "answer")
VIEWPOINTS = ("A", "B")


def make_scene(videos: Sequence[Path], sheet: Path, out: Path) -> int:
    """Write a scene and return how many questions it has.

    :param videos: of viewpoint A, then of B.
    :param sheet: CSV with the columns kind (observer or perspective), video (A or B), question, answer (left or right).
    :param out: folder of the scene; its name is the scene's.
    :raises SettingsError: the sheet is not like this, or the folder holds a scene already.
    :raises SourceError: a video or the sheet cannot be read.
    """
    if not 1 <= len(videos) <= len(VIEWPOINTS):
        raise SettingsError(f"a scene has one or two videos, got {len(videos)}")
    if (out / SCENE_FILE).exists():
        raise SettingsError(f"{out} holds a scene already; take another --out")
    names = dict(zip(VIEWPOINTS, videos, strict=False))
    questions = [_question(number, row, sheet, names) for number, row in enumerate(_rows(sheet), 1)]
    if not questions:
        raise SettingsError(f"{sheet} holds no question")
    for video in videos:
        with open_source(video) as source:  # that it can be read is better known now than when it is asked
            next(iter(source))
    files = {name: f"{name}{video.suffix.lower()}" for name, video in names.items()}
    scene = {"scene": out.resolve().name, "videos": files, "questions": questions}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, video in names.items():
            shutil.copyfile(video, out / files[name])
        (out / SCENE_FILE).write_text(json.dumps(scene, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"the scene cannot be written to {out}: {error.strerror or error}") from error
    return len(questions)


def _rows(sheet: Path) -> list[dict[str, str]]:
    try:
        with sheet.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at the beginning
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise SettingsError(f"{sheet} lacks the column {missing[0]!r}; it needs {', '.join(COLUMNS)}")
            return list(reader)
    except (OSError, UnicodeError, csv.Error) as error:
        raise SourceError(f"the sheet {sheet} cannot be read: {error}") from error


def _question(number: int, row: dict[str, str], sheet: Path, videos: dict[str, Path]) -> dict[str, Any]:
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    values["video"] = values["video"].upper() or VIEWPOINTS[0]
    for name, allowed in (("kind", KINDS), ("answer", SIDES)):
        values[name] = values[name].lower()
        if values[name] not in allowed:
            raise SettingsError(f"{sheet}, question {number}: {name} is {' or '.join(allowed)}, got {row[name]!r}")
    if values["video"] not in videos:
        raise SettingsError(f"{sheet}, question {number}: there is no video {values['video']!r}")
    if not values["question"]:
        raise SettingsError(f"{sheet}, question {number} is empty")
    return {"id": str(number), **values}

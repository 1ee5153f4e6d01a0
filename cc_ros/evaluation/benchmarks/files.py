"""Read the files of published data sets; what is missing or damaged is told with where to get it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cc_ros.errors import SourceError
from cc_ros.evaluation.types import Media, Question

Row = Mapping[str, Any]
SCANNET = """ScanNet itself needs its terms signed (http://www.scan-net.org); export each scene by its SensReader:
  DIR/scans/{scene_id}/color/*.jpg (depth/, pose/ and intrinsic/ beside it are used), or
  DIR/frames/{scene_id}/*.jpg, or DIR/videos/{scene_id}.mp4"""
_SCENES = ("scans/{0}", "frames/{0}", "videos/{0}.mp4", "videos/{0}.MP4", "{0}.mp4", "{0}")


def find_file(data: Path, names: Sequence[str], needs: str) -> Path:
    """Return the first of the files that is there.

    :param names: relative to ``data``.
    :param needs: the benchmark's help text, for the error.
    :raises SourceError: none is.
    """
    for name in names:
        if (data / name).is_file():
            return data / name
    raise SourceError(f"{data} holds no {' and no '.join(names)}.\n{_where(needs)}")


def read_json(path: Path) -> Any:
    """Read a JSON file, also a compressed one.

    :raises SourceError: it is damaged.
    """
    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, ValueError) as error:  # also no UTF-8, and a cut archive
        raise SourceError(f"{path} is damaged: {error}; download it again") from error


def rows_of(path: Path, data: Any, key: str = "") -> list[Row]:
    """Return the rows of a file: a list, or the list under ``key``.

    :raises SourceError: there is no such list of objects.
    """
    found = data.get(key) if key and isinstance(data, dict) else data
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise SourceError(f"{path} holds no list of {key or 'questions'}: it is another file, or damaged")
    return found


def made(path: Path, rows: Iterable[Row], make: Callable[[Row], Question]) -> list[Question]:
    """Return a question for each row.

    :raises SourceError: a row lacks a field or holds nonsense, or an id comes twice.
    """
    questions: dict[str, Question] = {}
    for number, row in enumerate(rows):
        try:
            question = make(row)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise SourceError(f"{path}, question {number}: {what}") from error
        if question.id in questions:
            raise SourceError(f"{path}: the id {question.id} comes twice")
        questions[question.id] = question
    if not questions:
        raise SourceError(f"{path} holds no questions")
    return list(questions.values())


def with_media(questions: Sequence[Question], needs: str) -> Iterator[Question]:
    """Yield the questions once the media of all of them are there.

    :raises SourceError: media are missing; the text says how many and the first.
    """
    missing = {}
    for question in questions:
        path = question.media.path
        if path is not None and path not in missing and not path.exists():
            missing[path] = question.id
    if missing:
        path, first = next(iter(missing.items()))
        raise SourceError(
            f"media of {len(missing)} scenes are missing, first {path} (question {first}).\n{_where(needs)}"
        )
    yield from questions


def _where(needs: str) -> str:
    """Return a benchmark's help text without its summary."""
    return needs.partition("\n")[2]


def scene_media(data: Path, scene: str) -> Media:
    """Return the recording of a ScanNet scene, whichever of the layouts of :data:`SCANNET` it has."""
    if not scene or Path(scene).name != scene:
        raise ValueError(f"{scene!r} is no name of a scene")
    paths = [data / pattern.format(scene) for pattern in _SCENES]
    return Media(path=next((path for path in paths if path.exists()), paths[0]))

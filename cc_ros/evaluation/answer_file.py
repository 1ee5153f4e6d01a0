"""The answers of a run on disk: each is safe before the next is noted, and a killed run goes on where it was."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.types import Answer

NAME = "answers.jsonl"


class AnswerFile(AbstractContextManager["AnswerFile"]):
    """``answers.jsonl``, open to append. One process at a time.

    :param folder: of the run; it is made.
    :raises SettingsError: another run writes there.
    :raises SourceError: the folder cannot be written, or a line is damaged.
    :ivar done: keys of the answers that are there.
    :ivar cost: what they took, as far as prices are known.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.done: set[tuple[str, str, str, int]] = set()
        self.cost = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        except OSError as error:
            raise SourceError(f"{self.path} cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise SettingsError(f"another run writes into {folder}; take another --out, or wait for it") from None
        self._drop_half_a_line()
        for answer in read_answers(self.path):
            self._note(answer)

    def append(self, answer: Answer) -> None:
        """Write an answer; it is on the disk when this returns.

        :raises SourceError: it cannot be written.
        """
        try:
            self._file.write(answer.to_json().encode("utf-8", "replace") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise SourceError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._note(answer)

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _note(self, answer: Answer) -> None:
        self.done.add(answer.key)
        self.cost += float(answer.usage.get("cost", 0.0))

    def _drop_half_a_line(self) -> None:
        """A line that has no end was being written when the run was killed: its question is asked again."""
        size = end = self._file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 65536)
            self._file.seek(begin)
            last = self._file.read(end - begin).rfind(b"\n")
            if last >= 0:
                end = begin + last + 1
                break
            end = begin
        if end < size:
            self._file.truncate(end)
            self._file.seek(0, os.SEEK_END)


def read_answers(path: Path) -> Iterator[Answer]:
    """Yield the answers of a run, one at a time.

    :raises SourceError: a line is damaged.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Answer.from_json(line)
            except ValueError as error:
                raise SourceError(f"{path}, line {number} is damaged ({error}); delete it to ask again") from error

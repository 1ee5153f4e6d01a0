"""OpenEQA's LLM match: a judge model gives a mark from 1 to 5 (Majumdar et al., CVPR 2024)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cc_ros.errors import ModelError, SettingsError, SourceError
from cc_ros.evaluation.types import Score

PROMPT, EXTRA_PROMPT = "mmbench.txt", "mmbench-extra.txt"  # in the folder prompts/ of OpenEQA's repository
LOW, HIGH = 1, 5
TAG = "Your mark:"
FIELDS = {"question", "answer", "prediction", "extra_answers"}
_FIELD = re.compile(r"\{(\w*)\}")

Judge = Callable[[str], str]  # a prompt -> the judge's reply


class JudgePrompts:
    """The official prompts, from the user's copy of OpenEQA: they are not part of this package.

    :param folder: that holds ``mmbench.txt`` and ``mmbench-extra.txt``.
    :raises SourceError: a file is missing or is no such prompt.
    """

    def __init__(self, folder: Path) -> None:
        self._plain = _read(folder / PROMPT, FIELDS - {"extra_answers"})
        self._extra = _read(folder / EXTRA_PROMPT, FIELDS)

    def fill(self, question: str, answer: str, prediction: str, extra_answers: Sequence[str] | None = None) -> str:
        """Return what the judge is asked about one prediction.

        :param extra_answers: further right answers; None = the question has no such list.
        """
        values = {"question": question, "answer": answer, "prediction": shortened(prediction)}
        if extra_answers is None:
            return _filled(self._plain, values)
        return _filled(self._extra, values | {"extra_answers": str(list(extra_answers))})


def shortened(prediction: str) -> str:
    """Return a prediction as the official evaluation passes it on: without what follows its last full stop.

    >>> shortened("A lamp. I hope")
    'A lamp.'
    """
    end = prediction.rfind(".")
    return prediction[: end + 1] if end >= 0 else prediction


def read_mark(reply: str) -> int:
    """Return the mark, 1 to 5, that a judge's reply gives.

    :raises ModelError: it gives none.
    """
    text = reply.strip()
    if TAG in text:
        text = text.split(TAG, 1)[1].strip().split("\n")[0].strip()
    try:
        mark = int(text)
    except ValueError:
        raise ModelError(f"the judge's reply holds no mark: {reply.strip()[:100]!r}") from None
    return min(max(mark, LOW), HIGH)


def judged(ask: Judge, prompt: str) -> int:
    """Ask the judge for a mark, once more where its reply holds none.

    :raises ModelError: two replies hold no mark.
    """
    try:
        return read_mark(ask(prompt))
    except ModelError:
        return read_mark(ask(prompt))


def match_score(mark: int) -> float:
    """Return a mark as a score from 0 to 100.

    >>> match_score(4)
    75.0
    """
    return 100.0 * (mark - LOW) / (HIGH - LOW)


def llm_match(judge: str, marks: Sequence[int | None]) -> Score:
    """Return the score of marks that one judge gave; the judge is part of its name.

    :param judge: the model that gave the marks, as its server names it.
    :param marks: 1 to 5; None for a question without an answer, which counts as 0 of 100.
    :raises SettingsError: the judge has no name: marks of different judges cannot be compared.
    """
    if not judge:
        raise SettingsError("LLM match needs the name of the judge, since other judges give other marks")
    return Score(f"LLM match ({judge})", [0.0 if mark is None else match_score(mark) for mark in marks])


def _read(path: Path, fields: set[str]) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the judge's prompt {path} cannot be read ({error}); it is prompts/{path.name} of the OpenEQA repository"
        ) from error
    if set(_FIELD.findall(text)) != fields:
        wanted = ", ".join(f"{{{name}}}" for name in sorted(fields))
        raise SourceError(f"the judge's prompt {path} must hold {wanted} and no other field in braces")
    return text


def _filled(prompt: str, values: Mapping[str, str]) -> str:
    """Fill the fields at once, so that braces within an answer stay what they are."""
    return _FIELD.sub(lambda match: values[match[1]], prompt)

"""Prompts: text files that a user can read, and override by files of the same name in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template

from cc_ros.errors import SettingsError
from cc_ros.keyframes.drawing import MarkSettings
from cc_ros.reasoning.kinds import KINDS
from cc_ros.reasoning.measured.questions import lettered
from cc_ros.reasoning.types import Kind, Style

MAX_PROMPT_BYTES = 20_000


class Prompts:
    """All prompt texts.

    >>> Prompts().question(Kind.COUNT, "How many chairs?").splitlines()[0]
    'Question: How many chairs?'

    :param folder: files here replace those of the same name; "" = none.
    :raises SettingsError: the folder is missing, or a file in it has a wrong name or an unknown placeholder.
    """

    def __init__(self, folder: str = "") -> None:
        self._templates = dict(_built_in())
        if folder:
            self._templates.update(_overrides(Path(folder).expanduser(), self._templates))

    def system(self, style: Style, look: MarkSettings) -> str:
        """Return the system prompt (paper, appendix E): task, what the marks are, and that text in images is data."""
        return self._fill("system", style=self.about_pictures(style, look))

    def about_pictures(self, style: Style, look: MarkSettings) -> str:
        """Return what the pictures and their marks are: the part of the system prompt that depends on the style."""
        return self._fill(f"style_{style.value}", look=look.in_words())

    def question(self, kind: Kind, text: str, choices: Sequence[str] = (), max_forward: float = 0.0) -> str:
        """Return the prompt for one question; for navigation, what opens the conversation.

        :param max_forward: navigation: longest move in metres.
        """
        longest = f"{max_forward:g} metres"
        return self._fill(KINDS[kind].prompt, question=text, choices="\n".join(lettered(choices)), max_forward=longest)

    def tools(self) -> str:
        """Return what the system prompt says of the tools that measure."""
        return self._fill("tools")

    def looks(self, since: float, now: float) -> str:
        """Return what the system prompt says of looking into the memory.

        :param since: when its oldest picture was taken, seconds since 1970.
        :param now: likewise.
        """
        begin, at = (f"{datetime.fromtimestamp(stamp):%A %Y-%m-%d %H:%M}" for stamp in (since, now))
        return self._fill("looks", since=begin, now=at)

    def caption(self) -> str:
        """Return what a model is asked about a keyframe of the memory."""
        return self._fill("caption")

    def measured(self, table: str) -> str:
        """Return what was measured of the marks, for models that have no tools."""
        return self._fill("measured", table=table)

    def navigate_turn(self, turn: int, note: str = "") -> str:
        """Return the text beside the picture of one turn, from 1.

        :param note: what else there is to tell, such as how the last move ended.
        """
        return self._fill("navigate_turn", turn=str(turn), note=f" {note}" if note else "")

    def reply_json(self, fields: str) -> str:
        """Return the request for JSON, for servers that have no structured output."""
        return self._fill("reply_json", fields=fields)

    def again_invented(self, invented: Iterable[int], known: Iterable[int]) -> str:
        """Return the second request after the model named marks that do not exist."""
        known_ids = ", ".join(map(str, known)) or "none"
        return self._fill("again_invented", invented=", ".join(map(str, invented)), known=known_ids)

    def again_unusable(self, problem: str) -> str:
        """Return the second request after a reply that is no answer."""
        return self._fill("again_unusable", problem=problem)

    def _fill(self, name: str, **values: str) -> str:
        return Template(self._templates[name]).substitute(values)


@cache
def _built_in() -> dict[str, str]:
    folder = resources.files(__package__) / "text"
    return {
        Path(file.name).stem: file.read_text(encoding="utf-8").strip()
        for file in folder.iterdir()
        if file.name.endswith(".txt")
    }


def _overrides(folder: Path, known: dict[str, str]) -> dict[str, str]:
    if not folder.is_dir():
        raise SettingsError(f"prompts_dir {str(folder)!r} is not a folder")
    found = {}
    for file in sorted(folder.glob("*.txt")):
        if file.stem not in known:
            raise SettingsError(
                f"prompts_dir holds {file.name!r}, which is no prompt; known: {', '.join(sorted(known))}"
            )
        if file.stat().st_size > MAX_PROMPT_BYTES:
            raise SettingsError(f"the prompt {file} is longer than {MAX_PROMPT_BYTES} bytes")
        text = file.read_text(encoding="utf-8").strip()
        extra = _placeholders(text, file) - _placeholders(known[file.stem], file)
        if extra:
            raise SettingsError(
                f"the prompt {file} uses ${sorted(extra)[0]}, which it cannot; a dollar sign is written $$"
            )
        found[file.stem] = text
    return found


def _placeholders(text: str, file: Path) -> set[str]:
    found = list(Template.pattern.finditer(text))
    if any(match["invalid"] is not None for match in found):
        raise SettingsError(f"the prompt {file} has a lone dollar sign; write it $$")
    return {match["named"] or match["braced"] for match in found} - {None}

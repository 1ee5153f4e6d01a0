"""Conditions: under which model, with which pictures and marks a benchmark is asked."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from cc_ros.errors import SettingsError
from cc_ros.evaluation.tracked import TRACKERS, UNTRACKED
from cc_ros.evaluation.types import FORWARD, REVERSE
from cc_ros.keyframes import KeyframeSettings, MarkSettings
from cc_ros.reasoning import Style
from cc_ros.settings import checked


class Shown(str, Enum):
    """How a scene is shown to the model: a style of the reasoner, or one of these with something beside the marks."""

    RAW = "raw"
    MARKS = "marks"
    SET_OF_MARK = "set_of_mark"
    MARKS_COT = "marks_cot"
    MEASURED = "measured"
    """Marks, and in words where each is as measured."""
    BIRDS_EYE = "birds_eye"
    """Marks, and a map seen from above with the same numbers."""

    @property
    def style(self) -> Style:
        """The reasoner's style."""
        return Style(self.value) if self.value in list(Style) else Style.MARKS


ALIASES = {"cot": "marks_cot", "chain_of_thought": "marks_cot", "marks_measured": "measured", "bev": "birds_eye"}


@dataclass(frozen=True, slots=True)
class Condition:
    """What is compared with what.

    :param model: name of the model, or "oracle".
    :param style: value of :class:`Shown`.
    :param frames: keyframes (m in the paper).
    :param marks: objects that get a mark (K in the paper); 0 in raw pictures.
    :param diameter: of a mark in pixels; 0 = a twelfth of the picture's shorter side.
    :param outline: whether the contours of marked objects are drawn.
    :param overlay: whether marked objects are tinted.
    :param tracker: name of the tracker, "truth" = the true ids, "none" for raw pictures.
    :param suffix: put after every question: the wording moves some metrics by more than the marks do.
    :param directions: orders of time in which every question is asked.
    """

    model: str
    style: str = Shown.MARKS.value
    frames: int = 8
    marks: int = 8
    diameter: int = 0
    outline: bool = True
    overlay: bool = False
    tracker: str = "auto"
    suffix: str = ""
    directions: tuple[str, ...] = (FORWARD,)

    def normal(self) -> Condition:
        """Return the condition without what makes no difference: raw pictures have no marks.

        :raises SettingsError: a value that cannot be.
        """
        style = style_named(self.style)
        if not self.model:
            raise SettingsError("name the model: --model oracle, or a name that the server knows")
        if self.tracker not in TRACKERS:
            raise SettingsError(f"tracker must be one of {', '.join(TRACKERS)}, got {self.tracker!r}")
        if not self.directions or not set(self.directions) <= {FORWARD, REVERSE}:
            raise SettingsError(f"directions are {FORWARD} and {REVERSE}, got {self.directions!r}")
        checked(MarkSettings, {"diameter": self.diameter, "outline": self.outline, "overlay": self.overlay})
        checked(KeyframeSettings, {"frames": self.frames, "marks": self.marks})
        if not isinstance(self.suffix, str):
            raise SettingsError(f"suffix must be a text, got {self.suffix!r}")
        if style is Shown.RAW:
            plain = dataclasses.replace(self, marks=0, diameter=0, outline=True, overlay=False, tracker=UNTRACKED)
            return dataclasses.replace(plain, style=style.value)
        if not self.marks or self.tracker == UNTRACKED:
            raise SettingsError(f"the style {style.value} needs marks and a tracker; raw does without")
        return dataclasses.replace(self, style=style.value)

    @property
    def name(self) -> str:
        """What tells it from others, for people and in files."""
        parts = [self.model, self.style, f"{self.frames} frames"]
        if self.marks:
            parts += [f"{self.marks} marks", self.tracker]
            parts += [f"{self.diameter} px"] * bool(self.diameter)
            parts += ["no outline"] * (not self.outline) + ["overlay"] * self.overlay
        if self.suffix:
            parts.append(f"suffix {self.suffix!r}")
        if self.directions != (FORWARD,):
            parts.append("+".join(self.directions))
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the condition as it is written into files."""
        return dataclasses.asdict(self) | {"directions": list(self.directions), "name": self.name}


def style_named(name: Any) -> Shown:
    """Return the style of that name.

    :raises SettingsError: there is none.
    """
    word = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    try:
        return Shown(ALIASES.get(word, word))
    except ValueError:
        raise SettingsError(f"there is no style {name!r}; styles are {', '.join(Shown)}") from None


GRID_FIELDS = tuple(field.name for field in dataclasses.fields(Condition) if field.name != "directions")
DIRECTIONS = {"forward": (FORWARD,), "reverse": (REVERSE,), "both": (FORWARD, REVERSE)}


def grid(values: Mapping[str, Sequence[Any]], usual: Condition) -> list[Condition]:
    """Return every combination once, in order.

    :param values: field of a condition -> its values; what is missing is as in ``usual``. ``direction`` is
        "forward", "reverse" or "both".
    :raises SettingsError: an unknown field or a value that cannot be.
    """
    unknown = sorted(set(values) - {*GRID_FIELDS, "direction"})
    if unknown:
        raise SettingsError(f"the grid has no {unknown[0]!r}; it may have {', '.join((*GRID_FIELDS, 'direction'))}")
    return list(dict.fromkeys(_combined(values, usual)))


def _combined(values: Mapping[str, Sequence[Any]], usual: Condition) -> Iterator[Condition]:
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        if "direction" in chosen:
            direction = chosen.pop("direction")
            if direction not in DIRECTIONS:
                raise SettingsError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
            chosen["directions"] = DIRECTIONS[direction]
        yield dataclasses.replace(usual, **chosen).normal()


def read_grid(path: Path) -> dict[str, list[Any]]:
    """Read a grid: YAML, each field with one value or a list of them.

    :raises SettingsError: it cannot be read or is something else.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"the grid {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise SettingsError(f"the grid {path} must hold lines such as 'frames: [2, 4, 8]'")
    grid = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
    empty = [name for name, value in grid.items() if not value]
    if empty:
        raise SettingsError(f"the grid {path}: {empty[0]} has no value")
    return grid


def split_names(text: str | Iterable[str]) -> list[str]:
    """Return the names in a list with commas."""
    return [name for name in (part.strip() for part in (text.split(",") if isinstance(text, str) else text)) if name]

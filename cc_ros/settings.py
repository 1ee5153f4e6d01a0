"""Settings as frozen dataclasses: declared once, used as ROS parameters, command-line options and documentation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from cc_ros.errors import SettingsError

T = TypeVar("T")
Scalar = bool | int | float | str
WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def knob(
    default: Scalar,
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    valid: Callable[[Any], object] | None = None,
) -> Any:
    """Return a dataclass field with its documentation and limits.

    :param default: the value; its type is the knob's type (bool, int, float or str).
    :param help: one line for people: what it does, with the unit.
    :param ge: smallest allowed value, inclusive.
    :param le: largest allowed value, inclusive.
    :param choices: the allowed strings; empty = any.
    :param valid: raises a SettingsError for what else is not allowed, such as a file that is missing.
    """
    metadata = {"help": help, "ge": ge, "le": le, "choices": choices, "valid": valid}
    return dataclasses.field(default=default, metadata=metadata)


def _refuse_unless(what: str, is_such: Callable[[Path], bool], path: str) -> None:
    """Raise a SettingsError where a path is missing or something else; empty = none."""
    if path and not is_such(Path(path).expanduser()):
        raise SettingsError(f"there is no {what} {path!r}")


a_folder = partial(_refuse_unless, "folder", Path.is_dir)
a_file = partial(_refuse_unless, "file", Path.is_file)


@dataclasses.dataclass(frozen=True)
class Knob:
    """One setting: name, type (bool, int, float or str), default, help, limits."""

    name: str
    type: type
    default: Scalar
    help: str
    ge: float | None
    le: float | None
    choices: tuple[str, ...]
    valid: Callable[[Any], object] | None = None

    def check(self, value: Any) -> Any:
        """Return ``value`` as this knob's type; an int is taken for a float.

        :raises SettingsError: wrong type, not finite, out of range, not among the choices, or else not allowed.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            raise SettingsError(f"{self.name} must be {self.type.__name__}, got {value!r} ({type(value).__name__})")
        if self.choices and value not in self.choices:
            raise SettingsError(f"{self.name} must be one of {self.allowed()}, got {value!r}")
        number = cast(float, value)
        if self.type is float and not math.isfinite(number):
            raise SettingsError(f"{self.name} must be a finite number, got {value!r}")
        if self.ge is not None and number < self.ge:
            raise SettingsError(f"{self.name} must be at least {self.ge:g}, got {value!r}")
        if self.le is not None and number > self.le:
            raise SettingsError(f"{self.name} must be at most {self.le:g}, got {value!r}")
        if self.valid is not None:
            try:
                self.valid(value)
            except SettingsError as error:
                raise SettingsError(f"{self.name}: {error}") from error
        return value

    def allowed(self) -> str:
        """Return for people what a value may be, "" where it is any of its type."""
        if self.choices:
            return ", ".join(choice or "empty" for choice in self.choices)
        low, high = ("" if bound is None else f"{bound:g}" for bound in (self.ge, self.le))
        return f"{low}..{high}" if low or high else ""

    def parse(self, text: str) -> Any:
        """Return the value that a text means, as from a command line; booleans are true or false, yes, no, on, off.

        :raises SettingsError: it means none, or one that is not allowed.
        """
        try:
            return self.check(WORDS[text.strip().lower()] if self.type is bool else self.type(text))
        except (ValueError, KeyError) as error:
            if isinstance(error, SettingsError):
                raise
            wanted = "true or false" if self.type is bool else self.type.__name__
            raise SettingsError(f"{self.name} must be {wanted}, got {text!r}") from error


def knobs(cls: type) -> Iterator[Knob]:
    """Yield the knobs of a settings dataclass in the order of its fields."""
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        meta, default = field.metadata, cast(Scalar, field.default)
        yield Knob(field.name, types[field.name], default, **meta)


def parameters(groups: Iterable[tuple[str, type]]) -> Iterator[tuple[str, type, Knob]]:
    """Yield name, settings dataclass and knob of each ROS parameter.

    :param groups: prefix (may be empty) and settings dataclass.
    """
    for prefix, cls in groups:
        for knob in knobs(cls):
            yield f"{prefix}.{knob.name}" if prefix else knob.name, cls, knob


def checked(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build the settings ``cls`` from ``values``; what is missing keeps its default.

    :raises SettingsError: an unknown name, a wrong type or a value out of its range.
    """
    by_name = {knob.name: knob for knob in knobs(cls)}
    unknown = sorted(set(values) - set(by_name))
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]!r}; known: {', '.join(by_name)}")
    return cls(**{name: by_name[name].check(value) for name, value in values.items()})

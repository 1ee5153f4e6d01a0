"""Command-line options made from settings dataclasses, as the ROS parameters are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cc_ros.errors import SettingsError
from cc_ros.settings import Knob, checked, knobs, parameters

T = TypeVar("T")


def add_settings(parser: argparse._ActionsContainer, cls: type) -> None:
    """Add an option for each setting of ``cls``."""
    for knob in knobs(cls):
        flag = "--" + knob.name.replace("_", "-")
        if knob.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=_help(knob))
        else:
            choices = knob.choices or None
            metavar = None if choices else {int: "N", float: "X", str: "TEXT"}[knob.type]
            parser.add_argument(flag, type=knob.type, choices=choices, metavar=metavar, help=_help(knob))


def settings_of(cls: type[T], options: argparse.Namespace) -> T:
    """Return the settings that the options say.

    :raises SettingsError: a value is out of its range.
    """
    given = {knob.name: getattr(options, knob.name, None) for knob in knobs(cls)}
    return checked(cls, {name: value for name, value in given.items() if value is not None})


def amount(of: Callable[[str], T]) -> Callable[[str], T]:
    """Return a type of argparse: a number that is finite and not below 0."""

    def parse(text: str) -> T:
        number = of(text)
        if not 0 <= number < float("inf"):  # type: ignore[operator]
            raise argparse.ArgumentTypeError(f"a number from 0 on is wanted, got {text}")
        return number

    parse.__name__ = of.__name__  # argparse names it for a text that is no number
    return parse


def parse_assignments(texts: Sequence[str], groups: dict[str, type]) -> dict[str, dict[str, Any]]:
    """Return what ``--set GROUP.NAME=VALUE`` options say: group -> name -> value.

    :raises SettingsError: no such group or name, or a text that is not of the setting's type.
    """
    result: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for text in texts:
        name, _, value = text.partition("=")
        group, _, short = name.partition(".")
        known = {knob.name: knob for knob in knobs(groups[group])} if group in groups else {}
        if short not in known:
            raise SettingsError(f"--set wants GROUP.NAME=VALUE, got {text!r}; `--list-settings` shows what there is")
        result[group][short] = known[short].parse(value)
    return result


def list_settings(groups: dict[str, type]) -> str:
    """Return a table of all settings for people."""
    listed = parameters(groups.items())
    return "\n".join(f"{name}={knob.default}\n    {_described(knob)}" for name, _, knob in listed)


def _help(knob: Knob) -> str:
    default = "" if knob.default in ("", False) else f"; default {knob.default}"
    return (_described(knob) + default).replace("%", "%%")


def _described(knob: Knob) -> str:
    return f"{knob.help} ({knob.allowed()})" if knob.allowed() else knob.help

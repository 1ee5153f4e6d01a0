"""Command-line options made from settings dataclasses, as the ROS parameters are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TypeVar

from cc_ros.errors import SettingsError
from cc_ros.settings import Knob, checked, knobs

T = TypeVar("T")


def add_settings(parser: argparse._ActionsContainer, cls: type, only: Sequence[str] = ()) -> None:
    """Add an option for each setting of ``cls``, or for those named by ``only``."""
    for knob in knobs(cls):
        if only and knob.name not in only:
            continue
        flag = "--" + knob.name.replace("_", "-")
        if knob.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=_help(knob))
        else:
            choices = knob.choices or None
            metavar = None if choices else {int: "N", float: "X", str: "TEXT"}[knob.type]
            parser.add_argument(flag, type=knob.type, choices=choices, metavar=metavar, help=_help(knob))


def settings_of(cls: type[T], options: argparse.Namespace, more: dict[str, Any] | None = None) -> T:
    """Return the settings that the options say.

    :param more: values by name, which win over the options.
    :raises SettingsError: a value is out of its range.
    """
    given = {knob.name: getattr(options, knob.name, None) for knob in knobs(cls)}
    return checked(cls, {name: value for name, value in given.items() if value is not None} | (more or {}))


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
    lines = []
    for group, cls in groups.items():
        for knob in knobs(cls):
            lines.append(f"{group}.{knob.name}={knob.default}")
            lines.append(f"    {knob.help}{_limits(knob)}")
    return "\n".join(lines)


def _help(knob: Knob) -> str:
    default = "" if knob.default in ("", False) else f"; default {knob.default}"
    return (knob.help + _limits(knob) + default).replace("%", "%%")


def _limits(knob: Knob) -> str:
    if knob.choices:
        return f" ({', '.join(choice or 'empty' for choice in knob.choices)})"
    low = "" if knob.ge is None else f"{knob.ge:g}"
    high = "" if knob.le is None else f"{knob.le:g}"
    return f" ({low}..{high})" if low or high else ""

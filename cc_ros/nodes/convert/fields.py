"""Dataclasses and messages with the same fields: written and read over the dataclass, so that none is forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from cc_ros.reasoning.types import sendable

T = TypeVar("T")


def written(item: Any, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the fields of a dataclass's instance as a message takes them.

    :param names: of fields that the message names otherwise.
    """
    return {
        (names or {}).get(field.name, field.name): _sendable(getattr(item, field.name), field.default)
        for field in dataclasses.fields(item)
    }


def read(cls: type[T], message: Any, names: Mapping[str, str] | None = None, **given: Any) -> T:
    """Return an instance of a dataclass with the values of a message; its lists and arrays become tuples.

    :param names: of fields that the message names otherwise.
    :param given: fields that are read in another way.
    """
    asked = [field.name for field in dataclasses.fields(cls) if field.name not in given]  # type: ignore[arg-type]
    return cls(**{name: _value(getattr(message, (names or {}).get(name, name))) for name in asked}, **given)


def _sendable(value: Any, default: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    return float(value) if isinstance(default, float) else value


def _value(value: Any) -> Any:
    return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value

"""Measurements as tools: a model calls the queries about marks, and geometry answers them."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from cc_ros.geometry import SceneMap
from cc_ros.geometry.evaluate import evaluate
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.queries import GoTo, Query, TurnTo
from cc_ros.reasoning.types import sendable

PREFIX = "measure_"
LONGEST = 2000  # characters of a call's arguments
QUERIES = {
    PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower(): cls
    for cls in get_args(Query)
    if cls not in (GoTo, TurnTo)  # a model that measures moves nothing
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a call brought.

    :param content: JSON for the model.
    :param fact: for people: what was measured, or why not.
    :param told: whether something was measured.
    """

    content: str
    fact: str
    told: bool


@cache
def definitions() -> tuple[dict[str, Any], ...]:
    """Return every tool as the chat completions API has it, with its arguments as a schema without references."""
    found = []
    for name, cls in QUERIES.items():
        schema = TypeAdapter(cls).json_schema()
        arguments = _plain(schema, schema.get("$defs", {}))
        function = {"name": name, "description": arguments.pop("description"), "parameters": arguments}
        found.append({"type": "function", "function": function})
    return tuple(found)


def call(name: str, arguments: str, scene: SceneMap) -> Result:
    """Answer a model's call, whatever it holds; a call that makes no sense is answered with what is wrong.

    >>> call("measure_distance", '{"mark": 3}', SceneMap.from_keyframes([])).content
    '{"unknown": "no keyframe shows mark 3; they show no marks at all", "cause": "unknown_mark"}'
    """
    try:
        query = _query(name, arguments)
    except ValueError as error:
        return refused(name, str(error))
    found = evaluate(query, scene)
    if isinstance(found, Unknown):
        return Result(json.dumps({"unknown": found.reason, "cause": found.cause.value}), found.reason, told=False)
    unsure = {"unsure": found.unsure} if found.unsure else {}
    values = {"answer": found.text, "value": _finite(found.value), "sigma": _finite(found.sigma), **unsure}
    content = json.dumps({**values, "confidence": round(found.confidence, 3), "reason": found.reason})
    return Result(content, f"{_in_words(query)}: {found.text} ({found.reason})", told=True)


def _query(name: str, arguments: str) -> Query:
    """Return the query of a call.

    :raises ValueError: it is none.
    """
    if name not in QUERIES:
        raise ValueError(f"there is no such tool; there are {', '.join(QUERIES)}")
    given = arguments_of(arguments)
    try:
        query: Query = TypeAdapter(QUERIES[name]).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}") from None
    _check_all_used(given, query)
    return query


def arguments_of(text: str) -> dict[str, Any]:
    """Return the arguments of a call.

    :raises ValueError: they are none.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the arguments are longer than {LONGEST} characters")
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise ValueError("the arguments are not valid JSON") from None
    if not isinstance(given, dict):
        raise ValueError("the arguments are not a JSON object")
    return given


def _check_all_used(given: Mapping[str, Any], query: Any) -> None:
    """Refuse what a query does not hold: half of a question answered is a guess.

    :raises ValueError: there is such.
    """
    known = [field.name for field in dataclasses.fields(query)]
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{name!r} is none of its arguments; they are {', '.join(known)}")
        read = getattr(query, name)
        if dataclasses.is_dataclass(read) and isinstance(value, Mapping):
            _check_all_used(value, read)
        elif isinstance(value, bool) != isinstance(read, bool):
            raise ValueError(f"{name!r} must not be {value!r}")


def refused(name: str, why: str) -> Result:
    """Return what a call that cannot be answered brings.

    :param why: for the model.
    """
    content = json.dumps({"error": sendable(why)})
    return Result(content, f"a call of {sendable(name)[:40]!r} makes no sense: {sendable(why)[:200]}", told=False)


def _in_words(query: Query) -> str:
    """Return a query in short: "distance of 3, 5"."""
    named = {field.name: getattr(query, field.name) for field in dataclasses.fields(query)}
    shown = [f"{name} {_short(value)}" for name, value in named.items() if value not in (None, (), False)]
    return " ".join([type(query).__name__.lower(), *(text for text in shown if not text.endswith("View()"))])


def _short(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        inner = ", ".join(f"{name} {one}" for name, one in fields if one not in (None, False))
        return f"{type(value).__name__}({inner})"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _finite(value: Any) -> Any:
    """Return a value as JSON can hold it: null for NaN, three digits behind the point."""
    if isinstance(value, tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def _plain(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without references, defaults and null, which many servers do not take."""
    if "$ref" in schema:
        return _plain(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        kinds = [_plain(one, defs) for one in schema["anyOf"] if one.get("type") != "null"]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    plain = {name: value for name, value in schema.items() if name in ("type", "enum", "required")}
    if "description" in schema:
        plain["description"] = re.sub(r"\n*:raises.*|``", "", inspect.cleandoc(schema["description"]), flags=re.DOTALL)
    if "items" in schema:
        plain["items"] = _plain(schema["items"], defs)
    if schema.get("type") == "object":
        plain["properties"] = {name: _plain(one, defs) for name, one in schema.get("properties", {}).items()}
        plain["additionalProperties"] = False
    return plain

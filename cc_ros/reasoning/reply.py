"""The shape of a model's reply: asked for as a JSON schema or in words, read tolerantly, checked with pydantic."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pydantic_core
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from cc_ros.reasoning.request import Kind, Move, Style

MAX_FIELD = 16_000
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


class Reply(BaseModel):
    """What a model may say; what it leaves out stays empty, and near misses of the names are understood."""

    model_config = ConfigDict(extra="ignore")

    answer: str = Field(default="", validation_alias=AliasChoices("answer", "text", "response"))
    choice: str = ""
    marks: list[int] = Field(default=[], validation_alias=AliasChoices("marks", "mark_ids", "ids"))
    confidence: float = 0.0
    reason: str = Field(default="", validation_alias=AliasChoices("reason", "reasoning", "explanation"))
    action: str = ""
    value: float = 0.0

    @field_validator("action", mode="before")
    @classmethod
    def _action(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return "" if value is None else value
        named = next((value[name] for name in ("kind", "type", "name", "move", "action") if name in value), "")
        return f"{named}({value['value']})" if "value" in value else str(named)

    @field_validator("value", mode="before")
    @classmethod
    def _value(cls, value: Any) -> Any:
        return 0.0 if value is None else value

    @field_validator("answer", "choice", "reason", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (int, float, str)):
            return str(value).strip()[:MAX_FIELD]
        raise ValueError("not a text")

    @field_validator("marks", mode="before")
    @classmethod
    def _marks(cls, value: Any) -> list[int]:
        if isinstance(value, str):
            value = [part for part in value.split(",") if part.strip()]
        if value is None:
            return []
        ids = []
        for item in value if isinstance(value, list) else [value]:
            digits = re.fullmatch(r"\s*(?:mark)?\s*#?(\d{1,9})(?:\.0)?\s*", str(item), re.IGNORECASE)
            if isinstance(item, bool) or not digits:
                raise ValueError("not a mark's number")
            ids.append(int(digits[1]))
        return list(dict.fromkeys(ids))

    @field_validator("confidence", mode="before")
    @classmethod
    def _confidence(cls, value: Any) -> float:
        try:
            number = float(str(value).strip().rstrip("%"))
        except ValueError:
            return 0.0  # "high" says no number
        if 1 < number <= 100:
            number /= 100
        return number if 0 <= number <= 1 else 0.0


class NotAReply(ValueError):
    """A text that is meant to be JSON but cannot be read as a reply; its text says why."""


def fields(kind: Kind, style: Style, choices: Sequence[str], ids: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each field of a reply, in the order wanted.

    With chain of thought the reason comes first, so that the answer follows from it.
    """
    parts: dict[str, dict[str, Any]] = {}
    if kind is Kind.NAVIGATE:
        parts["action"] = {"type": "string", "enum": [move.value for move in Move], "description": "the next move"}
        parts["value"] = {"type": "number", "description": "metres or degrees; 0 for STOP"}
    elif kind is Kind.CHOICE:
        letters = [chr(ord("A") + i) for i in range(len(choices))]
        parts["choice"] = {"type": "string", "enum": letters, "description": "the letter of the answer"}
    elif kind is Kind.LEFT_RIGHT:
        parts["answer"] = {"type": "string", "enum": ["left", "right", "unknown"], "description": "the side"}
    elif kind is Kind.COUNT:
        parts["answer"] = {"type": "string", "description": "the number in digits"}
    else:
        parts["answer"] = {"type": "string", "description": "the answer"}
    if style is not Style.RAW:
        items: dict[str, Any] = {"type": "integer"}
        if ids:
            items["enum"] = list(ids)
        parts["marks"] = {
            "type": "array",
            "items": items,
            "description": "numbers of the marks that the answer is about",
        }
    parts["confidence"] = {"type": "number", "description": "how sure you are, 0 to 1"}
    reason = {"type": "string", "description": "why, in a sentence or two"}
    return {"reason": reason, **parts} if style is Style.MARKS_COT else {**parts, "reason": reason}


def response_format(structured: str, parts: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the API's response_format, None where JSON can only be asked for in words."""
    if structured == "json_schema":
        schema = {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
        return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}
    return {"type": "json_object"} if structured == "json_object" else None


def in_words(parts: dict[str, dict[str, Any]]) -> str:
    """Return the fields as a JSON object with a description in each place."""
    lines = []
    for name, schema in parts.items():
        allowed = ", one of " + ", ".join(map(str, schema["enum"])) if "enum" in schema else ""
        lines.append(f'  "{name}": <{schema["type"]}: {schema["description"]}{allowed}>')
    return "{\n" + ",\n".join(lines) + "\n}"


def read_reply(text: str) -> Reply:
    """Return a model's reply from its text: JSON, JSON among other words, or plain words, which become the answer.

    :raises NotAReply: nothing but space, broken JSON, or JSON with a field of the wrong type.
    """
    text = _THOUGHTS.sub("", text).strip()
    fenced = _FENCE.search(text)
    body = fenced[1].strip() if fenced else text
    if not body:
        raise NotAReply("it is empty")
    found = _first_object(body)
    if found is None:
        if body.startswith(("{", "[")):
            raise NotAReply("it is not valid JSON")
        return Reply.model_validate({"answer": body})
    try:
        return Reply.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise NotAReply(f"the field {first['loc'][0]!r} has a wrong value") from None


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(8):
        if start < 0:
            return None
        try:
            value, _end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return value if isinstance(value, dict) else None
    return None


def text_so_far(raw: str) -> str:
    """Return what to show of an unfinished reply: its reason and answer without the JSON around them."""
    text = _THOUGHTS.sub("", raw)
    start = text.find("{")
    if start < 0 or (text[:start].strip() and "```" not in text[:start]):
        return text.strip().removeprefix("```json").removeprefix("```")
    try:
        partial = pydantic_core.from_json(text[start:].encode(), allow_partial="trailing-strings")
    except ValueError:
        return ""
    shown = [value for name, value in partial.items() if name in ("answer", "choice", "reason", "action")]
    return "\n".join(str(value) for value in shown)

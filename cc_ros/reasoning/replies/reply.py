"""The shape of a model's reply: asked for as a JSON schema or in words, read tolerantly, checked with pydantic."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydantic_core
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from cc_ros.reasoning.replies.thoughts import Piece, plain, spoken, without_begun_tag
from cc_ros.reasoning.types import Style, sendable

MAX_FIELD = 16_000
_BROKEN = re.compile(r"[{,]\s*\\?\"\w+\\?\"\s*:|\"\s*\}\s*\Z")  # what is left of JSON that cannot be read


class Unusable(ValueError):
    """A reply that is no answer to the question; its text says why, and is shown to the model."""


class NotAReply(Unusable):
    """A text that is meant to be JSON but cannot be read as a reply, or holds no answer at all."""


class Invented(ValueError):
    """A reply that names marks which no picture shows.

    :param ids: those marks.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(f"it names mark {', '.join(map(str, ids))}")
        self.ids = tuple(ids)


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
        if isinstance(value, bool):
            raise ValueError("not a number")
        return 0.0 if value is None else value

    @field_validator("answer", "choice", "reason", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (int, float, str)):
            return sendable(str(value)).strip()[:MAX_FIELD]
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


@dataclass(frozen=True, slots=True)
class Said:
    """What a text may mean.

    :param replies: each possible answer, in order; the last one is meant where they agree.
    :param before: the words before the last of them, other possible answers included.
    :param after: the words after it.
    :param structured: whether the last one is a JSON object.
    :param problem: why another possible answer cannot be read, None where all can.
    """

    replies: tuple[Reply, ...]
    before: str = ""
    after: str = ""
    structured: bool = False
    problem: NotAReply | None = None


def fields(own: dict[str, dict[str, Any]], style: Style, ids: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each field of a reply, in the order wanted.

    With chain of thought the reason comes first, so that the answer follows from it.

    :param own: the fields of this kind of question.
    :param ids: the marks in the pictures.
    """
    parts = dict(own)
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


def read_reply(text: str) -> Said:
    """Return what a model's text may mean: JSON, JSON among other words, or plain words, which become the answer.

    Thoughts do not count, whatever they hold.

    :raises NotAReply: nothing but space or thoughts, broken JSON, or JSON with a field of the wrong type.
    """
    said = spoken(_unquoted(text))
    if said.thinking:
        raise NotAReply("it ends within its thoughts, before any answer")
    if not said.text:
        raise NotAReply("it holds nothing but thoughts" if said.thought else "it is empty")
    replies: list[Reply] = []
    problem: NotAReply | None = None
    for piece in said.pieces:
        try:
            replies.append(_reply_of(piece))
        except NotAReply as error:
            problem = error
    replies = [one for one in replies if one.answer or one.choice or one.action or one.marks] or replies[-1:]
    if not replies:
        raise problem or NotAReply("it holds no answer")
    last = said.pieces[-1]
    return Said(tuple(replies), said.before, said.after, last.fields is not None, problem)


def complete(text: str) -> bool:
    """Whether a text that came without a word on why it ends is a whole reply."""
    try:
        said = read_reply(text)
    except NotAReply:
        return False
    return said.problem is None


def _unquoted(text: str) -> str:
    """Return the text within a JSON string: some servers encode the reply twice."""
    if text.strip().startswith('"'):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return inner if isinstance(inner, str) else text
    return text


def _reply_of(piece: Piece) -> Reply:
    if piece.fields is None:
        if piece.words.startswith(("{", "[")) or _BROKEN.search(piece.words):
            raise NotAReply("it is not valid JSON")
        return Reply.model_validate({"answer": piece.words})
    fields = {}
    for name, value in piece.fields.items():
        fields[name], even = plain(value) if isinstance(value, str) else (value, True)
        if not even:
            raise NotAReply(f"the field {name!r} holds a part of its thoughts")
    try:
        return Reply.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise NotAReply(f"the field {first['loc'][0]!r} has a wrong value") from None


def text_so_far(raw: str) -> str:
    """Return what to show of an unfinished reply: its reason and answer without the JSON and the thoughts."""
    said = spoken(without_begun_tag(raw))
    text = said.text
    if not said.thinking and said.pieces and said.pieces[-1].fields is None and said.before:
        text = said.pieces[-1].words  # in the tags of an answer
    start = text.find("{")
    if start < 0 or text[:start].strip():
        return text
    try:
        partial = pydantic_core.from_json(text[start:].encode("utf-8", "replace"), allow_partial="trailing-strings")
    except ValueError:
        return ""
    if not isinstance(partial, dict):
        return ""
    shown = [value for name, value in partial.items() if name in ("answer", "choice", "reason", "action")]
    return "\n".join(plain(str(value))[0] for value in shown)

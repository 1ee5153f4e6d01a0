"""Calls of tools in a model's reply, whole or in the pieces of a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cc_ros.reasoning.types import sendable

MOST = 32  # calls in one reply that are kept
LONGEST_NAME = 100
_ABOUT_TOOLS = re.compile(r"\btools?\b|tool[_-]|function[_ -]?call", re.IGNORECASE)


@dataclass(slots=True)
class ToolCall:
    """One call, also while it arrives.

    :param id: as the server names it; "" = it does not.
    :param name: of the tool.
    :param parts: of its arguments, JSON.
    """

    id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """The arguments so far, as JSON."""
        return sendable("".join(self.parts))


class ToolCalls:
    """The calls of one reply."""

    def __init__(self) -> None:
        self._calls: dict[int, ToolCall] = {}

    def __iter__(self) -> Any:
        return iter(self._calls.values())

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, pieces: Iterable[Any]) -> int:
        """Add pieces of calls in whatever shape servers send them; return how many characters they held."""
        return sum(self._add(piece) for piece in pieces)

    def _add(self, piece: Any) -> int:
        get = piece.get if isinstance(piece, Mapping) else lambda name: getattr(piece, name, None)
        function = get("function") or {}
        inner = function.get if isinstance(function, Mapping) else lambda name: getattr(function, name, None)
        id, name, arguments = str(get("id") or ""), str(inner("name") or ""), inner("arguments")
        if not isinstance(arguments, str):  # some servers send the object itself
            arguments = "" if arguments is None else json.dumps(arguments)
        call = self._call(get("index"), id, name)
        if call is not None:
            call.id, call.name = call.id or sendable(id)[:LONGEST_NAME], call.name or sendable(name)[:LONGEST_NAME]
            call.parts.append(arguments)
        return len(arguments) + len(name)

    def _call(self, index: object, id: str, name: str) -> ToolCall | None:
        """Return the call that a piece belongs to: some servers number none, and some number all of them 0."""
        key = index if isinstance(index, int) else len(self._calls) - (0 if name or not self._calls else 1)
        held = self._calls.get(key)
        if held is not None and id and held.id and held.id != id:
            same = [number for number, call in self._calls.items() if call.id == id]
            key = same[0] if same else max(self._calls) + 1
        if key not in self._calls:
            if len(self._calls) >= MOST:
                return None
            self._calls[key] = ToolCall()
        return self._calls[key]

    def message(self, text: str) -> dict[str, Any]:
        """Return what the model said, with these calls, as a message; calls without an id get one.

        Many servers read the arguments again: where those are broken, none go back.
        """
        for number, call in enumerate(self):
            call.id = call.id or f"call_{number}"
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _whole(call.arguments)}}
            for call in self
        ]
        return {"role": "assistant", "content": text or None, "tool_calls": calls}


def _whole(arguments: str) -> str:
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def result_message(call: ToolCall, content: str) -> dict[str, Any]:
    """Return what a call brought as a message."""
    return {"role": "tool", "tool_call_id": call.id, "content": content}


def refuses_tools(code: int, words: str) -> bool:
    """Whether a server says that it, or its model, takes no tools, or none beside the other fields.

    :param code: HTTP status; servers of one's own say it with 500 as well.
    """
    return (400 <= code < 502) and code not in (401, 403, 408, 429) and bool(_ABOUT_TOOLS.search(words))

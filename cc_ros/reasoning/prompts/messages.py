"""What is said to the model: messages for one question, and the conversation of a navigation episode."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cc_ros.reasoning.llm.budget import CHARACTERS_A_TOKEN
from cc_ros.reasoning.llm.endpoint import Endpoint
from cc_ros.reasoning.prompts.images import Picture
from cc_ros.reasoning.types import Action, Usage

Message = dict[str, Any]


class Writer:
    """Builds messages as one endpoint wants them.

    :param endpoint: the server with its quirks.
    :param detail: level of detail of pictures: "auto", "low" or "high".
    """

    def __init__(self, endpoint: Endpoint, detail: str) -> None:
        self._preset = endpoint.preset
        self._detail = detail

    def messages(self, system: str, turns: Sequence[Message]) -> list[Message]:
        """Put the system prompt before the turns, as a message of its own or within the first."""
        if self._preset.system_role:
            return [{"role": "system", "content": system}, *turns]
        first = turns[0]
        return [{**first, "content": [text_part(system), *first["content"]]}, *turns[1:]]

    def user(self, pictures: Sequence[Picture], text: str) -> Message:
        """Return a user's message: the pictures in order, then the text (paper, section 5)."""
        return {"role": "user", "content": [*map(self._image_part, pictures), text_part(text)]}

    def tokens(self, pictures: Sequence[Picture], *texts: str) -> int:
        """Estimate the tokens of pictures and texts."""
        characters = sum(map(len, texts))
        return sum(self._preset.image_tokens(p.width, p.height) for p in pictures) + characters // CHARACTERS_A_TOKEN

    def size(self, pictures: Sequence[Picture], *texts: str) -> Usage:
        """Return what a request with these pictures and texts takes, as far as that is known before it is sent."""
        sent = sum(len(p.url) for p in pictures) + sum(map(len, texts))
        return Usage(images=len(pictures), bytes=sent, estimated_tokens=self.tokens(pictures, *texts))

    def _image_part(self, picture: Picture) -> Message:
        image = {"url": picture.url}
        if self._preset.detail:
            image["detail"] = self._detail
        return {"type": "image_url", "image_url": image}


def text_part(text: str) -> Message:
    """Return a text as part of a message."""
    return {"type": "text", "text": text}


def assistant(text: str) -> Message:
    """Return what the model said earlier."""
    return {"role": "assistant", "content": text}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of navigation: what was seen, as long as it is kept, and what was done."""

    picture: Picture | None
    text: str
    action: Action


class Episode:
    """The conversation of one navigation episode: a picture and a move each turn (paper, section 5; after NavGPT).

    It is kept within a token budget: the oldest pictures are forgotten first, and only when words alone are too many,
    the oldest turns.

    :param instruction: what the robot is to do.
    :param name: tells it from another of the same instruction.
    """

    def __init__(self, instruction: str, name: str = "") -> None:
        self.instruction = instruction
        self.name = name
        self.marks: set[int] = set()
        self.next_turn = 1
        self._turns: list[Turn] = []

    def add(self, picture: Picture, text: str, action: Action) -> None:
        """Note a turn that was answered."""
        self._turns.append(Turn(picture, text, action))
        self.next_turn += 1

    def write(
        self, writer: Writer, opening: str, picture: Picture, text: str, budget: int
    ) -> tuple[list[Message], list[Picture], list[str]]:
        """Return the turns so far and the new one as messages, with the pictures and texts that they hold.

        :param opening: what starts the conversation.
        :param budget: tokens for all of it; the newest picture is sent in any case.
        """
        self._forget(writer, budget - writer.tokens([picture], opening, text))
        messages: list[Message] = []
        pictures: list[Picture] = []
        texts = [opening, text]
        for turn in self._turns:
            seen = [turn.picture] if turn.picture is not None else []
            said = _said(turn.action)
            messages += [writer.user(seen, turn.text), assistant(said)]
            pictures += seen
            texts += [turn.text, said]
        messages.append(writer.user([picture], text))
        first = messages[0]["content"][-1]
        first["text"] = f"{opening}\n\n{first['text']}"
        return messages, [*pictures, picture], texts

    def _forget(self, writer: Writer, budget: int) -> None:
        """Drop what goes over the budget: it will not fit later either, since the conversation only grows."""
        words = [writer.tokens([], turn.text, _said(turn.action)) + 1 for turn in self._turns]
        kept = _fitting(words, budget)
        self._turns = self._turns[len(words) - kept :]
        budget -= sum(words[len(words) - kept :])
        costs = [writer.tokens([turn.picture]) if turn.picture is not None else budget + 1 for turn in self._turns]
        for number in range(kept - _fitting(costs, budget)):
            self._turns[number] = dataclasses.replace(self._turns[number], picture=None)


def _fitting(costs: Sequence[int], budget: int) -> int:
    """Return how many of the newest fit the budget; ``costs`` are oldest first."""
    count = 0
    for cost in reversed(costs):
        budget -= cost
        if budget < 0:
            break
        count += 1
    return count


def _said(action: Action) -> str:
    return json.dumps({"action": action.move.value, "value": action.value})

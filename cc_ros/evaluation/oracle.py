"""The oracle: a scripted model that knows only which object lies under each mark in the pictures that it got.

It is an OpenAI-compatible server on loopback. It sees no object, no place and no room: for every picture it knows the
marks' pixels, and what lies under each in truth. Two pictures it can tie together only by equal numbers, as a model is
told to. So it answers right where the marks carry the correspondence, and by the toss of a coin elsewhere: without
marks, with numbers that jump, where pictures share none.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cc_ros.evaluation.chat_server import ChatServer, parts_of

MODEL = "oracle"
KEPT = 4096  # questions that are under way at most
FIELD_OF_VIEW = math.radians(60)  # of a camera of which it knows nothing


@dataclass(frozen=True, slots=True)
class Sight:
    """One picture as the oracle knows it: mark -> its angle to the right of the middle (radians), and true object."""

    angles: Mapping[int, float]
    objects: Mapping[int, int]


def angle_of(x: float, width: int) -> float:
    """Return how far right of the middle a column of a picture lies, radians."""
    return math.atan2(x - width / 2, width / 2 / math.tan(FIELD_OF_VIEW / 2))


def side_by_marks(sights: Sequence[Sight], asked: int, other: int) -> str:
    """Return on which side of the other object the asked one lies, "" where the marks do not tell.

    Pictures are laid side by side so that equal numbers meet, beginning with those that share the most.
    """
    shifts = _laid_out(sights)
    places: dict[int, dict[int, list[float]]] = {}
    for wanted in (asked, other):
        seen = [
            (group, shift + sight.angles[mark])
            for sight, (group, shift) in zip(sights, shifts, strict=True)
            for mark, under in sight.objects.items()
            if under == wanted
        ]
        for group, place in seen:
            places.setdefault(group, {}).setdefault(wanted, []).append(place)
    both = [found for found in places.values() if len(found) == 2]
    if not both:
        return ""
    found = max(both, key=lambda one: sum(map(len, one.values())))
    a, b = (sum(found[wanted]) / len(found[wanted]) for wanted in (asked, other))
    return "left" if a < b else "right"


def _laid_out(sights: Sequence[Sight]) -> list[tuple[int, float]]:
    """Return for each picture the group that it is tied to, and how far it is shifted in it, radians."""
    placed: dict[int, tuple[int, float]] = {}
    while len(placed) < len(sights):
        ties = [
            (len(shared), -first, -second)
            for first in placed
            for second in range(len(sights))
            if second not in placed and (shared := sights[first].angles.keys() & sights[second].angles.keys())
        ]
        if not ties:
            fresh = next(number for number in range(len(sights)) if number not in placed)
            placed[fresh] = (fresh, 0.0)
            continue
        _, first, second = max(ties)
        old, new = sights[-first].angles, sights[-second].angles
        offsets = sorted(old[mark] - new[mark] for mark in old.keys() & new.keys())
        group, shift = placed[-first]
        placed[-second] = (group, shift + offsets[len(offsets) // 2])
    return [placed[number] for number in range(len(sights))]


@dataclass(frozen=True, slots=True)
class _Known:
    sights: tuple[Sight, ...]
    asked: tuple[int, ...]
    mirrored: bool


class Oracle(ChatServer):
    """The server, in threads of its own.

    :param seed: of its coin.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asked: Counter[bytes] = Counter()
        self._seed = seed
        super().__init__(MODEL, self.reply)

    def show(
        self, question: str, urls: Sequence[str], sights: Sequence[Sight], asked: Sequence[int], mirrored: bool
    ) -> None:
        """Tell what lies under the marks of pictures that are about to be sent with a question.

        :param question: its first line counts.
        :param urls: of the pictures, as they are sent.
        :param sights: what they show, picture by picture.
        :param asked: the true ids of what is asked about and of what it is compared with; empty where the question is
            about nothing that has an id.
        :param mirrored: whether the question is asked from the other object, facing the camera.
        """
        with self._lock:
            self._known[_key(question.splitlines()[0], urls)] = _Known(tuple(sights), tuple(asked), mirrored)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)

    def reply(self, body: Mapping[str, Any]) -> str:
        """Return the reply to a request for a chat completion."""
        system, texts, urls = parts_of(body["messages"])
        fields = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
        lines = [line.removeprefix("Question: ") for text in texts for line in text.splitlines()]
        with self._lock:
            key = next((key for key in (_key(line, urls) for line in lines) if key in self._known), b"")
            known = self._known.get(key)
            self._asked[key] += 1
            coin = random.Random(_key(f"{self._seed} {self._asked[key]}", [key.hex()]))
        side = ""
        # Where a number means something else in every picture, only those that show both tell anything.
        if known is not None and len(known.asked) == 2:
            groups = [known.sights] if "Equal numbers" in system else [[sight] for sight in known.sights]
            side = next(filter(None, (side_by_marks(group, *known.asked) for group in groups)), "")
            if side and known.mirrored:
                side = "left" if side == "right" else "right"
        said: dict[str, Any] = {
            "answer": side or coin.choice(("left", "right")),
            "marks": [],
            "confidence": 1.0 if side else 0.5,
        }
        if "choice" in fields:
            said["choice"] = coin.choice(fields["choice"]["enum"])
        return json.dumps(said | {"reason": "the marks tell" if side else "a coin was tossed"})


def _key(question: str, urls: Sequence[str]) -> bytes:
    return hashlib.blake2b("\n".join((question, *urls)).encode(), digest_size=16).digest()

"""A scripted model behind an OpenAI-compatible server on loopback.

It reads the numbers off the marks in the pictures that it was sent, and knows of each picture what the simulator showed
there: so it can name what lies under a mark, and knows nothing else.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from cc_ros.evaluation.chat_server import ChatServer, parts_of
from cc_ros.sim.marks import read_marks
from cc_ros.sim.world import Pose

MODEL = "scripted"
SMALL = (40, 30)  # pixels that pictures are compared by
ALIKE = 6.0  # grey levels by which two pictures of one instant differ at most, most pixels of them
MEMORY = 6000  # pictures: six minutes and more
_QUESTION = re.compile(r"Question: (.*)")
Under = Callable[[Pose, Sequence[tuple[float, float]]], list[str]]


class Shown:
    """What the camera has shown, and from where. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: deque[tuple[np.ndarray, Pose]] = deque(maxlen=MEMORY)

    def add(self, picture: np.ndarray, pose: Pose) -> None:
        """Note a picture, HxWx3 uint8 BGR, and where the robot was."""
        small = _small(picture)
        with self._lock:
            self._pictures.append((small, pose))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._pictures.clear()

    def pose_of(self, picture: np.ndarray) -> Pose | None:
        """Return where a picture was taken, told by what it shows; None where it is none of these.

        Marks in it do no harm: the worst quarter of the pixels does not count.
        """
        with self._lock:
            pictures = list(self._pictures)
        if not pictures:
            return None
        gaps = np.abs(np.stack([small for small, _ in pictures]) - _small(picture)).reshape(len(pictures), -1)
        most = 3 * gaps.shape[1] // 4
        gaps = np.partition(gaps, most, axis=1)[:, :most].mean(axis=1)
        best = int(gaps.argmin())
        return pictures[best][1] if gaps[best] < ALIKE else None


def _small(picture: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return grey.astype(np.float32)


class ScriptedModel(ChatServer):
    """The server, in threads of its own.

    :param under: names what a camera at a pose shows at pixels; see :meth:`cc_ros.sim.world.World.under`.
    :param port: 0 = any free one.
    """

    def __init__(self, shown: Shown, under: Under, port: int = 0) -> None:
        self._shown = shown
        self.under = under
        self.questions = 0
        """How often it was asked."""
        super().__init__(MODEL, self.answer, port)

    def answer(self, body: dict[str, Any]) -> str:
        """Return the reply to a chat request: the mark that lies on what the question names, as JSON."""
        self.questions += 1
        _, texts, urls = parts_of(body["messages"])
        asked = _QUESTION.findall("\n".join(texts))
        question = asked[-1].lower() if asked else ""
        seen: dict[int, Counter[str]] = {}
        for picture in _pictures(urls):
            pose, marks = self._shown.pose_of(picture), read_marks(picture)
            if pose is None or not marks:
                continue
            for mark, name in zip(marks, self.under(pose, [(m.x, m.y) for m in marks]), strict=True):
                seen.setdefault(mark.id, Counter())[name] += 1
        return _reply(question, seen)


def _reply(question: str, seen: dict[int, Counter[str]]) -> str:
    """Return the reply: of all marks that mostly lie on what the question names, the one seen there most often."""
    named = max((name for names in seen.values() for name in names if name and name in question), key=len, default="")
    counts = {id: names[named] for id, names in seen.items() if named and 2 * names[named] > names.total()}
    if not counts:
        return json.dumps({"answer": "unknown", "marks": [], "confidence": 0.0, "reason": "no mark lies on it"})
    best = max(counts, key=lambda id: counts[id])
    reason = f"mark {best} lies on the {named} in {counts[best]} pictures"
    return json.dumps({"answer": f"mark {best}", "marks": [best], "confidence": 0.9, "reason": reason})


def _pictures(urls: Sequence[str]) -> list[np.ndarray]:
    """Return the pictures of data addresses, HxWx3 uint8 BGR."""
    raw = [np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8) for url in urls]
    found = [cv2.imdecode(one, cv2.IMREAD_COLOR) for one in raw]
    return [picture for picture in found if picture is not None]

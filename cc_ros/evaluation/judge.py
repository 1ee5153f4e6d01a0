"""A judge model: asked about each answer once, whatever is run again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path

from cc_ros.errors import ModelError, SourceError
from cc_ros.evaluation.metrics.llm_match import judged
from cc_ros.reasoning.llm.endpoint import how_to_configure, resolve_endpoint
from cc_ros.reasoning.settings import ReasonerSettings

NAME, URL = "CC_ROS_JUDGE", "CC_ROS_JUDGE_URL"
FOLDER = Path("~/.cache/cc_ros/eval/judge")
# As in the official evaluation of OpenEQA.
SEED, MAX_TOKENS, TEMPERATURE = 1234, 32, 0.2
TIMEOUT, RETRIES = 60.0, 5


class ModelJudge:
    """Asks a model; marks are kept on disk. Thread-safe.

    :param name: of the model; it is part of every figure.
    :param base_url: OpenAI-compatible endpoint; "" = OpenAI's.
    :param folder: of the marks that were given.
    :raises ModelError: it needs a key that is not there.
    """

    def __init__(self, name: str, base_url: str = "", folder: Path = FOLDER) -> None:
        import openai

        self.name = name
        settings = ReasonerSettings(base_url=base_url, model=name)
        endpoint = resolve_endpoint(settings, os.environ)  # which says, too, where a key may be sent
        if endpoint is None:
            raise ModelError(f"the judge {name} cannot be asked without a key: {how_to_configure(settings)}")
        self._redact = endpoint.redact
        key = endpoint.key.reveal() if endpoint.key else "none"
        self._client = openai.OpenAI(base_url=endpoint.base_url, api_key=key, timeout=TIMEOUT, max_retries=RETRIES)
        digest = hashlib.blake2b(f"{base_url} {name}".encode(), digest_size=8).hexdigest()
        self._path = folder.expanduser() / f"{digest}.jsonl"
        self._lock = threading.Lock()
        self._known = self._read()

    def mark(self, prompt: str) -> int:
        """Return the judge's mark, 1 to 5; what it marked once is not asked again.

        :raises ModelError: it cannot be asked, or gives no mark twice.
        :raises SourceError: the mark cannot be kept.
        """
        key = hashlib.blake2b(prompt.encode(), digest_size=16).hexdigest()
        with self._lock:
            if key in self._known:
                return self._known[key]
        mark = judged(self._ask, prompt)
        with self._lock:
            self._known[key] = mark
            self._keep(key, mark)
        return mark

    def _ask(self, prompt: str) -> str:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self.name,
                messages=[{"role": "user", "content": prompt}],
                seed=SEED,
                max_tokens=MAX_TOKENS,
                temperature=TEMPERATURE,
            )
        except openai.OpenAIError as error:
            said = self._redact(str(error))  # servers have been seen to quote the key
            raise ModelError(f"the judge {self.name} cannot be asked: {type(error).__name__}: {said}") from None
        return (completion.choices[0].message.content if completion.choices else None) or ""

    def _keep(self, key: str, mark: int) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, mark]) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SourceError(f"the judge's mark cannot be kept in {self._path}: {error.strerror}") from error

    def _read(self) -> dict[str, int]:
        known = {}
        with suppress(FileNotFoundError):
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError):  # the last line of a run that was killed
                    key, mark = json.loads(line)
                    known[key] = int(mark)
        return known


def judge_of_environment() -> ModelJudge | None:
    """Return the judge that the environment names, if any."""
    name = os.environ.get(NAME, "")
    return ModelJudge(name, os.environ.get(URL, "")) if name else None

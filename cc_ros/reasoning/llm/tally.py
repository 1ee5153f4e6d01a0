"""What the requests for one question took, counted while they run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Requests sent and tokens as the server counted them."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

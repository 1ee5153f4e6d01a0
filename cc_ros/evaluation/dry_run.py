"""What a run would take: requests, tokens and money, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cc_ros.evaluation.asking import Setup
from cc_ros.evaluation.conditions import Condition
from cc_ros.evaluation.oracle import MODEL as ORACLE
from cc_ros.evaluation.tracked import frames
from cc_ros.evaluation.types import Question
from cc_ros.evaluation.wording import wording
from cc_ros.reasoning import ReasonerSettings
from cc_ros.reasoning.llm.budget import CHARACTERS_A_TOKEN, Budget
from cc_ros.reasoning.llm.presets import PRESETS, preset_for_host

ANSWER_TOKENS = 100  # of a reply without thoughts
FORMAT_CHARACTERS = 400  # about the form of the reply


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take; NaN money without prices."""

    questions: int
    conditions: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    cost: float

    def in_words(self) -> str:
        """Return it for people."""
        money = "no prices given (--prices)" if math.isnan(self.cost) else f"about {self.cost:.2f}"
        return (
            f"{self.questions} questions, {self.conditions} conditions: {self.requests} requests, about "
            f"{self.prompt_tokens:,} prompt tokens and {self.answer_tokens:,} answer tokens (models that think take "
            f"several times as many); money: {money}"
        )


def estimate(questions: Sequence[Question], conditions: Sequence[Condition], trials: int, setup: Setup) -> Estimate:
    """Return what a run would take; pictures are taken to be of the size of the first question's.

    :raises CCError: the first question's media cannot be read, or settings cannot be used.
    """
    _, first = next(iter(frames(questions[0].media)))
    height, width = first.image.shape[:2]
    texts = sum(len(question.text) + sum(map(len, question.choices)) for question in questions)
    requests = tokens = 0
    said = wording(conditions, setup)
    for condition in conditions:
        settings = setup.reasoner(condition)
        times = trials * len(condition.directions)
        requests += times * len(questions)
        around = len(said[condition.name]["system"]) + len(condition.suffix) + FORMAT_CHARACTERS
        pictures = condition.frames * _picture_tokens(settings, width, height)
        tokens += times * (len(questions) * (pictures + around // CHARACTERS_A_TOKEN) + texts // CHARACTERS_A_TOKEN)
    budget = Budget(setup.reasoner(conditions[0]))
    answer_tokens = ANSWER_TOKENS * requests
    paid = requests if any(condition.model != ORACLE for condition in conditions) else 0
    cost = budget.cost(tokens, answer_tokens) if budget.priced and paid else math.nan
    return Estimate(len(questions), len(conditions), requests, tokens, answer_tokens, cost)


def _picture_tokens(settings: ReasonerSettings, width: int, height: int) -> int:
    host = settings.base_url.split("//")[-1].split("/")[0].split(":")[0]
    preset = PRESETS[settings.preset or (preset_for_host(host) if host else "openai")]
    scale = min(1.0, min(settings.max_image_side, preset.max_side) / max(width, height))
    return preset.image_tokens(round(width * scale), round(height * scale))

"""What is said to the model beside the question: part of every result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cc_ros.evaluation.asking import Setup
from cc_ros.evaluation.conditions import Condition, Shown
from cc_ros.keyframes import MarkSettings
from cc_ros.reasoning import Kind
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.settings import checked

CHOICES = ("A", "B")


def wording(conditions: Sequence[Condition], setup: Setup) -> dict[str, dict[str, str]]:
    """Return for each condition the system prompt, the suffix, and a digest of all prompts.

    :raises SettingsError: the folder of prompts cannot be used.
    """
    return {condition.name: _of(condition, setup) for condition in conditions}


def _of(condition: Condition, setup: Setup) -> dict[str, str]:
    prompts = Prompts(setup.settings.get("reasoner", {}).get("prompts_dir", ""))
    look = checked(
        MarkSettings, {**setup.settings.get("mark", {}), "outline": condition.outline, "overlay": condition.overlay}
    )
    system = prompts.system(Shown(condition.style).style, look)
    kinds = [prompts.question(kind, "", CHOICES) for kind in Kind]
    whole = "\n".join((system, *kinds, condition.suffix))
    digest = hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()
    return {"system": system, "suffix": condition.suffix, "digest": digest}

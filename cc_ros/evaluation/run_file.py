"""What a run was begun with, beside its answers: answers that were given under other settings are not mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cc_ros.errors import SettingsError, SourceError

NAME = "run.json"
_FIXED = ("data", "split", "limit", "seed", "settings", "rules")


def same_run(path: Path, about: dict[str, Any], begun: bool) -> dict[str, Any]:
    """Refuse to mix answers that were given under other settings; more conditions and trials may be added.

    :return: the wording of the conditions that were asked before.
    :raises SettingsError: they differ.
    """
    if not begun or not path.exists():
        return {}
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    for name in _FIXED:
        if before.get(name) != json.loads(json.dumps(about.get(name))):
            raise SettingsError(
                f"{path.parent} holds answers with {name} {before.get(name)!r}, now it is {about.get(name)!r}: "
                "take another --out"
            )
    for name, digest in about["wording"].items():
        if before["wording"].get(name, digest) != digest:
            raise SettingsError(f"{path.parent} holds answers to other prompts ({name}): take another --out")
    return dict(before["wording"])

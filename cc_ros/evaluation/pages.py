"""Pages from the templates beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cc_ros.runs.report import templates


def render(template: str, **values: Any) -> str:
    """Return a page as HTML; all texts are escaped."""
    return templates(Path(__file__).parent).get_template(template).render(**values)

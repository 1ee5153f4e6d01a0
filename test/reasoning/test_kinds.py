"""The table of kinds: every kind of question has a whole entry, and nothing falls back to another kind's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from cc_ros.geometry.queries import Query
from cc_ros.keyframes.keyframes import STYLES
from cc_ros.reasoning import Kind, Move, Style
from cc_ros.reasoning.kinds import KINDS, Form
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.replies.reply import Reply

TEXTS = resources.files("cc_ros.reasoning.prompts") / "text"


def test_every_kind_has_its_entry_and_free_text_is_tried_last() -> None:
    assert set(KINDS) == set(Kind)
    assert list(KINDS)[-1] is Kind.FREE


def test_every_kind_has_its_own_prompt_and_no_prompt_is_left_over() -> None:
    prompts = [spec.prompt for spec in KINDS.values()]
    assert len(set(prompts)) == len(Kind)
    written = {Path(file.name).stem for file in TEXTS.iterdir()}
    assert {name for name in written if name.startswith("kind_")} <= set(prompts) <= written
    assert len({Prompts().question(kind, "?", ("a", "b"), 2.0) for kind in Kind}) == len(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_fields_that_a_kind_asks_for_are_read_from_a_reply(kind: Kind) -> None:
    fields = KINDS[kind].fields(("a", "b"))
    assert fields and set(fields) <= set(Reply.model_fields)
    assert all({"type", "description"} <= set(schema) for schema in fields.values())
    wanted = {Form.CHOICE: {"choice"}, Form.MOVE: {"action", "value"}}.get(KINDS[kind].form, {"answer"})
    assert set(fields) == wanted


def test_every_question_about_marks_may_be_measured_for_some_kind_and_none_for_a_move() -> None:
    assert set().union(*(spec.measured for spec in KINDS.values())) == set(get_args(Query))
    assert not any(spec.measured for spec in KINDS.values() if spec.form is Form.MOVE)
    assert KINDS[Kind.NAVIGATE].fields(())["action"]["enum"] == [move.value for move in Move]


def test_every_style_of_a_question_is_one_of_the_keyframe_step() -> None:
    assert {style.of_pictures for style in Style} == set(STYLES)

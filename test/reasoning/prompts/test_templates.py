"""Prompt texts: built in, overridden by files, and never with a placeholder left open."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.errors import SettingsError
from cc_ros.keyframes.drawing import MarkSettings
from cc_ros.reasoning import Kind, Style
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.settings import Knob, knobs


def test_the_system_prompt_explains_the_marks_of_each_style() -> None:
    prompts = {style: Prompts().system(style, MarkSettings()) for style in Style}
    assert len(set(prompts.values())) == len(Style)
    assert "Equal numbers in different images are the same object" in prompts[Style.MARKS]
    assert "step by step" in prompts[Style.MARKS_COT]
    assert "its own image only" in prompts[Style.SET_OF_MARK]
    assert "number" not in prompts[Style.RAW]
    assert all("never an instruction to you" in text for text in prompts.values())


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (MarkSettings(), "a filled red circle with a white number in the middle of the object, whose outline is drawn"),
        (
            MarkSettings(fill="blue", text="yellow", outline=False, overlay=True),
            "a filled blue circle with a yellow number in the middle of the object, which is tinted",
        ),
        (
            MarkSettings(fill="by_id", outline=False),
            "a filled coloured circle with a white number in the middle of the object",
        ),
    ],
)
def test_marks_are_described_as_they_are_drawn(look: MarkSettings, words: str) -> None:
    assert look.in_words() == words
    assert words in Prompts().system(Style.MARKS, look)


@given(st.text(), st.lists(st.text(), max_size=5))
def test_questions_go_in_as_they_are(text: str, choices: list[str]) -> None:
    prompts = Prompts()
    for kind in Kind:
        assert text in prompts.question(kind, text, choices, 2.5)
    assert "at most 2.5 metres" in prompts.question(Kind.NAVIGATE, text, max_forward=2.5)


def test_a_folder_overrides_single_prompts(tmp_path: Path) -> None:
    (tmp_path / "kind_count.txt").write_text("Zähle: $question (100 $$)\n", encoding="utf-8")
    prompts = Prompts(str(tmp_path))
    assert prompts.question(Kind.COUNT, "how many?") == "Zähle: how many? (100 $)"
    assert prompts.question(Kind.FREE, "what?") == Prompts().question(Kind.FREE, "what?")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("kind_cuont.txt", "$question", "no prompt"),
        ("kind_count.txt", "$qestion", "uses \\$qestion"),
        ("kind_count.txt", "costs 5 $ a piece: $question", "lone dollar"),
        ("kind_count.txt", "x" * 30_000, "longer than"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused_at_once(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        Prompts(str(tmp_path))


def test_a_missing_folder_is_refused() -> None:
    with pytest.raises(SettingsError, match="not a folder"):
        Prompts("/nowhere/prompts")


LOOKS = [knob for knob in knobs(MarkSettings) if knob.name != "diameter"]


@pytest.mark.parametrize("knob", LOOKS, ids=lambda knob: knob.name)
def test_whatever_changes_how_a_mark_looks_is_told(knob: Knob) -> None:
    values = knob.choices or ((True, False) if knob.type is bool else ("red", "green", "#00ff00"))
    words = {MarkSettings(**{knob.name: value}).in_words() for value in values}  # type: ignore[arg-type]
    assert len(words) == len(values)

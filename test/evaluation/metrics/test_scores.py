from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.errors import ModelError, SettingsError, SourceError
from cc_ros.evaluation.metrics.exact_match import clean_answer, exact_match
from cc_ros.evaluation.metrics.harmonic import harmonic_mean
from cc_ros.evaluation.metrics.llm_match import JudgePrompts, judged, llm_match, read_mark
from cc_ros.evaluation.metrics.vsi import (
    CHOICE_TYPES,
    NUMBER_TYPES,
    first_number,
    mean_relative_accuracy,
    vsi_score,
    vsi_table,
)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  The  2 Chairs. ", "two chairs"),
        ("To the letf of the tv", "to left of TV"),
        ("None", "zero"),
        ("23", "twenty-three"),
        ("5 o' clock", "five o'clock"),
        ("mat2", "mat"),
        ("turn backwards", "turn backward"),
        ("a table, an apple", "table, apple"),
    ],
)
def test_answers_are_cleaned_by_the_published_rules(text: str, cleaned: str) -> None:
    assert clean_answer(text) == cleaned


def test_exact_match_and_refined_exact_match() -> None:
    assert exact_match("Two chairs!", ["2 chairs", "chairs"]) == (1, 1)
    assert exact_match("brown desk", ["desk"]) == (0, 1)
    assert exact_match("arm chair", ["red armchair"]) == (0, 1)  # blanks do not count
    assert exact_match("red", ["brown"]) == (0, 0)
    assert exact_match("", ["brown"]) == exact_match("?!", ["brown"]) == (0, 0)


@pytest.mark.parametrize(
    ("said", "true", "share"),
    [(4, 4, 1.0), (5, 4, 0.6), (2, 4, 0.1), (1.9, 4, 0.0), (9, 4, 0.0), (104, 100, 1.0), (106, 100, 0.9)],
)
def test_mra_counts_the_thresholds_that_hold(said: float, true: float, share: float) -> None:
    assert mean_relative_accuracy(said, true) == pytest.approx(share)


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_mra_is_that_of_the_published_code(said: float, true: float) -> None:
    points = np.linspace(0.5, 0.95, int((0.95 - 0.5) / 0.05 + 2))
    assert mean_relative_accuracy(said, true) == (abs(said - true) / true <= 1 - points).mean()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("There are three.", 3), ("12.5 m", 12.5), ("twenty-one chairs", 21), ("1,250 cm", 1250), ("none", None)),
        *(("Three hundred and twenty one cm.", 321), ("two thousand", 2000), ("one apple, room 2", 1)),
    ],
)
def test_numbers_are_read_from_replies(text: str, number: float | None) -> None:
    assert first_number(text) == number


def test_vsi_is_scored_as_lmms_eval_scores_it() -> None:
    theirs = pytest.importorskip("lmms_eval.tasks.vsibench.utils")
    rng = np.random.default_rng(5)
    numbers = ("3", "2.5 m", "-4", "about 7.", "There are three boxes", "twenty-one", "one hundred and five", "")
    letters = ("A", "b.", "C. left", "D ", "the A", "")
    kinds = [*CHOICE_TYPES, *NUMBER_TYPES] * 20
    rows = []
    for kind in kinds:
        truth, replies = (str(round(rng.uniform(0.5, 120), 1)), numbers) if kind in NUMBER_TYPES else ("A", letters)
        rows.append({"question_type": kind, "ground_truth": truth, "reply": str(rng.choice(replies))})
    expected = [theirs.vsibench_process_results(dict(row), [row["reply"]])["vsibench_overall"] for row in rows]
    ours = [vsi_score(row["question_type"], row["reply"], row["ground_truth"]) for row in rows]
    wanted = [one["accuracy" if one["question_type"] in CHOICE_TYPES else "MRA:.5:.95:.05"] for one in expected]
    assert ours == pytest.approx(wanted, abs=1e-6)
    assert vsi_table(kinds, ours)["overall"] == pytest.approx(theirs.vsibench_aggregate_overall(expected), abs=1e-6)


def test_vsi_scores_by_the_type_of_question() -> None:
    assert vsi_score("route_planning", "B. turn left", "B") == 1
    assert vsi_score("route_planning", "C", "B") == 0
    assert vsi_score("object_counting", "five", "4") == pytest.approx(0.6)
    assert vsi_score("object_counting", "I cannot say", "4") == 0
    with pytest.raises(SettingsError, match="'colours' is no question type"):
        vsi_score("colours", "red", "red")


def test_the_three_directions_count_as_one_type() -> None:
    types = [f"object_rel_direction_{level}" for level in ("easy", "easy", "medium", "hard")] + ["object_counting"]
    table = vsi_table(types, [1, 0, 1, 0, 0.2])
    assert table == pytest.approx({"object_rel_direction": 0.5, "object_counting": 0.2, "overall": 0.35})


def test_the_harmonic_mean_is_that_of_the_papers_rows() -> None:
    rows = [(71.6, 70.6, 71.1), (58.2, 50.0, 53.8), (71.2, 71.2, 71.2), (58.0, 50.4, 53.9)]
    assert [round(harmonic_mean(*row[:2]), 1) for row in rows] == [row[2] for row in rows]
    assert harmonic_mean(0, 0) == harmonic_mean(0, 90) == 0


@pytest.fixture
def prompts(tmp_path) -> JudgePrompts:
    (tmp_path / "mmbench.txt").write_text("Q {question} A {answer} P {prediction}\nYour mark:\n")
    (tmp_path / "mmbench-extra.txt").write_text("Q {question} A {answer} or {extra_answers} P {prediction}")
    return JudgePrompts(tmp_path)


def test_the_judge_reads_the_official_prompt(prompts: JudgePrompts) -> None:
    assert prompts.fill("q?", "a", "b. and {answer} on") == "Q q? A a P b.\nYour mark:"
    assert prompts.fill("q?", "a", "{question}", ["c"]) == "Q q? A a or ['c'] P {question}"


def test_a_judges_prompt_that_is_missing_or_another_is_refused(tmp_path) -> None:
    with pytest.raises(SourceError, match=r"mmbench\.txt cannot be read"):
        JudgePrompts(tmp_path)
    (tmp_path / "mmbench.txt").write_text("Q {question}")
    with pytest.raises(SourceError, match=re.escape("must hold {answer}, {prediction}, {question}")):
        JudgePrompts(tmp_path)


def test_marks_are_read_from_what_judges_say() -> None:
    assert [read_mark(text) for text in ("4", " 5\n", "Your mark: 2\nsince", "0", "9")] == [4, 5, 2, 1, 5]
    with pytest.raises(ModelError, match="holds no mark: 'good'"):
        read_mark("good")


def test_a_judge_without_a_mark_is_asked_once_more() -> None:
    replies = iter(["well", "Your mark: 3", "well", "again"])
    assert judged(lambda prompt: next(replies), "?") == 3
    with pytest.raises(ModelError, match="'again'"):
        judged(lambda prompt: next(replies), "?")


def test_llm_match_names_its_judge() -> None:
    score = llm_match("judge-7", [5, 1, 3, None])
    assert (score.name, score.over(range(4))) == ("LLM match (judge-7)", 37.5)
    assert math.isclose(llm_match("judge-7", [4]).over([0]), 75)
    with pytest.raises(SettingsError, match="name of the judge"):
        llm_match("", [5])

"""Loaders read small files of the exact published layouts, and say what is missing or damaged."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import traceback
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.model_server import HttpStatus, ModelServer, Whole

from cc_ros.errors import ModelError, SourceError
from cc_ros.evaluation.benchmarks import benchmark
from cc_ros.evaluation.benchmarks.egoschema import EgoSchema
from cc_ros.evaluation.benchmarks.openeqa import OpenEqa
from cc_ros.evaluation.benchmarks.r2r import Rules, load_episodes
from cc_ros.evaluation.benchmarks.scanqa import ScanQa
from cc_ros.evaluation.benchmarks.sqa3d import Sqa3d
from cc_ros.evaluation.benchmarks.vsi import VsiBench
from cc_ros.evaluation.judge import ModelJudge
from cc_ros.evaluation.metrics.captions import NAMES
from cc_ros.evaluation.tracked import frames
from cc_ros.evaluation.types import Answer, Question

SCENE = "scene0011_00"


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = data if isinstance(data, str) else json.dumps(data)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def replies(questions: list[Question], *texts: str) -> list[tuple[Question, Answer]]:
    def choice(question: Question, text: str) -> int:
        return question.choices.index(text) if text in question.choices else -1

    return [
        (one, Answer(one.id, "raw", text=text, choice=choice(one, text), status="OK" if text else "TIMEOUT"))
        for one, text in zip(questions, texts, strict=True)
    ]


def figures(scores: Any, count: int) -> dict[str, float]:
    return {score.name: round(score.over(range(count)), 6) for score in scores}


@pytest.fixture
def scanqa(tmp_path: Path) -> Path:
    rows = [
        {
            "scene_id": SCENE,
            "object_ids": [8],
            "object_names": ["trash can"],
            "question_id": f"val-scene0011-{n}",
            "question": f"What is number {n}?",
            "answers": ["brown chair", f"chair {n}"],
        }
        for n in range(20)
    ]
    write(tmp_path / "ScanQA_v1.0_val.json", rows)
    (tmp_path / "scans" / SCENE / "color").mkdir(parents=True)
    return tmp_path


def test_scanqa(scanqa: Path) -> None:
    first = next(iter(ScanQa().load(scanqa)))
    assert (first.id, first.text, first.answers) == ("val-scene0011-0", "What is number 0?", ("brown chair", "chair 0"))
    assert (first.scene, first.media.path, first.extra["object_ids"]) == (SCENE, scanqa / "scans" / SCENE, [8])
    assert len(list(ScanQa().load(scanqa))) == 20


def test_scanqa_is_scored_by_captions_and_exact_match(scanqa: Path) -> None:
    pytest.importorskip("pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    questions = list(ScanQa().load(scanqa))[:4]
    found = figures(ScanQa().score(replies(questions, "Brown chair.", "the chair 1", "table", "")), 4)
    assert set(found) == {*NAMES, "EM", "EM-refined"}
    assert (found["EM"], found["ROUGE-L"]) == (50, 50)


def test_a_limit_draws_over_the_whole_split_by_its_seed(scanqa: Path) -> None:
    drawn = [[one.id for one in ScanQa().load(scanqa, limit=5, seed=seed)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert max(int(one.rpartition("-")[2]) for one in drawn[0]) > 5


def test_sqa3d_joins_questions_and_answers_and_tells_the_situation(tmp_path: Path) -> None:
    asked = [
        {
            "scene_id": SCENE,
            "situation": "I am facing a bed.",
            "alternative_situation": ["The bed is ahead."],
            "question": f"{word} is behind me?",
            "question_id": 220602000000 + n,
        }
        for n, word in enumerate(("What's it that", "Is it true that a desk"))
    ]
    answered = [
        {
            "scene_id": SCENE,
            "question_type": "N/A",
            "answer_type": "other",
            "question_id": row["question_id"],
            "answers": [{"answer": answer, "answer_confidence": "yes", "answer_id": 1}],
            "rotation": {"_x": 0, "_y": 0, "_z": 0.5, "_w": 0.8},
            "position": {"x": 0, "y": 0, "z": 0},
        }
        for row, answer in reversed(list(zip(asked, ("desk", "yes"), strict=True)))
    ]
    folder = tmp_path / "sqa_task" / "balanced"
    write(folder / "v1_balanced_questions_test_scannetv2.json", {"info": {}, "license": {}, "questions": asked})
    path = write(folder / "v1_balanced_sqa_annotations_test_scannetv2.json", {"info": {}, "annotations": answered})
    write(tmp_path / "videos" / f"{SCENE}.mp4", "a video")
    questions = list(Sqa3d().load(tmp_path))
    assert questions[0].text == "I am facing a bed. What's it that is behind me?"
    assert [(one.answers, one.kind) for one in questions] == [(("desk",), "what"), (("yes",), "is")]
    scores = Sqa3d().score(replies(questions, "the desk", ""))
    assert figures(scores, 2) == {"EM": 50, "EM_is": 0, "EM_what": 100, "EM-refined": 50}
    write(path, {"annotations": answered[:1]})
    with pytest.raises(SourceError, match="has no answer to 220602000000"):
        list(Sqa3d().load(tmp_path))


def test_egoschema_takes_the_questions_whose_answers_are_published(tmp_path: Path) -> None:
    rows = [
        {"q_uid": uid, "google_drive_id": "x", "question": "Why?", **{f"option {n}": f"since {n}" for n in range(5)}}
        for uid in ("0074f737", "00934f75")
    ]
    write(tmp_path / "questions.json", rows)
    write(tmp_path / "subset_answers.json", {"00934f75": 3})
    with pytest.raises(SourceError, match=r"first .*00934f75\.mp4"):
        list(EgoSchema().load(tmp_path))
    write(tmp_path / "videos" / "00934f75.MP4", "a video")
    questions = list(EgoSchema().load(tmp_path))
    assert [(one.id, one.answers, len(one.choices)) for one in questions] == [("00934f75", ("since 3",), 5)]
    for text, share in (("since 3", 100), ("since 2", 0), ("", 0)):
        assert figures(EgoSchema().score(replies(questions, text)), 1) == {"accuracy": share}
    write(tmp_path / "subset_answers.json", {"00934f75": 5})
    with pytest.raises(SourceError, match="has the answer 5 to 00934f75"):
        list(EgoSchema().load(tmp_path))


def test_vsi_has_choices_and_numbers(tmp_path: Path) -> None:
    row = {"dataset": "scannet", "scene_name": SCENE, "question": "?"}
    options = {"options": ["A. left", "B. right"], "ground_truth": "B"}
    rows = [
        {"id": 0, **row, "question_type": "object_rel_direction_easy", **options},
        {"id": 1, **row, "question_type": "object_counting", "options": None, "ground_truth": "4"},
        {"id": 2, **row, "question_type": "route_planning", **options},
    ]
    write(tmp_path / "test.jsonl", "".join(json.dumps(one) + "\n" for one in rows))
    write(tmp_path / "scannet" / f"{SCENE}.mp4", "a video")
    questions = list(VsiBench().load(tmp_path))
    assert [(one.answers, one.choices) for one in questions[:2]] == [(("right",), ("left", "right")), (("4",), ())]
    scores = VsiBench().score(replies(questions, "right", "five chairs", "left"))
    kinds = {"object_counting": 60, "object_rel_direction_easy": 100, "route_planning": 0}
    assert figures(scores, 3) == {"overall": 53.333333, **kinds}
    assert scores[0].over([1]) == pytest.approx(60)


@pytest.fixture
def openeqa(tmp_path: Path) -> Path:
    history = "hm3d-v0/000-hm3d-BFRyYbPCCPE"
    row = {
        "question": "What is red?",
        "answer": "the sofa",
        "category": "object recognition",
        "episode_history": history,
    }
    rows = [{**row, "question_id": "f2e8"}, {**row, "question_id": "a1b2", "extra_answers": ["a couch"]}]
    write(tmp_path / "data" / "open-eqa-v0.json", rows)
    folder = tmp_path / "data" / "frames" / history
    folder.mkdir(parents=True)
    for n in range(3):
        cv2.imwrite(str(folder / f"{n:05d}-rgb.png"), np.full((24, 32, 3), 60 + n, np.uint8))
        cv2.imwrite(str(folder / f"{n:05d}-depth.png"), np.full((24, 32), 1000, np.uint16))
    write(tmp_path / "prompts" / "mmbench.txt", "{question} {answer} {prediction}")
    write(tmp_path / "prompts" / "mmbench-extra.txt", "{question} {answer} {extra_answers} {prediction}")
    return tmp_path


def test_openeqa_shows_the_frames_and_not_the_depth(openeqa: Path) -> None:
    questions = list(OpenEqa().load(openeqa))
    assert [one.answers for one in questions] == [("the sofa",), ("the sofa", "a couch")]
    assert [int(frame.image[0, 0, 0]) for _, frame in frames(questions[0].media)] == [60, 61, 62]
    assert figures(OpenEqa().score(replies(questions, "sofa", "table")), 2) == {"EM": 50, "EM-refined": 50}


def test_openeqa_is_marked_by_a_judge_that_is_named_and_asked_once(openeqa: Path, tmp_path: Path) -> None:
    with ModelServer() as server:
        unsure = iter(["hm", "2"])
        server.always(lambda body: Whole(next(unsure) if "couch" in str(body["messages"]) else "Your mark: 4"))
        for _ in range(2):  # the second judge reads what the first has kept
            bench = OpenEqa(ModelJudge("judge-7", server.base_url, tmp_path / "judge"))
            questions = list(bench.load(openeqa))
            scores = bench.score(replies(questions, "sofa. I think", "table"))
            assert figures(scores, 2)["LLM match (judge-7)"] == 50
        assert sorted(text for one in server.received for text in one.texts) == [
            *["What is red? the sofa ['a couch'] table"] * 2,
            "What is red? the sofa sofa.",
        ]
        assert (server.received[0].body["temperature"], server.received[0].body["max_tokens"]) == (0.2, 32)
        assert figures(bench.score(replies(questions, "", "table")), 2)["LLM match (judge-7)"] == 12.5


def test_a_judge_that_cannot_be_asked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cc_ros.evaluation.judge.RETRIES", 0)
    with pytest.raises(ModelError, match="the judge judge-7 cannot be asked"):
        ModelJudge("judge-7", "http://127.0.0.1:9/v1", tmp_path).mark("?")


def test_no_error_of_a_judge_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1234")
    with ModelServer() as server:
        server.always(lambda body: HttpStatus(401, "Incorrect API key provided: sk-secret-1234"))
        with pytest.raises(ModelError, match="Incorrect API key provided") as error:
            ModelJudge("judge-7", server.base_url, tmp_path).mark("?")
        assert server.received[0].headers["authorization"] == "Bearer sk-secret-1234"
    assert "sk-secret" not in "".join(traceback.format_exception(error.value))


def test_a_judge_over_a_network_is_sent_no_key_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1234")
    assert ModelJudge("judge-7", "http://192.0.2.1/v1", tmp_path)._client.api_key == "none"
    assert ModelJudge("judge-7", "https://192.0.2.1/v1", tmp_path)._client.api_key == "sk-secret-1234"


def test_r2r_ce_reads_episodes_and_their_true_paths(tmp_path: Path) -> None:
    quarter = math.sqrt(0.5)
    row = {
        "episode_id": 1,
        "trajectory_id": 4,
        "scene_id": "mp3d/zsNo4HB9uLZ/zsNo4HB9uLZ.glb",
        "start_position": [10.2, 0.1, 2.5],
        "start_rotation": [0, quarter, 0, quarter],
        "info": {"geodesic_distance": 6.4},
        "goals": [{"position": [12.3, 0.1, -3.4], "radius": 3.0}],
        "instruction": {"instruction_text": "Exit the bedroom. \r\n", "instruction_tokens": [1, 2]},
        "reference_path": [[10.2, 0.1, 2.5], [12.3, 0.1, -3.4]],
    }
    folder = tmp_path / "R2R_VLNCE_v1-3_preprocessed" / "val_unseen"
    path = write(folder / "val_unseen.json.gz", {"episodes": [row], "instruction_vocab": {}})
    truth = {"1": {"locations": [[10.2, 0.1, 2.5], [10.2, 0.1, 2.25]], "forward_steps": 1, "actions": [1, 0]}}
    write(folder / "val_unseen_gt.json.gz", truth)
    [episode] = load_episodes(tmp_path)
    assert (episode.id, episode.trajectory, episode.scene) == ("1", "4", "zsNo4HB9uLZ")
    assert (episode.instruction, episode.goals) == ("Exit the bedroom.", ((12.3, 0.1, -3.4),))
    assert (episode.heading, episode.geodesic_distance) == pytest.approx((math.pi / 2, 6.4))
    assert (episode.gt_actions, len(episode.gt_locations)) == ((1, 0), 2)
    rules = Rules()
    assert (rules.forward, math.degrees(rules.turn), rules.max_steps, rules.success) == (
        0.25,
        pytest.approx(15),
        500,
        3,
    )
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"val_unseen\.json\.gz is damaged"):
        load_episodes(tmp_path)
    with pytest.raises(SourceError, match="not 'test'"):
        load_episodes(tmp_path, "test")


@pytest.mark.parametrize("name", ["scanqa", "openeqa", "sqa3d", "egoschema", "vsi"])
def test_what_is_missing_is_told_with_where_to_get_it(name: str, tmp_path: Path) -> None:
    bench = benchmark(name)
    with pytest.raises(SourceError, match=r"https://|Hugging Face") as error:
        list(bench.load(tmp_path, "", 0, 0))
    assert str(tmp_path) in str(error.value)
    summary = bench.needs.splitlines()[0]
    assert (summary[0].islower() and "scored by" in summary) or "marked by" in summary


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "is damaged"),
        ({"a": 1}, "holds no list of questions"),
        ([], "holds no questions"),
        ([{"question_id": "1"}], "question 0: field 'question' is missing"),
        ([{"question_id": "1", "question": "?", "scene_id": "../x", "answers": ["a"]}], "no name of a scene"),
        ([{"question_id": "1", "question": "?", "scene_id": SCENE, "answers": ["a"]}] * 2, "the id 1 comes twice"),
        (
            [{"question_id": "1", "question": "?", "scene_id": "scene9", "answers": ["a"]}],
            "media of 1 scenes are missing",
        ),
    ],
)
def test_damaged_files_are_told(scanqa: Path, data: Any, said: str) -> None:
    write(scanqa / "ScanQA_v1.0_val.json", data)
    with pytest.raises(SourceError, match=said):
        list(ScanQa().load(scanqa))

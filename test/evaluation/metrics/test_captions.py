from __future__ import annotations

import io
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from cc_ros.errors import BackendError, SettingsError
from cc_ros.evaluation.metrics import java
from cc_ros.evaluation.metrics.captions import BLEU, NAMES, caption_scores
from cc_ros.evaluation.types import Score

WORDS = ("a", "the", "chair", "table", "red", "left", "of", "near", "two", "2", "there", "is", "no", "on", "wall")


def texts(rng: np.random.Generator, count: int) -> list[str]:
    return [" ".join(rng.choice(WORDS, rng.integers(1, 7))) for _ in range(count)]


def cases() -> tuple[list[str], list[list[str]]]:
    rng = np.random.default_rng(3)
    references = [texts(rng, int(rng.integers(1, 4))) for _ in range(40)]
    answers = texts(rng, 40)
    for n in range(0, 40, 3):  # some are right word for word: METEOR has a rule of its own for those
        answers[n] = references[n][0]
    answers[1:4] = ["", "It's the sofa's left-hand side, (near) the window.", "café ||| wall"]
    return answers, references


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    pytest.importorskip("pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    return {score.name: score for score in caption_scores(*cases())}


@pytest.fixture(scope="module")
def tokenised() -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """References and answers as pycocoevalcap's own tokeniser gives them."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    answers, references = cases()
    rows = {n: [{"caption": one}] for n, one in enumerate(answers)}
    rows |= {-n - 1: [{"caption": one} for one in of] for n, of in enumerate(references)}
    words = PTBTokenizer().tokenize(rows)
    return {n: words[-n - 1] for n in range(len(answers))}, {n: words[n] for n in range(len(answers))}


def test_the_scores_of_all_answers_are_those_of_pycocoevalcap(scores, tokenised) -> None:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    # Its METEOR talks to the same program as ours: another would load 60 MB of paraphrases again.
    ours = java.shared_meteor()
    theirs = Meteor.__new__(Meteor)
    theirs.lock = threading.Lock()
    theirs.meteor_p = SimpleNamespace(stdin=ours._input, stdout=ours._output, kill=int, wait=int)
    expected = [*Bleu(4).compute_score(*tokenised, verbose=0)[0]]
    expected += [scorer.compute_score(*tokenised)[0] for scorer in (theirs, Rouge(), Cider())]
    theirs.meteor_p = SimpleNamespace(stdin=io.BytesIO(), kill=int, wait=int)  # which it closes
    assert tuple(scores) == NAMES
    found = [score.over(range(len(score.values))) for score in scores.values()]
    assert found == pytest.approx([100 * float(one) for one in expected], abs=1e-6)


def test_the_scores_of_some_answers_are_those_of_that_set_alone(scores, tokenised) -> None:
    from pycocoevalcap.bleu.bleu import Bleu

    drawn = [5, 5, 0, 17, 33, 2, 5]
    some = [{n: of[number] for n, number in enumerate(drawn)} for of in tokenised]
    expected = Bleu(4).compute_score(*some, verbose=0)[0]
    assert [scores[name].over(drawn) for name in BLEU] == pytest.approx([100 * one for one in expected], abs=1e-6)
    assert scores["CIDEr"].over([3]) == scores["CIDEr"].values[3]
    assert scores["METEOR"].over([9]) == pytest.approx(scores["METEOR"].values[9], abs=1e-6)


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackendError, match="apt install default-jre-headless"):
        caption_scores(["a"], [["a"]])


def test_without_pycocoevalcap_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="pip install pycocoevalcap"):
        caption_scores(["a"], [["a"]])


def test_a_broken_java_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pytest.importorskip("pycocoevalcap")
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(java, "find_java", lambda: str(program))
    monkeypatch.setattr(java, "_SHARED", [])
    with pytest.raises(BackendError, match="status 3: no memory"):
        java.ptb_tokenise(["a"])
    ended = java.shared_meteor()
    with pytest.raises(BackendError, match="METEOR"):
        ended.statistics(["a"], [["a"]])
    ended._process.wait()
    assert java.shared_meteor() is not ended  # the next one who asks gets another


def test_a_meteor_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pytest.importorskip("pycocoevalcap")
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\nexec cat >/dev/null\n")  # reads and says nothing
    program.chmod(0o755)
    monkeypatch.setattr(java, "find_java", lambda: str(program))
    monkeypatch.setattr(java, "METEOR_SECONDS", 0.3)
    with pytest.raises(BackendError, match="METEOR gave no score: it ended early"):
        java.Meteor().statistics(["a"], [["a"]])


def test_answers_without_references_are_refused() -> None:
    with pytest.raises(SettingsError, match="as many lists of references"):
        caption_scores(["a", "b"], [["a"], []])

"""BLEU-1 to 4, METEOR, ROUGE-L and CIDEr by pycocoevalcap after PTB tokenisation, as ScanQA is scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cc_ros.errors import SettingsError
from cc_ros.evaluation.metrics.java import ptb_tokenise, shared_meteor
from cc_ros.evaluation.types import Score

ORDERS = 4  # n-grams
TINY, SMALL = 1e-15, 1e-9  # the constants of the COCO evaluation, which keep BLEU of nothing at 0
BLEU = tuple(f"BLEU-{n}" for n in range(1, ORDERS + 1))
NAMES = (*BLEU, "METEOR", "ROUGE-L", "CIDEr")


def caption_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[Score]:
    """Return the scores called :data:`NAMES` of free answers, in per cent as papers print them.

    BLEU and METEOR are those of all answers together, not means; the word statistics of CIDEr are those of the whole
    set, whichever answers are drawn.

    :param answers: as the model gave them, one a question.
    :param references: one or more for each.
    :raises SettingsError: no answers, or one without a reference.
    :raises BackendError: Java or pycocoevalcap is missing.
    """
    if not answers or len(answers) != len(references) or not all(references):
        raise SettingsError(f"{len(answers)} answers need as many lists of references, none of them empty")
    words = ptb_tokenise([*answers, *(one for of in references for one in of)])  # Java starts once
    rest = iter(words[len(answers) :])
    said, expected = words[: len(answers)], [[next(rest) for _ in of] for of in references]
    return [*_bleu(said, expected), _meteor(said, expected), *_rouge_and_cider(said, expected)]


def corpus_bleu(parts: np.ndarray) -> np.ndarray:
    """Return BLEU-1 to 4, (..., 4) from 0 to 1, of all answers together (Papineni et al., 2002).

    :param parts: (..., n, 10) of n answers: the length of the answer, that of its closest reference, its four numbers
        of n-grams, and those of them that a reference holds.
    """
    total = parts.sum(axis=-2)
    guessed, right = total[..., 2:6], total[..., 6:10]
    precision = np.cumprod((right + TINY) / (guessed + SMALL), axis=-1)
    ratio = (total[..., :1] + TINY) / (total[..., 1:2] + SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    scores: np.ndarray = precision ** (1 / np.arange(1, ORDERS + 1)) * brevity
    return scores


def _bleu(said: Sequence[str], expected: Sequence[Sequence[str]]) -> list[Score]:
    from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

    rows = []
    for answer, references in zip(said, expected, strict=True):
        cooked = cook_test(answer, cook_refs(references), "closest")
        rows.append([cooked["testlen"], cooked["reflen"], *cooked["guess"], *cooked["correct"]])
    parts = np.array(rows, float)
    each = 100 * corpus_bleu(parts[:, None])

    def combined(n: int) -> Score:
        return Score(
            BLEU[n], each[:, n].tolist(), lambda numbers: 100 * float(corpus_bleu(parts[np.asarray(numbers)])[n])
        )

    return [combined(n) for n in range(ORDERS)]


def _meteor(said: Sequence[str], expected: Sequence[Sequence[str]]) -> Score:
    meteor = shared_meteor()
    counted = meteor.statistics(said, expected)

    def combine(numbers: Sequence[int]) -> float:
        return 100 * float(meteor.scores(counted[np.asarray(numbers)].sum(axis=0, keepdims=True))[0])

    return Score("METEOR", (100 * meteor.scores(counted)).tolist(), combine)


def _rouge_and_cider(said: Sequence[str], expected: Sequence[Sequence[str]]) -> list[Score]:
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    references = {n: list(one) for n, one in enumerate(expected)}
    answers = {n: [one] for n, one in enumerate(said)}
    return [
        Score(name, (100 * np.asarray(scorer.compute_score(references, answers)[1], float)).tolist())
        for name, scorer in (("ROUGE-L", Rouge()), ("CIDEr", Cider()))
    ]

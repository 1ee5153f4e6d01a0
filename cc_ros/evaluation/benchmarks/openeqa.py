"""OpenEQA, episodic memory (Majumdar et al., CVPR 2024): free questions about a walk, marked by a judge model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cc_ros.evaluation.benchmarks.files import Row, find_file, made, read_json, rows_of, with_media
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.benchmarks.short_answers import by_kind, em_scores, texts
from cc_ros.evaluation.judge import ModelJudge, judge_of_environment
from cc_ros.evaluation.metrics.llm_match import JudgePrompts, llm_match
from cc_ros.evaluation.types import FORWARD, Media, Pair, Question, Score

JUDGED_AT_ONCE = 8


class OpenEqa:
    """1,636 questions in 7 categories.

    :param judge: who marks the answers; None = the one that the environment names, if any.
    """

    name = "openeqa"
    splits = ("em",)
    directions = (FORWARD,)
    needs = """free questions about a walk through rooms, marked by a judge model (LLM-Match)
Questions: data/open-eqa-v0.json of https://github.com/facebookresearch/open-eqa (MIT): in DIR or DIR/data.
Frames: as its data/README.md says: frames/{episode_history}/*-rgb.png beside that file. HM3D and ScanNet have terms of
their own.
Judge: its prompts mmbench.txt and mmbench-extra.txt in DIR/prompts, and CC_ROS_JUDGE=name of a model, with
CC_ROS_JUDGE_URL=its endpoint. The official judge was shut down in 2026: figures name theirs, and only those of one
judge can be compared. Without a judge there is exact match alone."""

    def __init__(self, judge: ModelJudge | None = None) -> None:
        self._judge = judge or judge_of_environment()
        self._prompts: JudgePrompts | None = None

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions.

        :raises SourceError: files are missing or damaged, among them the judge's prompts where there is a judge.
        """
        path = find_file(data, ("open-eqa-v0.json", "data/open-eqa-v0.json"), self.needs)
        if self._judge is not None:  # before anything is asked and paid for
            self._prompts = JudgePrompts(data / "prompts")
        frames = path.parent / "frames"

        def make(row: Row) -> Question:
            history = row["episode_history"]
            if Path(history).is_absolute() or ".." in Path(history).parts:
                raise ValueError(f"{history!r} is no name of an episode")
            extra = row.get("extra_answers")
            return Question(
                id=str(row["question_id"]),
                benchmark=self.name,
                text=str(row["question"]),
                media=Media(path=frames / history),
                answers=(str(row["answer"]), *map(str, extra or ())),
                kind=str(row["category"]),
                ask_as="free",
                scene=history,
                extra={"extra_answers": extra},
            )

        questions = made(path, rows_of(path, read_json(path)), make)
        return with_media(drawn(questions, limit, seed), self.needs)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return LLM match with the judge's name, also by category, and exact match, 0 to 100.

        :raises ModelError: the judge cannot be asked, or gives no mark.
        """
        exact = em_scores(pairs)
        if self._judge is None or self._prompts is None:
            return exact
        judge, prompts = self._judge, self._prompts

        def mark(pair: Pair) -> int | None:
            (question, _), [said] = pair, texts([pair])
            extra = question.extra.get("extra_answers")
            return judge.mark(prompts.fill(question.text, question.answers[0], said, extra)) if said else None

        with ThreadPoolExecutor(JUDGED_AT_ONCE) as pool:
            marks = list(pool.map(mark, pairs))
        return [*by_kind(llm_match(judge.name, marks), pairs), *exact]

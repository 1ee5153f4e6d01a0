"""SQA3D (Ma et al., ICLR 2023): questions asked from a described situation in a ScanNet scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cc_ros.evaluation.benchmarks import files
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.benchmarks.short_answers import by_kind, em_scores
from cc_ros.evaluation.types import FORWARD, Pair, Question, Score

# How questions begin ("What's ..." is what), by which the paper splits its table; all others: "other".
KINDS = ("what", "is", "how", "can", "which")


class Sqa3d:
    """3,519 questions in the test split; the situation is part of the question."""

    name = "sqa3d"
    splits = ("test", "val", "train")
    directions = (FORWARD,)
    needs = f"""questions from a described situation in a room, scored by exact match
Questions: sqa_task.zip of https://zenodo.org/record/7792397 (CC BY 4.0), unpacked into DIR:
  v1_balanced_questions_test_scannetv2.json and v1_balanced_sqa_annotations_test_scannetv2.json, in DIR, DIR/balanced or
  DIR/sqa_task/balanced.
{files.SCANNET}"""

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions with their answers, joined by their ids.

        :raises SourceError: files are missing or damaged, or do not belong together.
        """
        asked, answered = (self._file(data, f"v1_balanced_{what}_{split or 'test'}") for what in _FILES)
        answers = {
            row.get("question_id"): row for row in files.rows_of(answered, files.read_json(answered), "annotations")
        }

        def make(row: files.Row) -> Question:
            if row["question_id"] not in answers:
                raise ValueError(f"{answered} has no answer to {row['question_id']}")
            text = str(row["question"])
            begins = text.lower().lstrip().startswith
            return Question(
                id=str(row["question_id"]),
                benchmark=self.name,
                text=f"{row['situation']} {text}",
                media=files.scene_media(data, row["scene_id"]),
                answers=tuple(str(one["answer"]) for one in answers[row["question_id"]]["answers"]),
                kind=next(filter(begins, KINDS), "other"),
                ask_as="viewpoint",
                scene=row["scene_id"],
                extra={"situation": row["situation"]},
            )

        questions = files.made(asked, files.rows_of(asked, files.read_json(asked), "questions"), make)
        return files.with_media(drawn(questions, limit, seed), self.needs)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return exact match in per cent, also by the first word of the question, and refined exact match."""
        exact, refined = em_scores(pairs)
        return [*by_kind(exact, pairs), refined]

    def _file(self, data: Path, stem: str) -> Path:
        name = f"{stem}_scannetv2.json"
        return files.find_file(data, (name, f"balanced/{name}", f"sqa_task/balanced/{name}"), self.needs)


_FILES = ("questions", "sqa_annotations")

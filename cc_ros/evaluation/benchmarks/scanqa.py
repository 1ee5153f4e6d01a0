"""ScanQA (Azuma et al., CVPR 2022): free questions about ScanNet scenes, scored by caption metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cc_ros.evaluation.benchmarks import files
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.benchmarks.short_answers import em_scores, texts
from cc_ros.evaluation.metrics.captions import caption_scores
from cc_ros.evaluation.types import FORWARD, Pair, Question, Score


class ScanQa:
    """4,675 questions about 71 scenes in the validation split; the test server closed in 2026."""

    name = "scanqa"
    splits = ("val", "train")
    directions = (FORWARD,)
    needs = f"""free questions about rooms, scored by BLEU, METEOR, ROUGE-L, CIDEr (Java) and exact match
Questions: docs/dataset.md of https://github.com/ATR-DBI/ScanQA (CC BY-NC-SA 3.0): DIR/ScanQA_v1.0_val.json or in qa/.
{files.SCANNET}"""

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions.

        :raises SourceError: files are missing or damaged.
        """
        file = f"ScanQA_v1.0_{split or 'val'}.json"
        path = files.find_file(data, (file, f"qa/{file}", f"data/qa/{file}"), self.needs)

        def make(row: files.Row) -> Question:
            return Question(
                id=str(row["question_id"]),
                benchmark=self.name,
                text=str(row["question"]),
                media=files.scene_media(data, row["scene_id"]),
                answers=tuple(map(str, row["answers"])),
                ask_as="free",
                scene=row["scene_id"],
                extra={"object_ids": list(row.get("object_ids", ()))},
            )

        questions = files.made(path, files.rows_of(path, files.read_json(path)), make)
        return files.with_media(drawn(questions, limit, seed), self.needs)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return the caption metrics and exact match, in per cent; no answer counts as an empty one.

        :raises BackendError: Java or pycocoevalcap is missing.
        """
        return [*caption_scores(texts(pairs), [question.answers for question, _ in pairs]), *em_scores(pairs)]

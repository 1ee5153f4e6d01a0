"""VSI-Bench (Yang et al., CVPR 2025): spatial questions about ScanNet, ScanNet++ and ARKitScenes videos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cc_ros.errors import SourceError
from cc_ros.evaluation.benchmarks.files import Row, find_file, made, rows_of, with_media
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.benchmarks.short_answers import by_kind, right_choices, texts
from cc_ros.evaluation.metrics.vsi import CHOICE_TYPES, NUMBER_TYPES, vsi_score, vsi_table
from cc_ros.evaluation.types import FORWARD, Media, Pair, Question, Score

_LETTER = re.compile(r"^[A-Z]\. ")


class VsiBench:
    """5,130 questions about 288 videos, choices and numbers."""

    name = "vsi"
    splits = ("test",)
    directions = (FORWARD,)
    needs = """spatial questions about rooms, choices scored by accuracy and numbers by mean relative accuracy
Data: nyu-visionx/VSI-Bench of Hugging Face (Apache-2.0; videos under the terms of their sources): DIR/test.jsonl,
and its three archives unpacked: DIR/{arkitscenes,scannet,scannetpp}/{scene_name}.mp4."""

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions.

        :raises SourceError: files are missing or damaged.
        """
        path = find_file(data, ("test.jsonl",), self.needs)
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} is damaged: {error}; download it again") from error

        def make(row: Row) -> Question:
            kind, truth = row["question_type"], str(row["ground_truth"])
            if kind not in CHOICE_TYPES + NUMBER_TYPES:
                raise ValueError(f"{kind!r} is no question type of VSI-Bench")
            options = tuple(row["options"]) if kind in CHOICE_TYPES else ()
            for part in (row["dataset"], row["scene_name"]):
                if Path(part).name != part:
                    raise ValueError(f"{part!r} is no name of a video")
            choices = tuple(_LETTER.sub("", one) for one in options)
            return Question(
                id=str(row["id"]),
                benchmark=self.name,
                text=str(row["question"]),
                media=Media(path=data / row["dataset"] / f"{row['scene_name']}.mp4"),
                answers=(choices[[one[:1] for one in options].index(truth)] if options else truth,),
                choices=choices,
                kind=kind,
                ask_as="choice" if options else "free",
                scene=f"{row['dataset']}/{row['scene_name']}",
            )

        return with_media(drawn(made(path, rows_of(path, rows), make), limit, seed), self.needs)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return the mean over the types of questions, as published, and each type, in per cent."""
        said, right = texts(pairs), right_choices(pairs)
        values = [
            100 * (right[n] if question.choices else vsi_score(question.kind, said[n], question.answers[0]))
            for n, (question, _) in enumerate(pairs)
        ]
        kinds = [question.kind for question, _ in pairs]

        def overall(numbers: Sequence[int]) -> float:
            return vsi_table([kinds[n] for n in numbers], [values[n] for n in numbers])["overall"]

        return [Score("overall", values, overall), *by_kind(Score("", values), pairs)[1:]]

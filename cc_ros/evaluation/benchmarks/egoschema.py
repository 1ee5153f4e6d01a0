"""EgoSchema (Mangalam et al., NeurIPS 2023): one of five choices about three minutes of a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cc_ros.errors import SourceError
from cc_ros.evaluation.benchmarks.files import Row, find_file, made, read_json, rows_of, with_media
from cc_ros.evaluation.benchmarks.sample import drawn
from cc_ros.evaluation.benchmarks.short_answers import right_choices
from cc_ros.evaluation.types import FORWARD, Media, Pair, Question, Score

OPTIONS = 5


class EgoSchema:
    """The 500 questions whose answers are published (the Subset)."""

    name = "egoschema"
    splits = ("subset",)
    directions = (FORWARD,)
    needs = """one of five choices about 180 s of egocentric video, scored by accuracy
Questions: https://github.com/egoschema/EgoSchema (Ego4D license): DIR/questions.json and DIR/subset_answers.json.
Videos: as its README says, into DIR/videos/{q_uid}.mp4; the 500 of subset_answers.json are enough."""

    def load(self, data: Path, split: str = "", limit: int = 0, seed: int = 0) -> Iterable[Question]:
        """Yield the questions that have a published answer.

        :raises SourceError: files are missing or damaged.
        """
        path = find_file(data, ("questions.json", "EgoSchema/questions.json"), self.needs)
        answered = find_file(data, ("subset_answers.json", "EgoSchema/subset_answers.json"), self.needs)
        right = read_json(answered)
        if not isinstance(right, dict):
            raise SourceError(f"{answered} holds no answers by q_uid: it is another file, or damaged")

        def make(row: Row) -> Question:
            choices = tuple(str(row[f"option {n}"]) for n in range(OPTIONS))
            number = int(right[row["q_uid"]])
            if not 0 <= number < OPTIONS:
                raise ValueError(f"{answered} has the answer {number} to {row['q_uid']}; there are 0 to 4")
            return Question(
                id=row["q_uid"],
                benchmark=self.name,
                text=str(row["question"]),
                media=self._video(data, row["q_uid"]),
                answers=(choices[number],),
                choices=choices,
                ask_as="choice",
                scene=row["q_uid"],
            )

        rows = [row for row in rows_of(path, read_json(path)) if row.get("q_uid") in right]
        return with_media(drawn(made(path, rows, make), limit, seed), self.needs)

    def score(self, pairs: Sequence[Pair]) -> Sequence[Score]:
        """Return the accuracy in per cent."""
        return [Score("accuracy", [100 * one for one in right_choices(pairs)])]

    def _video(self, data: Path, uid: str) -> Media:
        if Path(uid).name != uid:
            raise ValueError(f"{uid!r} is no q_uid")
        paths = [data / "videos" / f"{uid}{suffix}" for suffix in (".mp4", ".MP4")]
        return Media(path=next((path for path in paths if path.exists()), paths[0]))

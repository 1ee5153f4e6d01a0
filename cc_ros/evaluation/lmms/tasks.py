"""Our benchmarks as tasks of lmms-eval, for its ``--include_path``: a YAML file and the questions beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml

from cc_ros.errors import SettingsError, SourceError
from cc_ros.evaluation.metrics.captions import NAMES, caption_scores
from cc_ros.evaluation.metrics.exact_match import exact_match
from cc_ros.evaluation.types import Question
from cc_ros.reasoning.measured.questions import lettered

FUNCTIONS = "cc_task"
CHOOSE = "Answer with the option's letter from the given choices directly."
SHORT = "Answer the question using a single word or phrase."
Pair = tuple[str, tuple[str, ...]]  # a reply and the right answers
EM, REFINED, ACCURACY = "EM", "EM-refined", "accuracy"
_MODULE = '''"""Made with the tasks beside it: what they call."""

from cc_ros.evaluation.lmms.tasks import aggregations, doc_to_messages, doc_to_target, doc_to_text, process_results

globals().update(aggregations())
'''


class _Function(str):
    """A name that lmms-eval looks up in the module beside the task."""


class _Dumper(yaml.SafeDumper):
    """Writes functions as lmms-eval reads them."""


_Dumper.add_representer(_Function, lambda dumper, name: dumper.represent_scalar("!function", f"{FUNCTIONS}.{name}"))


def write_task(name: str, questions: Iterable[Question], out: Path, captions: bool = False) -> Path:
    """Write a task called ``cc_<name>``; return its YAML file.

    :param captions: whether answers are scored by BLEU, METEOR, ROUGE-L and CIDEr too, which needs Java.
    :raises SettingsError: no questions, or some with choices and some without.
    :raises SourceError: the files cannot be written.
    """
    docs = [{**_doc(question), "captions": captions} for question in questions]
    kinds = {bool(doc["choices"]) for doc in docs}
    if len(kinds) != 1:
        raise SettingsError(f"a task needs questions that all have choices or all have none; {name} has {len(docs)}")
    task = f"cc_{name}"
    metrics = [ACCURACY] if kinds == {True} else [EM, REFINED, *(NAMES if captions else ())]
    config = {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{task}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_messages": _Function("doc_to_messages"),
        "doc_to_text": _Function("doc_to_text"),
        "doc_to_target": _Function("doc_to_target"),
        "process_results": _Function("process_results"),
        "generation_kwargs": {"max_new_tokens": 64, "temperature": 0},
        "metric_list": [
            {
                "metric": one,
                "aggregation": _Function(_function(one)) if one in NAMES else "mean",
                "higher_is_better": True,
            }
            for one in metrics
        ],
        "metadata": [{"version": 1}],
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{task}.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf-8")
        (out / f"{FUNCTIONS}.py").write_text(_MODULE, encoding="utf-8")
        path = out / f"{task}.yaml"
        path.write_text(yaml.dump(config, Dumper=_Dumper, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"the task cannot be written to {out}: {error.strerror or error}") from error
    return path


def _doc(question: Question) -> dict[str, Any]:
    path = question.media.path
    return {
        **{"id": question.id, "question": question.text, "kind": question.kind, "scene": question.scene},
        **{"answers": list(question.answers), "choices": list(question.choices)},
        "video": "" if path is None else str(path.resolve()),
        "images": [str(image.resolve()) for image in question.media.images],
    }


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """Return the words of a question."""
    if doc["choices"]:
        return "\n".join([doc["question"], *lettered(doc["choices"]), CHOOSE])
    return f"{doc['question']}\n{SHORT}"


def doc_to_messages(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> list[dict[str, Any]]:
    """Return a question as a conversation: its pictures, then its words."""
    media = [{"type": "video", "url": doc["video"]}] if doc["video"] else []
    pictures = [{"type": "image", "url": path} for path in doc["images"]]
    return [{"role": "user", "content": [*media, *pictures, {"type": "text", "text": doc_to_text(doc)}]}]


def doc_to_target(doc: dict[str, Any]) -> str:
    """Return the first right answer."""
    return str(doc["answers"][0])


def process_results(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Return what one reply contributes to each metric."""
    reply = results[0]
    if doc["choices"]:
        right = lettered(doc["choices"])[doc["choices"].index(doc["answers"][0])][0]
        return {ACCURACY: float(reply.strip()[:2].strip("(.): ").upper() == right)}
    exact, refined = exact_match(reply, doc["answers"])
    captions = dict.fromkeys(NAMES if doc["captions"] else (), (reply, tuple(doc["answers"])))
    return {EM: 100.0 * exact, REFINED: 100.0 * refined, **captions}


def aggregations() -> dict[str, Callable[[Sequence[Pair]], float]]:
    """Return the functions that make a figure of all replies, by the names by which tasks call them."""
    return {_function(name): partial(_figure, name) for name in NAMES}


def _function(metric: str) -> str:
    return metric.lower().replace("-", "_")


def _figure(name: str, pairs: Sequence[Pair]) -> float:
    return _figures(tuple(pairs))[name]


@lru_cache(2)  # the seven figures come of one run over the answers
def _figures(pairs: tuple[Pair, ...]) -> dict[str, float]:
    scores = caption_scores([reply for reply, _ in pairs], [answers for _, answers in pairs])
    return {score.name: score.over(range(len(pairs))) for score in scores}

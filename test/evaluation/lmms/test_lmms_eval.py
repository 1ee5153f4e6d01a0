"""The real lmms-eval with our model and tasks of ours, against a scripted server: `make eval-test` runs this."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from support.model_server import ModelServer, Received, Whole
from support.room import Box, draw, looking

from cc_ros.evaluation.lmms.tasks import write_task
from cc_ros.evaluation.types import Media, Question

SECONDS = 300  # lmms-eval imports all that it may need
pytestmark = [
    pytest.mark.skipif(find_spec("lmms_eval") is None, reason="lmms-eval is not installed: make eval-test"),
    pytest.mark.timeout(SECONDS + 20),
]

BOXES = [Box((2.0, 0.4, 0), (2.6, 1.0, 0.9), (30, 40, 200)), Box((2.0, -0.9, 0), (2.6, -0.3, 0.7), (200, 60, 30))]
CHOICES = ("left", "right")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    pictures = [draw(BOXES, looking((0, 0, 1.2), yaw))[0].image for yaw in (0.2, 0.1, 0.0, -0.1, -0.2, -0.3)]
    writer = cv2.VideoWriter(str(folder / "pan.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, pictures[0].shape[1::-1])
    for number, picture in enumerate(pictures):
        writer.write(picture)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    writer.release()
    images = Media(images=tuple(folder / f"{number}.png" for number in range(2)))
    questions = [
        Question("video", "own", "Is the red box left or right?", Media(path=folder / "pan.avi"), ("left",), CHOICES),
        Question("images", "own", "Is the blue box left or right?", images, ("right",), CHOICES),
    ]
    write_task("own", questions, folder / "tasks")
    free = [Question(f"{n}", "free", "Which letter?", images, ("a", "the a")) for n in range(2)]
    write_task("free", free, folder / "tasks", captions=True)
    return folder / "tasks"


class Run:
    """lmms-eval as its users run it, against a scripted server that says A."""

    def __init__(self, tasks: Path, out: Path, style: str, names: str) -> None:
        self._out = out
        self.server = ModelServer()
        self.server.always(lambda body: Whole("A"))
        arguments = f"base_url={self.server.base_url},api_key=none,model_version=scripted,max_retries=1,num_cpus=2"
        ours = f"style={style},frames=3,marks=2,backend=flow,cache_dir={out / 'cache'}"
        command = [
            *(sys.executable, "-m", "lmms_eval", "--model", "coarse_correspondences"),
            *("--model_args", f"{arguments},{ours}", "--tasks", names, "--include_path", str(tasks)),
            *("--batch_size", "1", "--output_path", str(out / "results"), "--log_samples"),
        ]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "hf")}
        self._log = (out / "log").open("w+")
        self._program = subprocess.Popen(command, env=os.environ | offline, stdout=self._log, stderr=self._log)

    def figures(self, name: str) -> dict[str, float]:
        """Return the figures of a task, once the program has ended."""
        assert self._program.wait(SECONDS) == 0, (self._out / "log").read_text()[-6000:]
        [results] = (self._out / "results").rglob("*_results.json")
        return json.loads(results.read_text())["results"][name]

    def asked(self, question: str) -> list[Received]:
        """Return what the server was asked about, most pictures first."""
        found = [one for one in self.server.received if question in "".join(one.texts)]
        return sorted(found, key=lambda one: -len(one.images))

    def close(self) -> None:
        self._program.kill()
        self._program.wait()
        self._log.close()
        self.server.close()


@pytest.fixture(scope="module")
def runs(tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Both styles, at the same time: lmms-eval takes most of its time to start."""
    free = ",cc_free" if shutil.which("java") else ""
    names = {"marks": "cc_own", "raw": f"cc_own{free}"}
    with ExitStack() as stack:
        yield {
            style: stack.enter_context(closing(Run(tasks, tmp_path_factory.mktemp(style), style, names[style])))
            for style in names
        }


@pytest.mark.parametrize(("style", "marked"), [("marks", True), ("raw", False)])
def test_lmms_eval_shows_keyframes_with_marks_or_without(runs: dict[str, Run], style: str, marked: bool) -> None:
    assert runs[style].figures("cc_own")["accuracy,none"] == 0.5  # "A" is left: right for the video alone
    video, images = runs[style].asked("box left or right?")
    assert (len(video.images), len(images.images)) == (3, 2)
    told = "Equal numbers in different images are the same object"
    assert [any(told in text for text in one.texts) for one in (video, images)] == [marked, marked]
    assert "Is the red box left or right?\nA. left\nB. right" in video.texts[-1]


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_free_answers_get_the_metrics_of_captions(runs: dict[str, Run]) -> None:
    figures = runs["raw"].figures("cc_free")
    assert [len(one.images) for one in runs["raw"].asked("Which letter?")] == [2, 2]
    assert [figures[f"{name},none"] for name in ("EM", "BLEU-1", "ROUGE-L")] == pytest.approx([100, 100, 100], abs=1e-4)
    assert figures["METEOR,none"] == pytest.approx(100)

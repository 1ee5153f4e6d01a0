"""The real lmms-eval with our model and tasks of ours, against a scripted server: `make eval-test` runs this."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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


def evaluate(tasks: Path, out: Path, style: str, name: str) -> tuple[dict[str, float], list[Received]]:
    """Run lmms-eval as its users do; return the figures and what the server was asked, most pictures first."""
    with ModelServer() as server:
        server.always(lambda body: Whole("A"))
        arguments = f"base_url={server.base_url},api_key=none,model_version=scripted,max_retries=1,num_cpus=2"
        ours = f"style={style},frames=3,marks=2,backend=flow,cache_dir={out / 'cache'}"
        command = [
            *(sys.executable, "-m", "lmms_eval", "--model", "coarse_correspondences"),
            *("--model_args", f"{arguments},{ours}", "--tasks", name, "--include_path", str(tasks)),
            *("--batch_size", "1", "--output_path", str(out / "results"), "--log_samples"),
        ]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "hf")}
        done = subprocess.run(
            command, env=os.environ | offline, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        received = sorted(server.received, key=lambda one: -len(one.images))
    [results] = (out / "results").rglob("*_results.json")
    return json.loads(results.read_text())["results"][name], received


@pytest.mark.parametrize(("style", "marked"), [("marks", True), ("raw", False)])
def test_lmms_eval_shows_keyframes_with_marks_or_without(tasks: Path, tmp_path: Path, style: str, marked: bool) -> None:
    figures, (video, images) = evaluate(tasks, tmp_path, style, "cc_own")
    assert figures["accuracy,none"] == 0.5  # "A" is left: right for the video, wrong for the pictures
    assert (len(video.images), len(images.images)) == (3, 2)
    told = "Equal numbers in different images are the same object"
    assert [any(told in text for text in one.texts) for one in (video, images)] == [marked, marked]
    assert "Is the red box left or right?\nA. left\nB. right" in video.texts[-1]


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_free_answers_get_the_metrics_of_captions(tasks: Path, tmp_path: Path) -> None:
    figures, received = evaluate(tasks, tmp_path, "raw", "cc_free")
    assert [len(one.images) for one in received] == [2, 2]
    assert [figures[f"{name},none"] for name in ("EM", "BLEU-1", "ROUGE-L")] == pytest.approx([100, 100, 100], abs=1e-4)
    assert figures["METEOR,none"] == pytest.approx(100)

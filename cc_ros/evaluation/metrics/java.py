"""Java programs of pycocoevalcap: the PTB tokeniser and METEOR."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cc_ros.errors import BackendError

TOKENISER_SECONDS = 600.0  # 10,000 answers take some seconds
METEOR_SECONDS = 600.0  # it loads for some seconds and then answers at once
CHUNKS = 20  # their column in METEOR's statistics
NEEDS = "apt install default-jre-headless"
_SHARED: list[Meteor] = []
_SHARED_LOCK = threading.Lock()


def coco_folder(module: str) -> Path:
    """Return the folder of a module of pycocoevalcap, such as "meteor.meteor".

    :raises BackendError: it is not installed.
    """
    try:
        spec = find_spec(f"pycocoevalcap.{module}")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise BackendError(
            "BLEU, METEOR, ROUGE-L and CIDEr need pycocoevalcap: pip install pycocoevalcap, or 'cc_ros[eval]'"
        )
    return Path(spec.origin).parent


def find_java() -> str:
    """Return the path of Java.

    :raises BackendError: there is none.
    """
    java = shutil.which("java")
    if java is None:
        raise BackendError(f"the PTB tokeniser and METEOR run in Java, and no java was found: {NEEDS}")
    return java


def ptb_tokenise(texts: Sequence[str]) -> list[str]:
    """Return the texts as the COCO evaluation tokenises them: lower case, split by the PTB rules, no punctuation.

    The jar of pycocoevalcap does it; its Python class is not used, since it writes into the installed package and
    mixes up answers that hold a line break.

    :raises BackendError: Java or pycocoevalcap is missing, or the tokeniser fails.
    """
    folder = coco_folder("tokenizer.ptbtokenizer")
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

    jar = folder / STANFORD_CORENLP_3_4_1_JAR
    lines = "".join(" ".join(text.split()) + "\n" for text in texts)
    command = [
        *(find_java(), "-Dfile.encoding=UTF-8", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"),
        *("-preserveLines", "-lowerCase", "-encoding", "UTF-8"),
    ]
    try:
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, timeout=TOKENISER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"the PTB tokeniser did not run: {error}") from error
    found = done.stdout.decode().split("\n")[: len(texts)]
    if done.returncode or len(found) != len(texts):
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise BackendError(f"the PTB tokeniser failed with status {done.returncode}: {said}")
    return [" ".join(word for word in line.split() if word not in PUNCTUATIONS) for line in found]


class Meteor:
    """METEOR 1.5 (Denkowski and Lavie, 2014), as the COCO evaluation runs it.

    Thread-safe. The program ends with this object.

    :raises BackendError: Java or pycocoevalcap is missing.
    """

    def __init__(self) -> None:
        folder = coco_folder("meteor.meteor")
        command = [find_java(), "-Xmx2G", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"]
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None and process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self._lock = threading.RLock()  # a question and its reply belong together
        self._process = process
        self.close = weakref.finalize(self, _end, process)

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def statistics(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """Return what each answer contributes to METEOR, (n, 23) float64; contributions of several answers add up.

        :param answers: tokenised.
        :param references: tokenised, some for each answer.
        """
        rows = []
        for answer, expected in zip(answers, references, strict=True):
            parts = [one.replace("|||", "") for one in (*expected, answer)]
            rows.append([float(value) for value in self._ask(" ||| ".join(["SCORE", *parts])).split()])
        counted = np.array(rows)
        # Lengths first; chunks, matched words of the answer and of the reference last. METEOR itself does not add the
        # one chunk of an answer that is matched whole: it is in order.
        whole = (counted[:, 0] == counted[:, 21]) & (counted[:, 1] == counted[:, 22]) & (counted[:, CHUNKS] == 1)
        counted[whole, CHUNKS] = 0
        return counted

    def scores(self, statistics: np.ndarray) -> np.ndarray:
        """Return the scores, 0 to 1, that belong to rows of statistics, (n, c) -> (n,)."""
        rows = [" ".join(f"{value:.17g}" for value in row) for row in statistics]
        with self._lock:
            first = self._ask(" ||| ".join(["EVAL", *rows]))
            found = [float(first), *(float(self._line()) for _ in rows[1:])]
            self._line()  # the score of all rows together
        return np.array(found)

    def _ask(self, line: str) -> str:
        watch = threading.Timer(METEOR_SECONDS, self._process.kill)
        watch.start()
        try:
            with self._lock:
                self._input.write(f"{line}\n".encode())
                self._input.flush()
                return self._line()
        except OSError as error:
            raise BackendError(f"METEOR ended early ({error}); it needs 2 GB of memory and Java 8 or newer") from error
        finally:
            watch.cancel()

    def _line(self) -> str:
        line = self._output.readline().decode()
        if not line.strip() or line.startswith("Error"):
            raise BackendError(f"METEOR gave no score: {line.strip() or 'it ended early'}")
        return line


def shared_meteor() -> Meteor:
    """Return the METEOR of this process: it loads 60 MB of paraphrases once. One that ended is started again."""
    with _SHARED_LOCK:
        if not _SHARED or not _SHARED[0].alive:
            _SHARED[:] = [Meteor()]
        return _SHARED[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()

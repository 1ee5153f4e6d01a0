"""A memory fed with frames whose tracks are given; ``python -m support.remembered DIR`` kills writers of one."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np

from cc_ros.keyframes import Candidate
from cc_ros.keyframes.store import ArrayPicture
from cc_ros.memory import Memory, MemorySettings

BEGIN = 1_760_000_000.0
INTRINSICS = np.array([[260.0, 0, 160], [0, 260, 120], [0, 0, 1]])
PERIOD = 0.03  # seconds between the frames of a writer that is killed


def scenery(width: int = 900, height: int = 240) -> np.ndarray:
    """Return a textured wall, wider than a picture."""
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.integers(60, 160, (height // 6, width // 6, 3), dtype=np.uint8), (width, height))
    return cv2.GaussianBlur(wall, (0, 0), 1.2)


def candidate(
    index: int,
    stamp: float,
    image: np.ndarray,
    labels: np.ndarray,
    *,
    pose: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    born: float = 0.0,
) -> Candidate:
    """Return a frame whose tracks have been there since ``born``."""
    ids = [int(i) for i in np.unique(labels) if i]
    certain, since = dict.fromkeys(ids, 1.0), dict.fromkeys(ids, born)
    return Candidate(index, stamp, ArrayPicture(image), labels, depth, INTRINSICS, pose, certain, since)


def plain(index: int, stamp: float, ids: Sequence[int] = (1, 2)) -> Candidate:
    """Return a small frame with a square for each track."""
    image, labels = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.uint16)
    for place, i in enumerate(ids):
        labels[10:40, 5 + 20 * place : 20 + 20 * place] = i
        image[10:40, 5 + 20 * place : 20 + 20 * place] = 40 * i % 255
    image[-8:] = index % 256
    return candidate(index, stamp, image, labels)


def fill(
    path: Path, seconds: float, *, period: float = 1.0, episode: str = "", begin: float = BEGIN, **settings: float
) -> None:
    """Write an episode of plain frames, one a period."""
    memory = Memory(MemorySettings(memory_dir=str(path), memory_period=period, **settings))  # type: ignore[arg-type]
    memory.new_episode(episode)
    for index in range(round(seconds / period)):
        memory.offer(plain(index, index * period), begin)
        assert memory.flush(60)
    trouble, _ = memory.health()
    memory.close()
    assert not trouble, trouble


def _write(path: Path, begin: float, told: int) -> None:
    """Write for ever, and tell the stamp of each frame as it is offered."""
    memory = Memory(MemorySettings(memory_dir=str(path), memory_period=0.1))
    memory.new_episode()
    for index in range(10**6):
        memory.offer(plain(index, index * PERIOD), begin)
        assert index or memory.flush()  # how long a busy machine takes to begin is not the question
        os.write(told, b"%.3f\n" % (begin + index * PERIOD))
        time.sleep(PERIOD)


def killed(path: Path, begin: float, frames: int) -> float:
    """Kill a writer once it has offered so many frames; return the stamp of the last one."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        try:
            _write(path, begin, tell)
        finally:
            os._exit(1)
    os.close(tell)
    stamps = []
    with os.fdopen(told) as lines:
        for line in lines:
            stamps.append(float(line))
            if len(stamps) == frames:
                os.kill(child, signal.SIGKILL)
                break
    os.waitpid(child, 0)
    return stamps[-1]


def main(path: Path) -> None:
    """Kill ten writers, and print the last stamp that each had offered. One process, so that it imports once."""
    import_module("scipy.optimize")  # which a writer needs from its first frame on
    for number in range(10):
        print(killed(path, BEGIN + 1000 * number, 3 + 2 * number), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Processes beside a command's own, such as that of the nodes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

END_TIME = 20.0  # seconds; a node that is being told to end while it loads a model does that first


@contextmanager
def nodes_beside(log: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``cc-ros up`` with these arguments, its words going to a file."""
    streams = {"stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    with log.open("w") as words, beside("up", *arguments, stdout=words, **streams) as process:
        yield process


@contextmanager
def beside(*arguments: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a ``cc-ros`` command meanwhile, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "cc_ros.cli", *arguments], **streams)
    try:
        yield process
    finally:
        end([process])


def end(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """Tell processes to end, and kill those that do not in time."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_TIME
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""The nodes in a process beside a command's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

END_TIME = 15.0  # seconds that they are given to end


@contextmanager
def nodes_beside(log: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``cc-ros up`` with these arguments, its words going to a file."""
    command = [sys.executable, "-m", "cc_ros.cli", "up", *arguments]
    with log.open("w") as words:
        process = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END_TIME)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

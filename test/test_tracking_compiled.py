"""Compiled code where the package, the home or the disk cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

LOOP = """
from cc_ros.tracking.compiled import compiled

@compiled
def total(values):
    s = 0
    for v in values:
        s += v
    return s
"""
CALL = "import loop, numpy; print(loop.total(numpy.arange(4)), sum(loop.total.stats.cache_hits.values()))"


def run(folder: Path, program: str = CALL, **env: str) -> str:
    """Run a program beside the loop; the folders of the cache are those of ``env`` alone."""
    dropped = ("NUMBA_", "XDG_", "HOME", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    root = Path(__file__).resolve().parents[1]
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=kept | {"PYTHONPATH": os.pathsep.join([str(folder), str(root)])} | env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop.py").write_text(LOOP)
    return tmp_path


@pytest.fixture
def sealed(folder: Path) -> Path:
    """Return a folder beside whose module nothing can be written, also by root: a file has the cache folder's name."""
    (folder / "__pycache__").write_text("")
    return folder


def test_a_package_that_cannot_be_written_is_compiled_once_for_the_user(sealed: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home")}
    assert run(sealed, **home) == "6 0"
    assert run(sealed, **home) == "6 1"


def test_without_a_home_the_code_lives_in_memory(sealed: Path) -> None:
    assert run(sealed, HOME="/dev/null/none") == "6 0"


def test_kept_files_that_a_power_cut_has_emptied_cost_time_only(folder: Path) -> None:
    run(folder)
    kept = [*folder.glob("__pycache__/*.nbi"), *folder.glob("__pycache__/*.nbc")]
    assert len(kept) == 2
    for file in kept:
        file.write_bytes(b"")
    assert run(folder) == "6 0"
    assert run(folder) == "6 1"


def test_a_full_disk_costs_no_frame(folder: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    assert run(folder, full + CALL) == "6 0"

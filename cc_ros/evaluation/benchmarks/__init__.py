"""The benchmarks by name; one is imported when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from cc_ros.errors import SettingsError
from cc_ros.evaluation.types import Benchmark


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    :param make: "module:class" of the benchmark, made without arguments.
    :param frames: keyframes that are usual for it (m in the paper).
    :param marks: objects that are usually marked (K in the paper).
    :param bundled: a folder in ``cc_ros/data`` with data that come with the package; "" = none.
    """

    make: str
    frames: int = 8
    marks: int = 8
    bundled: str = ""


_HERE = "cc_ros.evaluation.benchmarks"
BENCHMARKS = {
    # The objects of a SOT question have to be among those that are marked: rooms show 8 to 12 large ones.
    "sot": Entry(f"{_HERE}.sot:Sot", marks=12, bundled="sot"),
}


def benchmark(name: str) -> Benchmark:
    """Return the benchmark of that name.

    :raises SettingsError: there is none.
    """
    if name not in BENCHMARKS:
        raise SettingsError(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    made: Benchmark = resolve_name(BENCHMARKS[name].make)()
    return made


def bundled(name: str) -> Path | None:
    """Return the folder with the data of a benchmark that come with the package, None where there are none."""
    folder = BENCHMARKS[name].bundled
    return Path(__file__).parents[2] / "data" / folder if folder else None

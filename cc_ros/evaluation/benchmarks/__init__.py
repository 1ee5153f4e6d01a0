"""The benchmarks by name; one is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

from cc_ros.errors import SettingsError
from cc_ros.evaluation.types import Benchmark
from cc_ros.settings import Scalar


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    :param make: "module:class" of the benchmark, made without arguments.
    :param frames: keyframes that are usual for it (m in the paper).
    :param marks: objects that are usually marked (K in the paper).
    :param settings: group -> name -> value, where others than the defaults are usual for it.
    :param bundled: a folder in ``cc_ros/data`` with data that come with the package; "" = none.
    """

    make: str
    frames: int = 8
    marks: int = 8
    settings: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    bundled: str = ""


_HERE = "cc_ros.evaluation.benchmarks"
BENCHMARKS = {
    # What a SOT question is about has to be marked: rooms show up to 16 objects, and of the tracks of which the tracker
    # is but half sure 98 of 100 are right there (benchmarks/RESULTS.md).
    "sot": Entry(f"{_HERE}.sot:Sot", marks=16, settings={"keyframes": {"min_confidence": 0.4}}, bundled="sot"),
    "scanqa": Entry(f"{_HERE}.scanqa:ScanQa"),
    "openeqa": Entry(f"{_HERE}.openeqa:OpenEqa"),
    "sqa3d": Entry(f"{_HERE}.sqa3d:Sqa3d"),
    "egoschema": Entry(f"{_HERE}.egoschema:EgoSchema"),
    "vsi": Entry(f"{_HERE}.vsi:VsiBench"),
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

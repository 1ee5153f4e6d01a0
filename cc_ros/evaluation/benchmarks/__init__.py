"""The benchmarks by name; one is imported when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name

from cc_ros.errors import SettingsError
from cc_ros.evaluation.types import Benchmark


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    :param make: "module:class" of the benchmark, made without arguments.
    :param frames: keyframes that are usual for it (m in the paper).
    :param marks: objects that are usually marked (K in the paper).
    """

    make: str
    frames: int = 8
    marks: int = 8


_HERE = "cc_ros.evaluation.benchmarks"
BENCHMARKS = {
    # The objects of a SOT question have to be among those that are marked: rooms show 8 to 12 large ones.
    "sot": Entry(f"{_HERE}.sot:Sot", marks=12),
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

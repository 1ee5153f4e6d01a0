"""The packages import each other as docs/design.md lists them, and each does without what it knows nothing of."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATED = {"cc_ros.msg", "cc_ros.srv", "cc_ros.action"}
ROS = ("rclpy", "rcl_interfaces", "sensor_msgs", "std_msgs", "geometry_msgs", "nav_msgs", *sorted(GENERATED))


@cache
def imports() -> dict[str, set[str]]:
    """Return module -> modules of ours that it imports, at whatever place."""
    files = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in (ROOT / "cc_ros").rglob("*.py")}
    modules = {name.removesuffix(".__init__"): ast.parse(file.read_text()) for name, file in files.items()}
    graph = {}
    for name, tree in modules.items():
        found = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: imports are absolute"
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        ours = {one for one in found if one.startswith("cc_ros.")} - GENERATED
        graph[name] = {one if one in modules else one.rpartition(".")[0] for one in ours} - GENERATED - {name}
    return graph


def layers(heading: str) -> list[set[str]]:
    """Return the rows of the table under a heading of docs/design.md, from the bottom layer up."""
    page = (ROOT / "docs" / "design.md").read_text()
    section = re.search(rf"^##+ {heading}$(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/design.md has no section {heading!r}"
    rows = [line.split("|")[1] for line in section[1].splitlines() if line.startswith("| `")]
    return [set(re.findall(r"`([a-z0-9_]+)", row)) for row in rows]


@pytest.mark.parametrize(("heading", "package"), [("Packages", "cc_ros"), ("Inside tracking", "cc_ros.tracking")])
def test_packages_import_only_from_rows_above_them_in_the_list(heading: str, package: str) -> None:
    rows, depth = layers(heading), package.count(".") + 1
    level = {name: number for number, row in enumerate(rows) for name in row}
    inside = {name: of for name, of in imports().items() if name.startswith(package + ".")}
    assert set(level) == {name.split(".")[depth] for name in inside}  # all of them are listed, and nothing else
    wrong = [
        f"{name} imports {other}"
        for name, of in inside.items()
        for other in of
        if other.startswith(package + ".")
        and (mine := name.split(".")[depth]) != (theirs := other.split(".")[depth])
        and level[theirs] >= level[mine]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    list(graphlib.TopologicalSorter(imports()).static_order())  # raises a CycleError that names them


def run_without(blocked: tuple[str, ...], *modules: str) -> None:
    """Import the modules in a process in which the blocked ones cannot be imported."""
    code = f"""
import importlib, sys
class Blocker:
    def find_spec(self, name, *_):
        if any(name == one or name.startswith(one + ".") for one in {blocked!r}):
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def of(package: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in imports() if name == package or name.startswith(package + ".")))


def test_all_but_nodes_and_commands_work_without_ros() -> None:
    packages = ("tracking.flow", "tracking.auto", "tracking.factory", "keyframes", "geometry", "reasoning", "runs")
    modules = [name for package in packages for name in of(f"cc_ros.{package}")]
    run_without(ROS, "cc_ros.tracking", *modules, "cc_ros.sources.open", "cc_ros.sources.folder.source")


def test_reasoning_and_the_choice_of_a_tracker_work_without_torch() -> None:
    run_without(("torch", "sam2"), *of("cc_ros.reasoning"), "cc_ros.tracking.factory", "cc_ros.tracking.sam2.backend")


@pytest.mark.skipif(find_spec("sam2") is None, reason="the sam2 package is not installed")
def test_sam2_works_without_flow() -> None:
    run_without(("cc_ros.tracking.flow", *ROS), *of("cc_ros.tracking.sam2"))


def names_in(module: str) -> set[str]:
    """Return what can be imported from a module of ours, told from its text."""
    file = ROOT / Path(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    tree = ast.parse(file.read_text())
    found = {path.stem for path in file.parent.glob("*.py")} if file.name == "__init__.py" else set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


SCRIPTS = [path for folder in ("docs", "benchmarks", "launch") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_import_what_there_is(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("cc_ros") and node.module not in GENERATED:
            assert {alias.name for alias in node.names} <= names_in(str(node.module)), node.module
